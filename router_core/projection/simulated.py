"""Decisions held as arrays, grouped into the very cells that a ledger's rollup makes of its rows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date

import numpy as np
import numpy.typing as npt

from router_core.ledger.evidence import Evidence

Ints = npt.NDArray[np.int64]

_KEYS = ("scorer", "feature", "score", "tier", "strategy", "reason", "kind", "model", "price_id")
_MILLION = 1_000_000


@dataclass(frozen=True)
class Lines:
    """One entry a call, every array of the same length; codes and names as in ``Evidence``.

    ``own`` is 1 on the one call of each request that carries the request's own figures: ``status``, ``quality_ppm``
    (-1: not labelled), ``propensity_ppm`` and ``cost_nusd`` (-1: unknown). ``list_cost_nusd`` is the call's own cost,
    -1 where nothing priced it; tokens are the call's own too.
    """

    scorer: Ints
    feature: Ints
    score: Ints
    tier: Ints
    strategy: Ints
    reason: Ints
    kind: Ints
    model: Ints
    price_id: Ints
    own: Ints
    status: Ints
    quality_ppm: Ints
    propensity_ppm: Ints
    cost_nusd: Ints
    input_tokens: Ints
    output_tokens: Ints
    cache_read_input_tokens: Ints
    cache_write_input_tokens: Ints
    list_cost_nusd: Ints

    def take(self, entries: npt.NDArray[np.generic]) -> Lines:
        """Return some entries, by place or by mask."""
        return Lines(*(getattr(self, field.name)[entries] for field in fields(self)))


def evidence_of(
    lines: Lines,
    *,
    scorers: tuple[str, ...],
    features: tuple[str, ...],
    tiers: tuple[str, ...],
    models: tuple[str, ...],
    since: date,
    until: date,
) -> Evidence:
    """Sum calls into cells as the rollup does: it squares whole thousandths of quality and whole micro-dollars."""
    keys = [getattr(lines, name) + (name == "score") for name in _KEYS]  # a score is -1 where nothing was scored
    sizes = tuple(int(key.max(initial=0)) + 1 for key in keys)
    places, at = np.unique(np.ravel_multi_index(keys, sizes), return_inverse=True)
    cells = dict(zip(_KEYS, np.unravel_index(places, sizes), strict=True))
    cells["score"] = cells["score"] - 1

    def total(values: npt.NDArray[np.generic]) -> Ints:
        sums = np.zeros(len(places), dtype=np.int64)
        np.add.at(sums, at, values.astype(np.int64))
        return sums

    own, labelled = lines.own, lines.quality_ppm >= 0
    quality, cost = np.maximum(lines.quality_ppm, 0), np.maximum(lines.cost_nusd, 0)
    sent, got = lines.input_tokens, lines.output_tokens
    ones = np.ones_like(own)
    return Evidence(
        since=since,
        until=until,
        days=(until - since).days + 1,
        scorers=scorers,
        features=features,
        tiers=tiers,
        models=models,
        **cells,
        decisions=total(own),
        succeeded=total(own * (lines.status == 0)),
        unpriced_decisions=total(own * (lines.cost_nusd < 0)),
        labelled=total(own * labelled),
        quality_ppm_sum=total(own * quality),
        quality_ppm_squares=total(own * (quality // 1000) ** 2),
        inverse_propensity_ppm=total(own * (_MILLION**2 // np.maximum(lines.propensity_ppm, 1))),
        decision_cost_nusd=total(own * cost),
        decision_cost_udollar_squares=total(own * (cost // 1000) ** 2),
        attempts=total(ones),
        metered_attempts=total(ones),
        input_tokens=total(sent),
        output_tokens=total(got),
        cache_read_input_tokens=total(lines.cache_read_input_tokens),
        cache_write_input_tokens=total(lines.cache_write_input_tokens),
        reasoning_output_tokens=total(0 * ones),
        input_squares=total(sent * sent),
        output_squares=total(got * got),
        input_output_products=total(sent * got),
        list_cost_nusd=total(np.maximum(lines.list_cost_nusd, 0)),
    )
