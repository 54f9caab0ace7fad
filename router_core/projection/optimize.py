"""Search: the cheapest boundaries whose quality is safe, feature by feature, and the frontier of cost against quality.

What a policy changes is a sum of table rows, one a boundary, so features can be searched apart and every setting of a
feature's boundaries can be looked at: about 177,000 for four tiers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.projection.estimate import Preview
from router_core.projection.result import Projection
from router_core.projection.support import LEAST_LABELS, RED
from router_core.projection.target import SCORES, Target
from router_core.projection.verdict import lower_place

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]

_MOST_SETTINGS = 400_000  # looked at for one feature; with more tiers than four, boundaries move in steps
_AT_ONCE = 1_000
_SLOPES = 400  # prices of quality tried for the frontier
MARGIN = 0.01
"""Without any floor, quality may fall by a point."""

FloorOf = Literal["feature", "configuration", "today"]


@dataclass(frozen=True)
class FeatureSuggestion:
    """Boundaries for one feature: today's and the cheapest safe ones (``score_min`` by tier), and in a sentence why.

    ``quality_low`` is the lower end of its projected quality, which clears ``floor``; ``floor_of`` says whose floor
    that is: the feature's own, the configuration's, or, where neither sets one, a point below today's quality. Where no
    setting is known to clear it, it is not ``safe``, and the boundaries stay.
    """

    feature: str
    live: dict[str, int]
    suggested: dict[str, int]
    floor: float
    floor_of: FloorOf
    quality: float
    quality_low: float
    safe: bool
    why: str

    @property
    def changed(self) -> bool:
        return self.live != self.suggested


@dataclass(frozen=True)
class Suggestion:
    """The features' suggestions, the configuration that adopts them, and what it is projected to do."""

    features: tuple[FeatureSuggestion, ...]
    config: RoutingConfig
    projection: Projection


@dataclass(frozen=True)
class FrontierPoint:
    """One policy that nothing cheaper equals in quality: changes in cost (nano-dollars) and in mean quality."""

    boundaries: dict[str, dict[str, int]]
    cost_change: float
    quality_change: float


def suggest(preview: Preview, floors: RoutingConfig | None = None) -> Suggestion:
    """Find for each feature the cheapest boundaries whose lower bound of quality clears its floor.

    The floor is the feature's own, else the configuration's, else a point below today's quality; they are those of
    ``floors``, a configuration that differs in them perhaps, else of the live one. Settings are looked at in order of
    cost, so the first that clears is the cheapest there is; features do not touch each other, so all of them together
    are the cheapest in which each keeps its floor. Settings that lean on thin support, or send traffic to a tier with
    fewer than 100 labels, are not safe. Pinned features stay.
    """
    config, cube = preview.config, preview.cube
    settings = _settings(len(cube.tiers))
    starts = preview.live.starts.copy()
    found: list[FeatureSuggestion] = []
    for index, name in enumerate(cube.features):
        decisions = int(cube.decisions_by_feature[index])
        entry = config.features.get(name)
        if not decisions or (entry is not None and entry.pin is not None) or not cube.tally.decisions[:, index].any():
            continue
        today = float(preview.quality_by_feature[index]) / decisions
        floor, floor_of = _floor(floors or config, name, today)
        chosen, quality, low, safe, why = _cheapest(preview, index, settings, floor, today, decisions)
        starts[index] = chosen
        live = _named(cube.tiers, preview.live.starts[index])
        found.append(
            FeatureSuggestion(name, live, _named(cube.tiers, chosen), floor, floor_of, quality, low, safe, why)
        )
    adopted = config
    for one in found:
        if one.changed:
            adopted = adopted.with_boundaries(list(one.suggested.values()), one.feature)
    projection = preview.project(Target(starts, preview.live.exploration))
    return Suggestion(tuple(found), adopted, projection)


def frontier(preview: Preview, points: int = 25) -> list[FrontierPoint]:
    """Return policies from the cheapest to the best that no other beats in both cost and quality, by point estimate.

    For one price of quality the best policy is found exactly, for all features at once, by dynamic programming over
    the boundaries; the price is then varied. Empty where quality or cost is unknown.
    """
    tables, cube, live = preview.tables, preview.cube, preview.live
    families = tables.families
    if not families or not len(preview.cube.tiers) - 1 or tables.point.rows.shape[1] == families:
        return []
    rows = tables.point.rows[..., 0].reshape(*live.starts.shape, SCORES + 1, -1)[:, :, :SCORES]
    quality, cost = rows[..., :families].mean(axis=3), rows[..., families:].mean(axis=3)
    pinned = np.array(
        [(entry := preview.config.features.get(name)) is not None and entry.pin is not None for name in cube.features]
    )
    unit = np.abs(cost).max() / max(np.abs(quality).max(), 1e-9)
    found: dict[bytes, Ints] = {}
    for slope in np.concatenate([[0.0], np.geomspace(1e-4, 1e4, _SLOPES) * unit]):
        starts = _cheapest_path(cost - slope * quality)
        starts[pinned] = live.starts[pinned]
        found.setdefault(starts.tobytes(), starts)
    measured = [(*preview.glance(_with_first(starts)), starts) for starts in found.values()]
    kept = _undominated(measured)
    places = np.unique(np.linspace(0, len(kept) - 1, min(points, len(kept))).round().astype(int))
    return [
        FrontierPoint(
            {name: _named(cube.tiers, kept[place][2][row]) for row, name in enumerate(cube.features)},
            kept[place][0],
            kept[place][1],
        )
        for place in places
    ]


def _floor(config: RoutingConfig, feature: str, today: float) -> tuple[float, FloorOf]:
    entry = config.features.get(feature)
    if entry is not None and entry.quality_floor is not None:
        return entry.quality_floor, "feature"
    if config.quality_floor is not None:
        return config.quality_floor, "configuration"
    return max(today - MARGIN, 0.0), "today"


def _cheapest(
    preview: Preview, feature: int, settings: Ints, floor: float, today: float, decisions: int
) -> tuple[Ints, float, float, bool, str]:
    """Return the cheapest safe starts of a feature, its projected quality, the lower end of it, whether that clears the
    floor, and why these."""
    tables, live = preview.tables, preview.live.starts[feature]
    families, first = tables.families, tables.point.first[feature]
    if not families:
        return live, today, today, False, "stays: nothing is labelled, so no move is known to be safe"
    point = _summed(tables.point.rows[..., 0], first, settings, live)
    counts = _summed(tables.counts.rows[..., 0], first, settings, live)
    quality = today + np.median(point[:, :families], axis=1) / decisions
    cost = np.median(point[:, families:], axis=1) if point.shape[1] > families else np.zeros(len(point))
    thin = counts[:, 1] > RED * decisions
    unlabelled = (counts[:, 2:][:, preview.labels_by_tier < LEAST_LABELS] > 1e-9).any(axis=1)
    possible = np.flatnonzero((quality >= floor) & ~thin & ~unlabelled)
    # Of settings that cost the same, because no request lies between them, the one nearest to today's.
    order = possible[np.lexsort((np.abs(settings[possible] - live).sum(axis=1), np.rint(cost[possible])))]
    for begin in range(0, len(order), _AT_ONCE):
        some = order[begin : begin + _AT_ONCE]
        draws = _summed(tables.draws.rows[:, :families], first, settings[some], live)
        place = lower_place(draws.shape[-1])
        draws.partition(place, axis=-1)
        low = today + draws[..., place].min(axis=1) / decisions
        safe = np.flatnonzero(np.minimum(low, quality[some]) >= floor)
        if len(safe):
            chosen = some[safe[0]]
            bound = float(min(low[safe[0]], quality[chosen]))
            if (settings[chosen] == live).all():
                return live, today, today, True, "stays: nothing cheaper is known to clear the floor"
            dollars = f"about ${abs(cost[chosen]) / 1e9:,.2f}"
            why = f"saves {dollars}" if cost[chosen] < 0 else f"costs {dollars} more, as today is below the floor"
            return settings[chosen], float(quality[chosen]), bound, True, why
    return live, today, today, False, "stays: no setting is known to clear the floor"


def _settings(tiers: int) -> Ints:
    """List every rising choice of starts, (settings, tiers - 1); in steps where there would be too many."""
    for step in (1, 2, 4, 5, 10, 20, 25, 50):
        marks = range(0, SCORES, step)
        size, left = 1, len(marks)
        for place in range(tiers - 1):
            size = size * (left + place) // (place + 1)
        if size <= _MOST_SETTINGS:
            return np.array(list(combinations_with_replacement(marks, tiers - 1)), dtype=np.int64).reshape(size, -1)
    return np.zeros((0, tiers - 1), dtype=np.int64)


def _summed(rows: Floats, first: Ints, settings: Ints, live: Ints) -> Floats:
    """Sum the rows of settings, less those of the live one, (settings, columns, ...)."""
    total = np.zeros((len(settings), *rows.shape[1:]), dtype=rows.dtype)
    for boundary, row in enumerate(first):
        own = rows[row : row + SCORES + 1]
        total += (own - own[live[boundary]])[settings[:, boundary]]
    return total


def _cheapest_path(price: Floats) -> Ints:
    """Return the rising starts (F, K - 1) of least total ``price`` (F, K - 1, 101), exactly."""
    features, boundaries, _ = price.shape
    best, came_from = price[:, 0], []
    for boundary in range(1, boundaries):
        lowest = np.minimum.accumulate(best, axis=1)
        # Where the running minimum was last set: the place from which each start is best reached.
        fresh = np.concatenate([np.ones((features, 1), dtype=bool), best[:, 1:] < lowest[:, :-1]], axis=1)
        came_from.append(np.maximum.accumulate(np.where(fresh, np.arange(price.shape[2]), 0), axis=1))
        best = price[:, boundary] + lowest
    starts = np.empty((features, boundaries), dtype=np.int64)
    starts[:, -1] = best.argmin(axis=1)
    for boundary in range(boundaries - 1, 0, -1):
        starts[:, boundary - 1] = came_from[boundary - 1][np.arange(features), starts[:, boundary]]
    return starts


def _undominated(measured: Sequence[tuple[float, float, Ints]]) -> list[tuple[float, float, Ints]]:
    kept: list[tuple[float, float, Ints]] = []
    for one in sorted(measured, key=lambda found: (found[0], -found[1])):
        if not kept or one[1] > kept[-1][1]:
            kept.append(one)
    return kept


def _with_first(starts: Ints) -> Ints:
    return np.concatenate([np.zeros((len(starts), 1), dtype=np.int64), starts], axis=1)


def _named(tiers: Sequence[str], starts: Ints) -> dict[str, int]:
    return dict(zip(tiers, [0, *starts.tolist()], strict=True))
