"""Suggested boundaries are the cheapest there are among the safe ones, and the frontier holds nothing beaten."""

from __future__ import annotations

from itertools import combinations_with_replacement, pairwise

import numpy as np
import pytest

from router_core.config import set_values
from router_core.projection import Preview
from router_core.projection.optimize import _cheapest_path, frontier, suggest
from tests.logs import Log, simulate


@pytest.fixture(scope="module")
def log() -> Log:
    return simulate(5, 6000, plain=True, explore=0.3, starts=[0, 40, 75])


@pytest.fixture(scope="module")
def preview(log: Log) -> Preview:
    return Preview(log.cube, log.config, log.prices, 100)


def test_the_suggestion_is_the_cheapest_of_all_safe_settings(preview: Preview) -> None:
    floor = 0.80
    found = suggest(preview, floor).features[0]
    base = preview.live.starts.copy()
    decisions = int(preview.cube.decisions_by_feature[0])
    today = float(preview.quality_by_feature[0]) / decisions
    best = None
    for first, second in combinations_with_replacement(range(0, 101, 1), 2):
        if abs(first - found.suggested["MEDIUM"]) > 12 or abs(second - found.suggested["COMPLEX"]) > 12:
            continue  # a neighbourhood is enough to catch a wrong turn, and takes seconds instead of minutes
        starts = base.copy()
        starts[0] = first, second
        boundaries = np.concatenate([np.zeros((len(starts), 1), dtype=int), starts], axis=1)
        projection = preview.at_boundaries(boundaries)
        own = projection.by_feature[0]
        if own.quality.change is None or own.quality.low is None or own.cost.change is None:
            continue
        if today + own.quality.low >= floor and (best is None or own.cost.change < best):
            best = own.cost.change
    chosen = base.copy()
    chosen[0] = found.suggested["MEDIUM"], found.suggested["COMPLEX"]
    boundaries = np.concatenate([np.zeros((len(chosen), 1), dtype=int), chosen], axis=1)
    assert preview.at_boundaries(boundaries).by_feature[0].cost.change == best
    assert found.quality_low >= floor


def test_every_suggested_feature_clears_its_floor_and_saves(preview: Preview) -> None:
    suggestion = suggest(preview, 0.75)
    assert all(one.quality_low >= 0.75 for one in suggestion.features)
    assert suggestion.projection.cost.change is not None
    assert suggestion.projection.cost.change < 0
    assert preview.at(suggestion.config).cost == suggestion.projection.cost


def test_a_floor_that_nothing_clears_leaves_boundaries_as_they_are(preview: Preview) -> None:
    suggestion = suggest(preview, 1.0)
    assert not any(one.changed for one in suggestion.features)
    assert all("no setting" in one.why for one in suggestion.features)
    assert suggestion.projection.cost.change == 0


def test_pinned_features_and_features_without_labels_stay(log: Log) -> None:
    config = set_values(log.config, ["features.feature-1.pin=COMPLEX"])
    made = Preview(log.cube, config, log.prices, 20)
    assert [one.feature for one in suggest(made, 0.5).features] == ["feature-0"]
    bare = simulate(5, 500, labelled=0.0)
    stays = suggest(Preview(bare.cube, bare.config, bare.prices, 10), 0.5)
    assert not any(one.changed for one in stays.features)
    assert frontier(Preview(bare.cube, bare.config, bare.prices, 10)) == []


def test_a_feature_has_its_own_floor(log: Log) -> None:
    config = set_values(log.config, ["features.feature-0.quality_floor=1.0", "quality_floor=0.7"])
    first, second = suggest(Preview(log.cube, config, log.prices, 50)).features
    assert (first.floor, second.floor) == (1.0, 0.7)
    assert not first.changed
    assert second.changed


def test_nothing_on_the_frontier_is_beaten(preview: Preview) -> None:
    points = frontier(preview)
    assert len(points) > 5
    for cheaper, dearer in pairwise(points):
        assert cheaper.cost_change < dearer.cost_change
        assert cheaper.quality_change < dearer.quality_change
    assert points[0].cost_change < 0 < points[-1].quality_change


def test_the_cheapest_path_equals_trying_every_path() -> None:
    random = np.random.default_rng(1)
    for _ in range(20):
        price = random.normal(size=(3, 3, 9))
        starts = _cheapest_path(price)
        for feature in range(3):
            paths = list(combinations_with_replacement(range(9), 3))
            costs = [sum(price[feature, k, path[k]] for k in range(3)) for path in paths]
            mine = sum(price[feature, k, starts[feature, k]] for k in range(3))
            assert mine == pytest.approx(min(costs))
            assert list(starts[feature]) == sorted(starts[feature])
