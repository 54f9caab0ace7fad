"""How requests would be served: how often a first model fails them, and how long they wait, with intervals."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from router_core.ledger.latency import quantile_of_each
from router_core.projection.cube import EXPLORED, POLICY
from router_core.projection.curves import Family, expected_under
from router_core.projection.prepared import Prepared
from router_core.projection.result import Interval
from router_core.projection.tables import Reassignment, Table
from router_core.projection.target import Target
from router_core.projection.verdict import lower_place

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

_RATE = Family("slope by tier", 2.0, 1.0)  # how often a tier's first model fails a request, by score
_SLOWEST = 0.95


class Fallbacks:
    """The share of requests that a model other than the first one asked had to answer, after fail-over or escalation.

    Where exploration changes, explored requests are taken to stay as they are.
    """

    def __init__(self, prepared: Prepared, seed: int) -> None:
        random = np.random.default_rng([seed, 1])
        tally, draws = prepared.cube.tally, prepared.draws.sums.served
        drawn = random.poisson(tally.fallbacks, draws.shape).astype(np.float32)
        drawn = np.minimum(drawn, draws)
        failed = np.concatenate([tally.fallbacks[None].astype(np.float32), drawn])
        served = np.concatenate([tally.served[None].astype(np.float32), draws])
        rate = expected_under(_RATE, served.sum(axis=1), failed.sum(axis=1), "logit", random)
        moves = Reassignment.of(served, rate.astype(np.float32), failed, prepared.live_tier)
        live = prepared.live.exploration
        self._decisions = prepared.cube.decisions
        self._logged = int(prepared.cube.fallbacks_by_feature.sum()) / self._decisions
        self._table = Table.of([move.under(live, live) for move in (moves,)], 1, prepared.live.starts)

    def at(self, target: Target) -> Interval:
        """Project the share of fallbacks; ``change``, ``low`` and ``high`` are of the change."""
        change, *draws = (self._table.between(target.starts, slice(None))[0] / self._decisions).tolist()
        low, high = _ends(np.array(draws))
        return Interval(self._logged, self._logged + change, change, min(low, change), max(high, change))


class Latencies:
    """The 95th percentile of how long a call takes, in milliseconds: each tier's own latencies, mixed anew.

    ``histograms`` holds each tier's calls by bin of ``ledger.latency``.
    """

    def __init__(self, prepared: Prepared, histograms: Mapping[str, Ints], replicates: int, seed: int) -> None:
        random = np.random.default_rng([seed, 2])
        tiers = prepared.cube.tiers
        known = [histograms.get(tier) for tier in tiers]
        bins = max((len(counts) for counts in known if counts is not None), default=1)
        counts = np.stack([np.zeros(bins, dtype=np.int64) if one is None else one for one in known])
        drawn = np.concatenate([counts[None], random.poisson(counts, (replicates, *counts.shape))]).astype(float)
        self._prepared = prepared
        self._measured = counts.sum(axis=1) > 0
        self._shapes = drawn / np.maximum(drawn.sum(axis=2, keepdims=True), 1)

    def at(self, target: Target) -> Interval | None:
        """Project the 95th percentile; None where a tier that would take traffic has no latencies."""
        before, after = self._shares(self._prepared.live), self._shares(target)
        if not self._measured[(before > 0) | (after > 0)].all():
            return None
        today, then = (self._percentile(shares) for shares in (before, after))
        change, *draws = (then - today).tolist()
        low, high = _ends(np.array(draws))
        return Interval(float(today[0]), float(then[0]), change, min(low, change), max(high, change))

    def _shares(self, target: Target) -> Floats:
        """Return how many requests each tier takes, (K,): chance and what no boundary moves stay as they are."""
        cube = self._prepared.cube
        decisions = cube.tally.decisions
        fixed = cube.decisions_by_tier - decisions.sum(axis=(0, 1, 3))
        moving = decisions[POLICY].sum(axis=1)
        tier = target.tier_of()
        chosen = np.bincount(tier.ravel(), moving.ravel(), minlength=len(cube.tiers))
        return np.asarray(fixed + decisions[EXPLORED].sum(axis=(0, 2)) + chosen, dtype=float)

    def _percentile(self, shares: Floats) -> Floats:
        mixed = np.rint(1e9 * np.tensordot(shares / shares.sum(), self._shapes, (0, 1))).astype(np.int64)
        return quantile_of_each(mixed, _SLOWEST)


def _ends(draws: Floats) -> tuple[float, float]:
    place = lower_place(len(draws))
    ordered = np.sort(draws)
    return float(ordered[place]), float(ordered[len(draws) - 1 - place])
