"""How much evidence an interval of a wanted width takes: replays, or days of exploration, each with its price."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.errors import InputError
from router_core.projection.cube import POLICY
from router_core.projection.estimate import Preview
from router_core.projection.moves import Expectations, Moves
from router_core.projection.trial import Plan

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

RATES = (0.01, 0.02, 0.05, 0.10)
_NORMAL = 1.96
_LONGEST_DAYS = 3650
_A_GOOD_MANY = 96


@dataclass(frozen=True)
class ReplayPlan:
    """So many replays reach ``half_width``; money as a trial's plan states it, None where a price is unknown.

    ``enough`` is False where even replaying every moved request would not do: then ``replays`` is all of them.
    """

    replays: int
    half_width: float
    cost_nusd: int | None
    cost_most_nusd: int | None
    enough: bool


@dataclass(frozen=True)
class ExplorationPlan:
    """Exploring so much for so many days, at the traffic of the log, reaches ``half_width``; ``days`` is None where ten
    years would not do.

    ``requests`` are those sent to another tier, of which ``labelled`` answer the question. ``cost_nusd`` is what they
    cost more than without exploration, in nano-dollars and negative where the other tier is cheaper; None where a
    price is unknown. ``quality`` is the change in summed quality of these answers: -12 is twelve worse answers.
    """

    rate: float
    days: int | None
    half_width: float | None
    requests: int | None
    labelled: int | None
    cost_nusd: int | None
    quality: float | None


@dataclass(frozen=True)
class EvidencePlan:
    """What it takes to know a change in mean quality to within ``within``; ``known`` is how well the log knows it now,
    half the width of its interval, None where it cannot say at all."""

    within: float
    known: float | None
    replay: ReplayPlan
    exploration: tuple[ExplorationPlan, ...]
    notes: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain data; shares of 1, not points, and nano-dollars."""
        return {
            "within": self.within,
            "known": self.known,
            "replay": dict(vars(self.replay)),
            "exploration": [dict(vars(one)) for one in self.exploration],
            "notes": list(self.notes),
        }


def plan_evidence(
    preview: Preview, target: RoutingConfig, within: float, rates: Sequence[float] = RATES
) -> EvidencePlan:
    """Say what an interval of ± ``within`` (0.01 is a point) in mean quality takes, for one target.

    Raises ``InputError`` where ``within`` or a rate is not between 0 and 1, and ``NoSupportError`` where the target
    moves no request that could be replayed.
    """
    if not 0 < within < 1:
        raise InputError(
            f"an interval of ±{within * 100:g} points cannot be planned for; give some points, such as 1.0"
        )
    for rate in rates:
        if not 0 < rate <= 0.5:
            raise InputError(f"a share of {rate:g} cannot be explored; give one above 0 and at most 0.5")
    moves = Moves.of(preview, target)
    quality = preview.at(target).quality
    known = None if quality.low is None or quality.high is None else (quality.high - quality.low) / 2
    replay = _replays(moves, within)
    notes = []
    if known is not None and known <= within:
        notes.append(f"The log already knows it to ±{known * 100:.2f} points; no more evidence is needed.")
    if not replay.enough:
        notes.append(
            f"Even all {replay.replays:,} moved requests replayed would leave ±{replay.half_width * 100:.2f} points."
        )
    exploration = _Exploration(preview, moves)
    found = tuple(exploration.plan(rate, within) for rate in rates)
    if exploration.share < 1:
        notes.append(
            f"Of explored answers only the labelled ones tell anything: {exploration.share:.0%} are, if that goes on."
        )
    return EvidencePlan(within, known, replay, found, tuple(notes))


def _replays(moves: Moves, within: float) -> ReplayPlan:
    """Find the fewest replays whose expected interval is narrow enough; each halving takes about four times as many."""
    least, most = 2, max(moves.requests, 2)
    best = Plan.of(moves, most)
    if best.half_width > within:
        return ReplayPlan(best.replays, best.half_width, best.cost_nusd, best.cost_most_nusd, False)
    while least < most:
        middle = (least + most) // 2
        plan = Plan.of(moves, middle)
        if plan.half_width <= within:
            best, most = plan, middle
        else:
            least = middle + 1
    return ReplayPlan(best.replays, best.half_width, best.cost_nusd, best.cost_most_nusd, True)


class _Exploration:
    """Answers explored at random, set against the logged ones: by stratum, the difference of two means.

    Exploration is aimed: only at the features that the target changes, and at the tiers it moves them to. Other
    requests of those features are explored too, and paid for, though they tell nothing of this move.
    """

    def __init__(self, preview: Preview, moves: Moves) -> None:
        cube = preview.cube
        self.decisions, self.days = cube.decisions, max(cube.days, 1)
        self.share = float(moves.labelled.sum() / max(moves.requests, 1))
        aim = np.zeros(len(cube.tiers), dtype=np.bool_)
        aim[moves.new] = True
        stratum = Plan.of(moves, min(max(moves.requests, 2), _A_GOOD_MANY)).stratum

        def by_stratum(values: npt.NDArray[np.generic]) -> Floats:
            return np.bincount(stratum, values.astype(float)).astype(float)

        count, old, new = by_stratum(moves.count), *_variances(moves)
        mass = by_stratum(moves.count * moves.weight) ** 2
        chance = 1 / (aim.sum() - aim[moves.old])
        self._old, self._new = (
            mass * by_stratum(moves.count * old) / count,
            mass * by_stratum(moves.count * new) / count,
        )
        self._logged, self._count = by_stratum(moves.labelled), count
        self._told = by_stratum(cube.tally.labelled[:, moves.feature, moves.new, moves.score].sum(axis=0))
        self._a_day = by_stratum(moves.count * np.abs(moves.weight) * chance) / self.days
        self._pay(preview, np.unique(moves.feature), aim)

    def _pay(self, preview: Preview, features: Ints, aim: npt.NDArray[np.bool_]) -> None:
        """Sum what exploring every request of these features would take, over the window."""
        tally, live = preview.cube.tally, preview.live.tier_of()
        feature, score = (side.ravel() for side in np.meshgrid(features, np.arange(101), indexing="ij"))
        was = live[feature, score]
        count = tally.decisions[POLICY, feature, was, score]
        expected = Expectations(preview)
        cost, quality = expected.cost(feature, was, score), expected.quality(feature, was, score)
        others = np.maximum(aim.sum() - aim[was], 0)
        self.requests, self.cost, self.quality = 0.0, 0.0, 0.0
        self.graded = len(quality) > 0
        for tier in np.flatnonzero(aim):
            to = np.full(len(was), tier)
            share = np.divide(count * (was != tier), others, out=np.zeros(len(was)), where=others > 0)
            self.requests += float(share.sum())
            extra = expected.cost(feature, to, score) - cost
            self.cost += float((share * extra)[share > 0].sum())
            if self.graded:
                self.quality += float(share @ np.median(expected.quality(feature, to, score) - quality, axis=0))

    def half_width(self, rate: float, days: int) -> float:
        """Return what so many days of exploring at a rate lead to; infinite where nothing labelled ever comes."""
        told = self._told + self._a_day * rate * self.share * days
        logged = self._logged + self.share * self._count * days / self.days
        variance = _ratio(self._new, told) + _ratio(self._old * (1 - self.share), logged)
        return float(_NORMAL * variance.sum() ** 0.5 / self.decisions)

    def plan(self, rate: float, within: float) -> ExplorationPlan:
        """Find the fewest days."""
        if self.half_width(rate, _LONGEST_DAYS) > within:
            return ExplorationPlan(rate, None, None, None, None, None, None)
        least, most = 1, _LONGEST_DAYS
        while least < most:
            middle = (least + most) // 2
            if self.half_width(rate, middle) <= within:
                most = middle
            else:
                least = middle + 1
        scale = rate * most / self.days
        return ExplorationPlan(
            rate,
            most,
            self.half_width(rate, most),
            round(self.requests * scale),
            round(float(self._a_day.sum()) * rate * self.share * most),
            None if np.isnan(self.cost) else round(self.cost * scale),
            self.quality * scale if self.graded else None,
        )


def _variances(moves: Moves) -> tuple[Floats, Floats]:
    """Return the variance of one answer's quality on the old tier and on the new, by cell."""
    if not len(moves.after):
        return np.full(len(moves), 0.25), np.full(len(moves), 0.25)
    before, after = (np.median(side, axis=0) for side in (moves.before, moves.after))
    return before * (1 - before), after * (1 - after) + (moves.after - moves.before).var(axis=0)


def _ratio(over: Floats, under: Floats) -> Floats:
    found: Floats = np.divide(over, under, out=np.where(over > 0, np.inf, 0.0), where=under > 0)
    return found
