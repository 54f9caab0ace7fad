"""Proving a preview: which moved requests to replay on their new tier, how many of each kind, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.errors import InputError, NoSupportError
from router_core.projection.moves import Moves

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_A_STRATUM = 8  # replays, about: fewer would not tell its variance
_MOST_STRATA = 12
_NORMAL = 1.96


@dataclass(frozen=True)
class Plan:
    """How a trial draws: ``stratum`` (cells,) of every cell of ``moves``, its ``counts`` (H,) and ``drawn`` (H,).

    ``cost_nusd`` is what the replays are expected to cost on their new tiers, in nano-dollars, and ``cost_most_nusd``
    what they will cost at most, but for one time in forty; None where a price is unknown. ``half_width`` is that of
    the 95 % interval expected of the change in mean quality of all requests of the log.
    """

    moves: Moves
    stratum: Ints
    counts: Ints
    drawn: Ints
    cost_nusd: int | None
    cost_most_nusd: int | None
    half_width: float

    @property
    def replays(self) -> int:
        """Requests to replay."""
        return int(self.drawn.sum())

    @classmethod
    def of(cls, moves: Moves, replays: int) -> Plan:
        """Plan a trial of so many replays, or of all moved requests where there are fewer.

        Requests are ordered by what the models expect the move to change, and cut into strata of equal count times
        spread, so that drawing alike from each is Neyman's allocation: most where outcomes are in doubt and where the
        models disagree. Raises ``NoSupportError`` where the change moves no request that could be replayed, and
        ``InputError`` where fewer than two replays are asked for.
        """
        if replays < 2:
            raise InputError(f"a trial takes two replays at least, not {replays}; 100 is a good number")
        if not len(moves):
            raise NoSupportError(
                "the requests this change would move were all routed by an older configuration, so there is no answer "
                "under the live one to set new answers against"
                if moves.undrawn
                else "this change moves no request of the log, so there is nothing to prove"
            )
        wanted = min(replays, moves.requests)
        load = moves.count * np.abs(moves.weight) * moves.spread
        order = np.lexsort((moves.score, moves.feature, moves.gain))
        strata = max(1, min(_MOST_STRATA, wanted // _A_STRATUM, len(moves)))
        through = np.cumsum(load[order]) - load[order] / 2
        stratum = np.empty(len(moves), dtype=np.int64)
        stratum[order] = np.minimum((through / max(float(load.sum()), 1e-300) * strata).astype(np.int64), strata - 1)
        _, stratum = np.unique(stratum, return_inverse=True)
        counts = np.bincount(stratum, moves.count).astype(np.int64)
        drawn = _allocated(counts, np.bincount(stratum, load).astype(float), wanted)
        cost, most = _price(moves, stratum, counts, drawn)
        return cls(moves, stratum, counts, drawn, cost, most, _half_width(moves, stratum, counts, drawn))


def _allocated(counts: Ints, load: Floats, wanted: int) -> Ints:
    """Share ``wanted`` draws out in proportion to ``load``, at least two and at most all of each stratum."""
    least = np.minimum(counts, 2)
    if least.sum() >= wanted:
        least = np.minimum(counts, 1)
    found = least.astype(float)
    left = wanted - float(least.sum())
    while left > 1e-6 and (free := counts - found > 1e-9).any():
        share = np.where(free, load, 0.0)
        share = share if share.any() else free.astype(float)
        step = np.minimum(left * share / share.sum(), counts - found)
        found += step
        left -= float(step.sum())
    whole = np.floor(found + 1e-6).astype(np.int64)
    short = min(wanted, int(counts.sum())) - int(whole.sum())
    for place in np.argsort(whole - found, kind="stable")[: max(short, 0)]:
        whole[place] += 1
    return np.minimum(whole, counts)


def _price(moves: Moves, stratum: Ints, counts: Ints, drawn: Ints) -> tuple[int | None, int | None]:
    if np.isnan(moves.cost_after).any():
        return None, None
    expected = (drawn / counts)[stratum] * moves.count  # draws of each cell
    mean = float((expected * moves.cost_after).sum())
    spread = float((expected * moves.cost_spread[1] ** 2).sum()) ** 0.5
    return round(mean), round(mean + _NORMAL * spread)


def _half_width(moves: Moves, stratum: Ints, counts: Ints, drawn: Ints) -> float:
    one = np.bincount(stratum, moves.count * (moves.weight * moves.spread) ** 2) / counts
    variance = float((counts.astype(float) * (counts - drawn) * one / drawn).sum())
    return float(_NORMAL * (variance + others_variance(moves)) ** 0.5 / moves.decisions)


def others_variance(moves: Moves) -> float:
    """Return the variance, in summed quality, of the moved requests that those drawn can only stand for."""
    if not len(moves.after):
        return float(moves.others.sum()) * 0.5
    means = np.median(moves.before, axis=0), np.median(moves.after, axis=0)
    return sum(float((moves.others * mean * (1 - mean)).sum()) for mean in means)


@dataclass(frozen=True)
class Chosen:
    """One request to replay on tier ``new``.

    ``weight`` is how many requests of the log it stands for within its cell. ``quality`` is its label, None where it
    has none; ``cost_nusd`` what answering it cost, None where that is unknown; ``cached`` that it was answered from a
    cache, as it would have been on any tier. ``level`` is the quality expected of its old tier, ``gain`` the change
    expected; ``cost_level`` and ``cost_gain`` the same of cost, in nano-dollars.
    """

    id: str
    feature: str
    score: int
    old: str
    new: str
    stratum: int
    weight: float
    quality: float | None
    cost_nusd: int | None
    cached: bool
    level: float
    gain: float
    cost_level: float | None
    cost_gain: float | None


@dataclass(frozen=True)
class Trial:
    """The requests chosen, and all that is known of those that were not: what a proof takes beside the outcomes.

    ``counts``, ``variance`` and ``cost_variance`` (of one request, expected) are by stratum. ``gain`` and ``labels``
    sum over all moved requests the expected change in quality and how far labels lie from what is expected;
    ``labels_mean`` and ``labels_count`` say how far on average, and of how many. ``cost_gain`` and ``costs`` are the
    same of cost. ``others`` and ``cost_others`` are variances of what cannot be drawn.
    """

    chosen: tuple[Chosen, ...]
    counts: tuple[int, ...]
    variance: tuple[float, ...]
    cost_variance: tuple[float, ...]
    decisions: int
    logged_quality: float | None
    logged_cost_nusd: int
    gain: float
    labels: float
    labels_mean: float
    labels_count: int
    cost_gain: float | None
    costs: float | None
    others: float
    cost_others: float
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the trial as plain data."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Trial:
        """Read what ``as_json`` gave."""
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        plain["chosen"] = tuple(Chosen(**one) for one in data["chosen"])
        return cls(**plain)


def draw(plan: Plan, feature: Ints, score: Ints, *, seed: int) -> tuple[Ints, Ints]:
    """Choose at random among requests given by feature and score; returns their places, and the cell of each.

    A stratum that holds fewer than its share gives all it has.
    """
    moves, random = plan.moves, np.random.default_rng(seed)
    cell_of = np.full((len(moves.features), 101), -1, dtype=np.int64)
    cell_of[moves.feature, moves.score] = np.arange(len(moves))
    cell = cell_of[feature, score]
    stratum = np.where(cell >= 0, plan.stratum[cell], -1)
    places = []
    for number, wanted in enumerate(plan.drawn):
        among = np.flatnonzero(stratum == number)
        places.append(np.sort(random.choice(among, min(int(wanted), len(among)), replace=False)))
    found = np.concatenate(places)
    return found, cell[found]


@dataclass(frozen=True)
class Drawn:
    """The requests drawn, in order: the cell of each, its id, its label (NaN: none), and what answering it cost."""

    cells: Ints
    ids: Sequence[bytes]
    quality: Floats
    cost_nusd: Sequence[int | None]
    cached: Sequence[bool]


def open_trial(
    plan: Plan, drawn: Drawn, *, logged_quality: float | None, logged_cost_nusd: int, notes: Sequence[str] = ()
) -> Trial:
    """Put a trial together from the requests drawn; raises ``NoSupportError`` where there are none.

    ``logged_quality`` and ``logged_cost_nusd`` are those of the whole window, for the figures a proof is set against.
    """
    if not len(drawn.cells):
        raise NoSupportError("none of the moved requests is kept row by row any more, so none can be replayed")
    moves = plan.moves
    priced = not (np.isnan(moves.cost_before).any() or np.isnan(moves.cost_after).any())
    level, gain = moves.level, moves.gain
    cost_gain = moves.cost_after - moves.cost_before
    apart = float((moves.weight * (moves.quality - moves.labelled * level)).sum())
    labelled = float((moves.weight * moves.labelled).sum())

    def by_stratum(variance: Floats) -> tuple[float, ...]:
        found: Floats = np.bincount(plan.stratum, moves.count * moves.weight**2 * variance) / plan.counts
        return tuple(found.tolist())

    chosen = tuple(
        Chosen(
            id=drawn.ids[place].hex(),
            feature=moves.features[moves.feature[cell]],
            score=int(moves.score[cell]),
            old=moves.tiers[moves.old[cell]],
            new=moves.tiers[moves.new[cell]],
            stratum=int(plan.stratum[cell]),
            weight=float(moves.weight[cell]),
            quality=None if np.isnan(drawn.quality[place]) else float(drawn.quality[place]),
            cost_nusd=drawn.cost_nusd[place],
            cached=drawn.cached[place],
            level=float(level[cell]),
            gain=float(gain[cell]),
            cost_level=float(moves.cost_before[cell]) if priced else None,
            cost_gain=float(cost_gain[cell]) if priced else None,
        )
        for place, cell in enumerate(drawn.cells.tolist())
    )
    if moves.undrawn > 0.01:
        notes = (
            *notes,
            f"{moves.undrawn:.0%} of the moved requests are of kinds the log holds no fresh example of; "
            "the most alike stand for them.",
        )
    return Trial(
        chosen=chosen,
        counts=tuple(plan.counts.tolist()),
        variance=by_stratum(moves.spread**2),
        cost_variance=by_stratum(moves.cost_spread[1] ** 2),
        decisions=moves.decisions,
        logged_quality=logged_quality,
        logged_cost_nusd=logged_cost_nusd,
        gain=float((moves.weight * moves.count * gain).sum()),
        labels=apart,
        labels_mean=apart / labelled if labelled > 0 else 0.0,
        labels_count=int(moves.labelled.sum()),
        cost_gain=float((moves.weight * moves.count * cost_gain).sum()) if priced else None,
        costs=float((moves.weight * (moves.cost - moves.count * moves.cost_before)).sum()) if priced else None,
        others=others_variance(moves),
        cost_others=float((moves.others * (moves.cost_spread**2).sum(axis=0)).sum()),
        notes=tuple(notes),
    )
