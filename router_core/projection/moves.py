"""The requests that a change would move: their cells, and what the fitted models expect of them on either tier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.projection.cube import EXPLORED, POLICY
from router_core.projection.estimate import Preview
from router_core.projection.target import Target

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_IN_COMMON = 0.3  # correlation between the qualities of two models' answers to one request; measured .3 to .56


@dataclass(frozen=True)
class Moves:
    """Cells that a target gives another tier than the live configuration; every array is (cells,) unless said.

    ``old`` and ``new`` index ``tiers``. ``count`` are the requests whose answer on the old tier is in the log, by the
    boundaries' or a pin's choice: those a trial can draw from. ``weight`` is how many requests of the log each of them
    stands for: other requests of the same cell were explored, or routed by an older configuration. ``labelled`` and
    ``quality`` sum their labels, ``cost`` what their answers cost in nano-dollars.

    ``before`` and ``after`` (families, cells) are the quality the models expect on either tier, without rows where
    nothing is labelled; ``cost_before`` and ``cost_after`` nano-dollars a request, NaN where no price is known, and
    ``cost_spread`` (2, cells) the standard deviation of one request's cost on either tier. ``others`` are the moved
    requests that cannot be drawn, for which those that can stand, and ``undrawn`` is the share of all moved requests
    in cells that hold none to draw at all.
    """

    features: tuple[str, ...]
    tiers: tuple[str, ...]
    decisions: int
    feature: Ints
    score: Ints
    old: Ints
    new: Ints
    count: Ints
    weight: Floats
    labelled: Ints
    quality: Floats
    cost: Ints
    before: Floats
    after: Floats
    cost_before: Floats
    cost_after: Floats
    cost_spread: Floats
    others: Floats
    undrawn: float

    def __len__(self) -> int:
        return len(self.count)

    @property
    def requests(self) -> int:
        """Requests that a trial can draw from."""
        return int(self.count.sum())

    @property
    def moved(self) -> float:
        """Requests of the log that the change moves, those exploration moves back taken off."""
        return float((self.weight * self.count).sum())

    @property
    def gain(self) -> Floats:
        """Expected change in quality a request, the median of the models; zeros where nothing is labelled."""
        if not len(self.after):
            return np.zeros(len(self))
        change: Floats = np.median(self.after - self.before, axis=0)
        return change

    @property
    def level(self) -> Floats:
        """Expected quality a request on the old tier, the median of the models; zeros where nothing is labelled."""
        if not len(self.before):
            return np.zeros(len(self))
        level: Floats = np.median(self.before, axis=0)
        return level

    @property
    def spread(self) -> Floats:
        """Return how far one request's change in quality lies from what is expected: a standard deviation.

        What remains is the doubt about the new answer, a yes or no, how far the models disagree, and where the logged
        answer is not labelled the doubt about that one too, less what answers to the same request have in common.
        """
        if not len(self.after):
            return np.full(len(self), 0.5)
        before, after = (np.median(side, axis=0) for side in (self.before, self.after))
        old, new = before * (1 - before), after * (1 - after)
        unlabelled = 1 - np.minimum(self.labelled / np.maximum(self.count, 1), 1)
        doubt = new + unlabelled * (old - 2 * _IN_COMMON * np.sqrt(old * new))
        spread: Floats = np.sqrt(np.maximum(doubt + (self.after - self.before).var(axis=0), 1e-4))
        return spread

    def drawable(self) -> Bools:
        """Say of every (feature, tier, score), (F, K, 101), whether requests logged there can be drawn."""
        mask = np.zeros((len(self.features), len(self.tiers), 101), dtype=np.bool_)
        mask[self.feature, self.old, self.score] = True
        return mask

    @classmethod
    def of(cls, preview: Preview, target: RoutingConfig | Target) -> Moves:
        """Find what a configuration's boundaries and pins would move; raises ``ConfigError`` where its tiers differ.

        How much is explored stays as it is live. Boundaries may be given as numbers too.
        """
        cube, tally = preview.cube, preview.cube.tally
        wanted = target if isinstance(target, Target) else Target.of(target, cube.features, cube.tiers)
        old, new = preview.live.tier_of(), wanted.tier_of()
        feature, score = np.nonzero(old != new)
        was, becomes = old[feature, score], new[feature, score]
        # Of the explored requests, those that chance had given the very tier that now takes the cell go the other way.
        mass = tally.decisions[POLICY][feature, :, score].sum(axis=1).astype(float)
        back = tally.decisions[EXPLORED][feature, becomes, score].astype(float)
        count = tally.decisions[POLICY][feature, was, score]
        others = mass - count + back
        mass -= back
        weight = np.divide(mass, count, out=np.zeros(len(mass)), where=count > 0)
        undrawn = _stand_in(mass, count, weight, feature, was, becomes)
        keep = count > 0
        feature, score, was, becomes, count, weight, others = (
            array[keep] for array in (feature, score, was, becomes, count, weight, others)
        )
        here = POLICY, feature, was, score
        expected = Expectations(preview)
        return cls(
            features=cube.features,
            tiers=cube.tiers,
            decisions=cube.decisions,
            feature=feature,
            score=score,
            old=was,
            new=becomes,
            count=count,
            weight=weight,
            labelled=tally.labelled[here],
            quality=tally.quality[here],
            cost=tally.cost[here] + tally.escalation_cost[here],
            before=expected.quality(feature, was, score),
            after=expected.quality(feature, becomes, score),
            cost_before=expected.cost(feature, was, score),
            cost_after=expected.cost(feature, becomes, score),
            cost_spread=np.stack([expected.cost_spread(was), expected.cost_spread(becomes)]),
            others=others,
            undrawn=undrawn,
        )


def _stand_in(mass: Floats, count: Ints, weight: Floats, feature: Ints, old: Ints, new: Ints) -> float:
    """Let cells with requests stand for those without: of the same feature and move, else of the same move, else any.

    Scales ``weight`` in place; returns the share of the moved requests that had nobody to draw.
    """
    empty = np.flatnonzero((count == 0) & (mass != 0))
    for cell in empty:
        move = (old == old[cell]) & (new == new[cell]) & (count > 0)
        for alike in (move & (feature == feature[cell]), move, count > 0):
            standing = float((weight * count)[alike].sum())
            if standing > 0:
                weight[alike] *= 1 + mass[cell] / standing
                break
    total = float(np.abs(mass).sum())
    return float(np.abs(mass[empty]).sum()) / total if total else 0.0


class Expectations:
    """What a preview's models expect of a request at any (feature, tier, score), given as three arrays alike."""

    def __init__(self, preview: Preview) -> None:
        self._side, self._tariff = preview.expected, preview.tariff
        tally = preview.cube.tally
        served, everything = tally.served.sum(axis=(0, 1, 3)), tally.decisions.sum(axis=(0, 1, 3))
        self._served = np.divide(served, everything, out=np.ones(len(served)), where=everything > 0)
        self._spread = self._cost_spread(preview)

    def quality(self, feature: Ints, tier: Ints, score: Ints) -> Floats:
        """Return the expected quality by family of models, (families, n); no rows where nothing is labelled."""
        return _at(self._side.quality, feature, tier, score)

    def cost(self, feature: Ints, tier: Ints, score: Ints) -> Floats:
        """Return the expected cost in nano-dollars, cache hits counted as nothing; NaN where no price is known."""
        rates = self._tariff.rates[feature, tier]
        side = self._side
        inputs, outputs, escalations = (
            _at(of, feature, tier, score) for of in (side.input, side.output, side.escalation)
        )
        if not len(inputs):
            return np.full(len(feature), np.nan)
        total = np.median(inputs, axis=0) * rates[:, 0] + np.median(outputs, axis=0) * rates[:, 1]
        if len(escalations):
            total = total + np.median(escalations, axis=0)
        known: Floats = np.where(self._tariff.priced[tier], total * self._served[tier], np.nan)
        return known

    def cost_spread(self, tier: Ints) -> Floats:
        """Return the standard deviation of one request's cost on a tier, of input and output as if in step."""
        return self._spread[tier]

    def _cost_spread(self, preview: Preview) -> Floats:
        tally = preview.cube.tally
        count = np.maximum(tally.served.sum(axis=(0, 1, 3)), 1)
        spread = np.zeros(len(count))
        for place, name in enumerate(("input", "output")):
            sums, squares = (getattr(tally, of).sum(axis=(0, 1, 3)) / count for of in (name, f"{name}_squares"))
            spread += np.sqrt(np.maximum(squares - sums**2, 0)) * self._tariff.rates[..., place].mean(axis=0)
        return spread


def _at(families: list[npt.NDArray[np.floating]], feature: Ints, tier: Ints, score: Ints) -> Floats:
    """Return what each family expects at these cells, (families, cells)."""
    found = [family[0, feature, tier, score] for family in families]
    return np.array(found, dtype=float).reshape(len(families), len(feature))
