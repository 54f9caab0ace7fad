"""What measured quality suggests: features that want a stronger tier, or would do with a cheaper one, and drift."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist
from typing import Literal

from router_core.config import RoutingConfig

FEWEST = 30  # labels below which nothing is suggested
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Labelled:
    """Labelled answers of one day: how many, and the sum of their quality, each 0..1."""

    day: date
    feature: str
    tier: str
    labels: int
    quality_sum: float


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean quality 0..1 over ``labels``, with its 95 % interval."""

    labels: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One feature's traffic on one tier that should go ``up`` or ``down`` to the tier ``to``, and the evidence.

    ``since`` is the first day of the evidence. ``sure`` where the whole interval lies beyond the mark.
    """

    feature: str
    tier: str
    direction: Literal["up", "down"]
    to: str
    mark: float
    evidence: Mean
    since: date
    sure: bool


@dataclass(frozen=True, slots=True)
class Drift:
    """A tier's quality before and ``since`` a day; ``low`` and ``high`` bound the change.

    The bounds hold for all tiers at once 95 times in 100. ``certain`` where they leave out zero.
    """

    tier: str
    since: date
    before: Mean
    after: Mean
    low: float
    high: float

    @property
    def change(self) -> float:
        """Quality since then less quality before."""
        return self.after.value - self.before.value

    @property
    def certain(self) -> bool:
        """Whether it is more than chance."""
        return self.low > 0 or self.high < 0


def mean(labels: int, quality_sum: float, *, confidence: float = CONFIDENCE) -> Mean | None:
    """Return a mean quality with its Wilson interval, None of nothing; never too narrow for graded labels."""
    if labels <= 0:
        return None
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    value = min(max(quality_sum / labels, 0.0), 1.0)
    scale = 1 + z * z / labels
    middle = (value + z * z / (2 * labels)) / scale
    half = z * math.sqrt(value * (1 - value) / labels + z * z / (4 * labels * labels)) / scale
    # Rounding must not put the mean itself outside, as it may at 0 and 1.
    return Mean(labels, value, max(min(middle - half, value), 0.0), min(max(middle + half, value), 1.0))


def suggestions(labelled: Iterable[Labelled], config: RoutingConfig) -> list[Suggestion]:
    """Return what to move, the surest and largest first, from the newest labels of each feature on each tier.

    Whole days are taken, newest first, until ``feedback.window`` labels are reached; with fewer than ``FEWEST`` nothing
    is suggested. Pinned features stay, and so do tiers the configuration does not have.
    """
    marks = config.feedback
    names = config.tier_names
    by_cell: dict[tuple[str, str], list[Labelled]] = {}
    for line in labelled:
        by_cell.setdefault((line.feature, line.tier), []).append(line)
    found = []
    for (feature, tier), lines in sorted(by_cell.items()):
        own = config.features.get(feature)
        if tier not in names or (own is not None and own.pin is not None):
            continue
        evidence, since = _newest(lines, marks.window)
        if evidence is None or since is None or evidence.labels < FEWEST:
            continue
        place = names.index(tier)
        if evidence.value < marks.upgrade_below and place < len(names) - 1:
            sure = evidence.high < marks.upgrade_below
            found.append(Suggestion(feature, tier, "up", names[place + 1], marks.upgrade_below, evidence, since, sure))
        elif evidence.value > marks.downgrade_above and place > 0:
            sure = evidence.low > marks.downgrade_above
            found.append(
                Suggestion(feature, tier, "down", names[place - 1], marks.downgrade_above, evidence, since, sure)
            )
    return sorted(found, key=lambda one: (not one.sure, -abs(one.evidence.value - one.mark)))


def drift(labelled: Iterable[Labelled], tiers: Sequence[str], since: date) -> list[Drift]:
    """Return how the quality of each tier changed at a day, for the tiers labelled on both sides of it.

    The interval is Newcombe's, from the Wilson intervals of both sides, widened for looking at several tiers at once.
    """
    sums = {(tier, side): [0, 0.0] for tier in tiers for side in (False, True)}
    for line in labelled:
        if line.tier in tiers:
            entry = sums[line.tier, line.day >= since]
            entry[0] += line.labels
            entry[1] += line.quality_sum
    both = [tier for tier in tiers if sums[tier, False][0] > 0 and sums[tier, True][0] > 0]
    found = []
    for tier in both:
        confidence = 1 - (1 - CONFIDENCE) / len(both)
        before, after = (_wide(sums[tier, side], confidence) for side in (False, True))
        change = after.value - before.value
        low = change - math.hypot(after.value - after.low, before.high - before.value)
        high = change + math.hypot(after.high - after.value, before.value - before.low)
        found.append(Drift(tier, since, before, after, low, high))
    return found


def _wide(entry: Sequence[float], confidence: float) -> Mean:
    found = mean(int(entry[0]), entry[1], confidence=confidence)
    assert found is not None
    return found


def _newest(lines: Sequence[Labelled], window: int) -> tuple[Mean | None, date | None]:
    labels, total, since = 0, 0.0, None
    for line in sorted(lines, key=lambda line: line.day, reverse=True):
        if labels >= window:
            break
        if line.labels:
            labels, total, since = labels + line.labels, total + line.quality_sum, line.day
    return mean(labels, total), since
