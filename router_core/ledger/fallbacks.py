"""Questions about fall-backs and failed calls, with their reasons, answered from cells alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from router_core.ledger.fallback_cells import COLUMNS, TABLE
from router_core.ledger.filters import Key, check
from router_core.ledger.store import Ledger
from router_core.ledger.sums import EVERYWHERE, summed

FALLBACKS_BY = ("day", "feature", "tier", "model", "kind", "status", "why")

_SUMS = COLUMNS[len(FALLBACKS_BY) :]


@dataclass(frozen=True, slots=True)
class FallbackLine:
    """Calls that failed, were turned down, stepped in for others or were made beside one, and share ``keys``.

    ``latency_ms`` is summed; ``list_cost_nusd`` leaves out the ``unpriced_attempts``.
    """

    keys: tuple[Key, ...]
    attempts: int
    unpriced_attempts: int
    latency_ms: int
    list_cost_nusd: int


def fallbacks(
    ledger: Ledger,
    by: Sequence[str],
    since: date | None = None,
    until: date | None = None,
    where: Mapping[str, Collection[str]] = EVERYWHERE,
) -> list[FallbackLine]:
    """Sum such calls by some of ``FALLBACKS_BY`` over days, ``until`` included; lines in the order of their keys.

    The tier is the one assigned, the status that of the call, the reason why it was made or why it failed. Raises
    ``InputError`` where a dimension is unknown.
    """
    check(by, FALLBACKS_BY)
    check(list(where), FALLBACKS_BY[1:])
    return [FallbackLine(keys, *sums) for keys, _, sums in summed(ledger, TABLE, by, _SUMS, since, until, where)]
