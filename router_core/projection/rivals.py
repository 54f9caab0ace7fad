"""The other ways of answering the same question, to be back-tested beside ours: naive, the plain envelope, a replay."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_core.projection.bootstrap import as_logged, resample
from router_core.projection.cube import SCORES, Cube
from router_core.projection.curves import Family, expected_under
from router_core.projection.target import Target
from router_core.projection.verdict import ends

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

_BIN = 10  # scores
_PLAIN = (Family("shared slope", 3.0, 0.02), Family("slope by tier", 3.0, 3.0))
REPLAYED = 100


@dataclass(frozen=True)
class Answer:
    """What a way says of a change, and its 95 % interval, as a share: of quality, or of the logged cost saved."""

    value: float
    low: float
    high: float


class Rivals:
    """A log as the other ways see it, prepared once. ``replicates`` are ordinary bootstrap resamples of it."""

    def __init__(self, cube: Cube, live: Target, replicates: int, seed: int) -> None:
        random = np.random.default_rng(seed)
        log, draws = as_logged(cube.tally), resample(cube.tally, replicates, random)
        self._cube, self._live = cube, live.tier_of()
        self._count, self._labelled, self._quality, self._input, self._output = (
            np.concatenate([getattr(side, name).sum(axis=1) for side in (log, draws)]).astype(float)
            for name in ("decisions", "labelled", "quality", "input", "output")
        )
        families = [expected_under(family, self._labelled, self._quality, "logit", random) for family in _PLAIN]
        self._families = [*families, _bins(self._labelled, self._quality)]

    def naive_quality(self, target: Target) -> Answer:
        """Each tier's mean quality times its new share of the traffic."""
        mean = _divided(self._quality.sum(axis=(1, 3)), self._labelled.sum(axis=(1, 3)))
        change = (mean * (self._shares(target) - self._shares(self._live))).sum(axis=1)
        return _answer(change[None])

    def naive_saving(self, target: Target, rates: Floats) -> Answer:
        """Every moved request keeps its tokens and only changes its price; ``rates`` (K, 2), nano-dollars a token."""
        moved = self._moved(target)
        place = np.where(moved, target.tier_of()[:, None], np.arange(self._count.shape[2])[:, None])
        change = np.zeros(len(self._count))
        for tokens, column in ((self._input, 0), (self._output, 1)):
            price = rates[:, column]
            change += (tokens * (price[place] - price[:, None])).sum(axis=(1, 2, 3))
        return _answer(-change[None] / self._cube.total_cost)

    def envelope(self, target: Target) -> Answer:
        """Two plain logistic models and bins of scores, and the union of their ordinary bootstrap intervals."""
        goes, moved = target.tier_of()[None, :, None], self._moved(target)
        changes = []
        for family in self._families:
            new = np.take_along_axis(family, goes, axis=2)
            weight = _divided(self._count.sum(axis=(1, 3)), self._labelled.sum(axis=(1, 3)))[:, None, :, None]
            now = weight * self._quality + family * (self._count - weight * self._labelled)
            changes.append(((self._count * new - now) * moved).sum(axis=(1, 2, 3)) / self._cube.decisions)
        return _answer(np.array(changes))

    def _shares(self, target: Target | Ints) -> Floats:
        tier = target.tier_of() if isinstance(target, Target) else target
        per_score = self._count.sum(axis=2)
        onto = np.stack([(per_score * (tier == k)).sum(axis=(1, 2)) for k in range(self._count.shape[2])], axis=1)
        return np.asarray(onto / per_score.sum(axis=(1, 2))[:, None])

    def _moved(self, target: Target) -> npt.NDArray[np.bool_]:
        """Say of each (feature, tier, score) whether its requests leave: those the live boundaries had put there."""
        tiers = np.arange(self._count.shape[2])[:, None]
        goes = target.tier_of()[:, None]
        return np.asarray((goes != self._live[:, None]) & (tiers == self._live[:, None]))


def replay(
    difference: Floats, share: float, random: np.random.Generator, count: int = REPLAYED, others: int = 0
) -> Answer:
    """A plain replay of some moved requests: both answers graded, the mean difference times the share moved.

    Its interval is Student's, and knows how many moved requests there are besides, and how many ``others`` change
    that could not have been drawn.
    """
    from scipy.special import stdtrit

    every = len(difference)
    chosen = random.choice(every, min(count, every), replace=False)
    values, drawn = difference[chosen], len(chosen)
    mean, spread = float(values.mean()), float(values.std(ddof=1)) if drawn > 1 else 0.0
    error = spread * (max(1 / drawn - 1 / every, 0) + others / every**2) ** 0.5
    reach = float(stdtrit(max(drawn - 1, 1), 0.975)) * error
    return Answer(share * mean, share * (mean - reach), share * (mean + reach))


def _bins(labelled: Floats, quality: Floats) -> Floats:
    """Return the mean quality of bins of ten scores, the nearest filled one where a bin is empty, (R, F, K, 101)."""
    edges = np.arange(0, SCORES, _BIN)
    count, total = (np.add.reduceat(values.sum(axis=1), edges, axis=2) for values in (labelled, quality))
    mean = _divided(count=count + 2, total=total + 2 * _divided(total.sum(axis=2), count.sum(axis=2))[..., None])
    filled = count[0] > 0
    nearest = np.stack(
        [
            np.flatnonzero(row)[np.abs(np.flatnonzero(row)[:, None] - np.arange(len(edges))).argmin(axis=0)]
            if row.any()
            else np.arange(len(edges))
            for row in filled
        ]
    )
    by_bin = np.take_along_axis(mean, nearest[None], axis=2)
    by_score = by_bin[..., np.minimum(np.arange(SCORES) // _BIN, len(edges) - 1)]
    return np.asarray(np.broadcast_to(by_score[:, None], labelled.shape))


def _divided(total: Floats, count: Floats) -> Floats:
    ratio: Floats = np.divide(total, count, out=np.zeros(np.broadcast(total, count).shape), where=count > 0)
    return ratio


def _answer(families: Floats) -> Answer:
    """Return the median of what families make of the log, and the union of what of its resamples, (families, R + 1)."""
    value = float(np.median(families[:, 0]))
    low, high = ends(families[:, 1:])
    return Answer(value, min(low, value), max(high, value))
