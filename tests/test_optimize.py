"""Suggested boundaries are the cheapest there are among the safe ones, and the frontier holds nothing beaten."""

from __future__ import annotations

from itertools import combinations_with_replacement, pairwise, product

import numpy as np
import pytest

from router_core.config import RoutingConfig, set_values
from router_core.projection import Preview
from router_core.projection.optimize import _cheapest_path, frontier, suggest
from router_core.projection.result import FeatureEstimate
from tests.logs import Log, simulate


@pytest.fixture(scope="module")
def log() -> Log:
    return simulate(5, 6000, plain=True, explore=0.3, starts=[0, 40, 75])


@pytest.fixture(scope="module")
def preview(log: Log) -> Preview:
    return Preview(log.cube, log.config, log.prices, 100)


def floors(preview: Preview, everywhere: float, **own: float) -> RoutingConfig:
    settings = [f"features.{name.replace('_', '-')}.quality_floor={floor}" for name, floor in own.items()]
    return set_values(preview.config, [f"quality_floor={everywhere}", *settings])


def test_the_suggestion_is_the_cheapest_of_all_safe_settings(preview: Preview) -> None:
    floor = 0.80
    found = suggest(preview, floors(preview, floor)).features[0]
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
    suggestion = suggest(preview, floors(preview, 0.75))
    assert all(one.quality_low >= 0.75 for one in suggestion.features)
    assert suggestion.projection.cost.change is not None
    assert suggestion.projection.cost.change < 0
    assert preview.at(suggestion.config).cost == suggestion.projection.cost


def test_a_floor_that_nothing_clears_leaves_boundaries_as_they_are(preview: Preview) -> None:
    suggestion = suggest(preview, floors(preview, 1.0))
    assert not any(one.changed for one in suggestion.features)
    assert all("no setting" in one.why for one in suggestion.features)
    assert suggestion.projection.cost.change == 0


def test_pinned_features_and_features_without_labels_stay(log: Log) -> None:
    config = set_values(log.config, ["features.feature-1.pin=COMPLEX"])
    made = Preview(log.cube, config, log.prices, 20)
    assert [one.feature for one in suggest(made, floors(made, 0.5)).features] == ["feature-0"]
    bare = simulate(5, 500, labelled=0.0)
    unlabelled = Preview(bare.cube, bare.config, bare.prices, 10)
    stays = suggest(unlabelled, floors(unlabelled, 0.5))
    assert not any(one.changed for one in stays.features)
    assert frontier(Preview(bare.cube, bare.config, bare.prices, 10)) == []


def test_a_feature_has_its_own_floor(log: Log) -> None:
    config = set_values(log.config, ["features.feature-0.quality_floor=1.0", "quality_floor=0.7"])
    first, second = suggest(Preview(log.cube, config, log.prices, 50)).features
    assert (first.floor, second.floor) == (1.0, 0.7)
    assert (first.floor_of, second.floor_of) == ("feature", "configuration")
    assert not first.changed
    assert not first.safe
    assert second.changed
    assert second.safe


@pytest.mark.parametrize("own", [{"feature_0": 0.9}, {"feature_0": 0.55, "feature_1": 0.8}, {"feature_1": 0.99}])
def test_no_setting_in_which_every_feature_keeps_its_own_floor_is_cheaper(own: dict[str, float]) -> None:
    log = simulate(11, 5000, plain=True, explore=0.4, starts=[0, 2, 4], highest_score=5)  # seven starts say all
    preview = Preview(log.cube, log.config, log.prices, 60)
    keeping = floors(preview, 0.7, **own)
    kept = [keeping.features[name].quality_floor or 0.7 for name in log.cube.features]
    best = 0  # today's setting, where no other is known to be safe
    for starts in product(combinations_with_replacement(range(7), 2), repeat=2):
        parts = preview.at_boundaries([[0, *one] for one in starts]).by_feature
        if all(_keeps(part, floor) for part, floor in zip(parts, kept, strict=True)):
            best = min(best, sum(part.cost.change or 0 for part in parts))
    found = suggest(preview, keeping)
    assert sum(part.cost.change or 0 for part in found.projection.by_feature) == best
    assert [one.floor for one in found.features] == kept
    assert all(
        _keeps(part, one.floor) or not one.safe
        for part, one in zip(found.projection.by_feature, found.features, strict=True)
    )
    assert any(one.changed for one in found.features)


def _keeps(part: FeatureEstimate, floor: float) -> bool:
    """Whether a feature is known to keep a floor; one that nothing moves is as good as it was, whatever that is."""
    quality = part.quality
    if not part.moved:
        return True
    if quality.logged is None or quality.change is None or quality.low is None:
        return False
    return quality.logged + quality.low >= floor


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
