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

    ``floor`` gives quality draws with unsupported requests worth nothing; ``same`` says that nothing differs.
    """

    quality: Floats
    quality_draws: Floats
    cost: Floats
    cost_draws: Floats
    floor: Callable[[], Floats]
    moved: float
    unsupported: float
    onto: Floats
    same: bool


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
    used = change.onto > 1e-9
    cost = _money(change, ground.cost, bool(priced[used].all()))
    return Estimate(cost, _saving(cost), _quality(change, ground, tiers, labels, used, notes))


def _quality(
    change: Change, ground: Ground, tiers: Sequence[str], labels: Ints, used: npt.NDArray[np.bool_], notes: list[str]
) -> Interval:
    count = ground.decisions
    logged = None if ground.quality is None or not count else ground.quality / count
    if change.same:
        return Interval(logged, logged, 0.0, 0.0, 0.0)
    if logged is None or not len(change.quality):
        return Interval(logged, None, None, None, None)
    few = [f"{tiers[int(tier)]} ({int(labels[tier])})" for tier in np.flatnonzero(used & (labels < LEAST_LABELS))]
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
    point = float(np.median(change.quality))
    low, high = ends(change.quality_draws)
    low, high = min(low, point) / count, max(high, point) / count
    return Interval(logged, logged + point / count, point / count, low, high)


def _money(change: Change, logged: int, known: bool) -> Money:
    if change.same:
        return Money(logged, logged, 0, 0, 0)
    if not known or not len(change.cost):
        return Money(logged, None, None, None, None)
    point = round(float(np.median(change.cost)))
    low, high = ends(change.cost_draws)
    return Money(logged, logged + point, point, min(round(low), point), max(round(high), point))


def _saving(cost: Money) -> Share:
    if cost.change is None or cost.low is None or cost.high is None or not cost.logged:
        return Share(None, None, None)
    # Less from zero, not negated: nothing saved is 0, not -0.
    return Share(0.0 - cost.change / cost.logged, 0.0 - cost.high / cost.logged, 0.0 - cost.low / cost.logged)


def ends(draws: Floats) -> tuple[float, float]:
    """Return the union of the families' 95 % intervals, from draws (families, R)."""
    replicates = draws.shape[1]
    first = int(0.025 * (replicates - 1))
    last = replicates - 1 - first
    ordered = np.partition(draws, (first, last), axis=1)
    return float(ordered[:, first].min()), float(ordered[:, last].max())
