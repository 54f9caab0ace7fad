"""From what a change comes to under every model and resample, to what may be said: a figure, a range, or a sentence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_core.projection.result import Estimate, Interval, Money, Share
from router_core.projection.support import LEAST_LABELS, colour

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Change:
    """What one policy changes: ``quality`` (families,) and ``quality_draws`` (families, R) as sums over requests,
    ``cost`` and ``cost_draws`` in nano-dollars, requests ``moved``, ``unsupported``, and moved ``onto`` each tier.

    ``floor`` gives quality draws with unsupported requests worth nothing; ``same`` says that no request moves, and
    ``repriced`` what the log's own calls would cost more at other prices.
    """

    quality: Floats
    quality_draws: Floats
    cost: Floats
    cost_draws: Floats
    floor: Callable[[], Floats]
    moved: float
    unsupported: float
    onto: list[float]
    same: bool
    repriced: int = 0


def nothing_moves(tiers: int, repriced: int) -> Change:
    """Return the change of a policy that moves no request, at other prices perhaps."""
    none = np.zeros((0, 1))
    return Change(none[:, 0], none, none[:, 0], none, lambda: none, 0.0, 0.0, [0.0] * tiers, True, repriced)


@dataclass(frozen=True)
class Ground:
    """What a change is set against: the log's own cost, requests and summed quality; None where nothing is labelled."""

    cost: int
    decisions: int
    quality: float | None


def estimate(
    change: Change, ground: Ground, tiers: Sequence[str], labels: Ints, priced: npt.NDArray[np.bool_], notes: list[str]
) -> Estimate:
    """Say what the evidence allows; where it does not allow a figure, add a sentence to ``notes``."""
    used = [tier for tier, count in enumerate(change.onto) if count > 1e-9]
    cost = _money(change, ground.cost, all(priced[tier] for tier in used))
    return Estimate(cost, _saving(cost), _quality(change, ground, tiers, labels, used, notes))


def _quality(
    change: Change, ground: Ground, tiers: Sequence[str], labels: Ints, used: list[int], notes: list[str]
) -> Interval:
    count = ground.decisions
    logged = None if ground.quality is None or not count else ground.quality / count
    if change.same:
        return Interval(logged, logged, 0.0, 0.0, 0.0)
    if logged is None or not len(change.quality):
        return Interval(logged, None, None, None, None)
    few = [f"{tiers[tier]} ({int(labels[tier])})" for tier in used if labels[tier] < LEAST_LABELS]
    if few:
        notes.append(
            f"Quality is not projected: fewer than {LEAST_LABELS} labelled requests on {', '.join(few)}, which would "
            "take traffic; label, explore or replay some first."
        )
        return Interval(logged, None, None, None, None)
    share = change.unsupported / count
    if colour(share) == "red":
        floor = change.floor()
        low, high = ends(floor)[0], ends(floor)[1] + change.unsupported
        notes.append(
            f"{share:.0%} of the traffic would go where its new tier has no labelled requests nearby, so the log gives "
            "a range and no estimate; a replay of about 100 of these requests would."
        )
        return Interval(logged, None, None, low / count, high / count)
    point, low, high = models_alone(change, count)
    return Interval(logged, logged + point, point, low, high)


def models_alone(change: Change, count: int) -> tuple[float, float, float]:
    """Return the median of the families' points and the union of their intervals, of the change in mean quality."""
    point = _median(change.quality)
    low, high = ends(change.quality_draws)
    return point / count, min(low, point) / count, max(high, point) / count


def _money(change: Change, logged: int, known: bool) -> Money:
    new = change.repriced
    if change.same:
        return Money(logged, logged + new, new, new, new)
    if not known or not len(change.cost):
        return Money(logged, None, None, None, None)
    point = round(_median(change.cost)) + new
    low, high = ends(change.cost_draws)
    return Money(logged, logged + point, point, min(round(low) + new, point), max(round(high) + new, point))


def _saving(cost: Money) -> Share:
    if cost.change is None or cost.low is None or cost.high is None or not cost.logged:
        return Share(None, None, None)
    # Less from zero, not negated: nothing saved is 0, not -0.
    return Share(0.0 - cost.change / cost.logged, 0.0 - cost.high / cost.logged, 0.0 - cost.low / cost.logged)


def _median(values: Floats) -> float:
    """Return the median of a handful of numbers; numpy's own takes longer than all the rest."""
    ordered: list[float] = sorted(values.tolist())
    return 0.5 * (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2])


def lower_place(replicates: int) -> int:
    """Return the place, in rising order of so many draws, of the lower end of a 95 % interval."""
    return int(0.025 * (replicates - 1))


def ends(draws: Floats) -> tuple[float, float]:
    """Return the union of the families' 95 % intervals, from draws (families, R)."""
    replicates = draws.shape[1]
    first = lower_place(replicates)
    last = replicates - 1 - first
    ordered = np.sort(draws, axis=1)  # of a few hundred, quicker than a partition at two places
    return float(ordered[:, first].min()), float(ordered[:, last].max())
