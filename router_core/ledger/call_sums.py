"""What calls add up to by feature, tier, kind, model and price row, scores left out: small whatever the traffic."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.ledger.evidence import EVIDENCE_BY, integers, name
from router_core.ledger.filters import check, condition
from router_core.ledger.store import Ledger

Ints = npt.NDArray[np.int64]

_KEYS = ("feature_id", "tier_id", "strategy", "kind", "model_id", "price_id")
_SUMS = (
    "decisions",
    "attempts",
    "metered_attempts",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "list_cost_nusd",
)
_NOWHERE: Mapping[str, Collection[str]] = {}


@dataclass(frozen=True, slots=True)
class CallSums:
    """Evidence cells summed over days and scores: one entry a group, every array of the same length.

    ``feature``, ``tier`` (the one assigned) and ``model`` are places in the tuples of names; ``strategy`` and ``kind``
    codes of ``router_core.decision``; ``price_id`` is 0 where no price is known. ``decisions`` stand on their final
    call, so that they count once; the rest counts calls.
    """

    features: tuple[str, ...]
    tiers: tuple[str, ...]
    models: tuple[str, ...]
    feature: Ints
    tier: Ints
    strategy: Ints
    kind: Ints
    model: Ints
    price_id: Ints
    decisions: Ints
    attempts: Ints
    metered_attempts: Ints
    input_tokens: Ints
    output_tokens: Ints
    cache_read_input_tokens: Ints
    cache_write_input_tokens: Ints
    list_cost_nusd: Ints


def call_sums(
    ledger: Ledger,
    since: date | None = None,
    until: date | None = None,
    where: Mapping[str, Collection[str]] = _NOWHERE,
) -> CallSums:
    """Sum calls over days, ``until`` included; raises ``InputError`` where a dimension is unknown."""
    check(list(where), EVIDENCE_BY)
    keys = ", ".join(_KEYS)
    sums = ", ".join(f"CAST(SUM({one}) AS BIGINT)" for one in _SUMS)
    with ledger.reading() as connection:
        clause = condition(connection, since, until, where)
        query = f"SELECT {keys}, {sums} FROM evidence_cell{clause} GROUP BY {keys} ORDER BY {keys}"
        values: dict[str, Any] = dict(zip((*_KEYS, *_SUMS), integers(connection, query), strict=True))
        name(connection, values, ("feature", "tier", "model"))
    return CallSums(**values)
