"""Laws of a projection, whatever the log: nothing moved changes nothing, sums are exact, intervals hold their point."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_core.config import RoutingConfig, set_values
from router_core.decision import Kind, Reason
from router_core.projection import Cube, Preview
from router_core.projection.simulated import Lines
from tests.logs import Log, configured, simulate

FEW = settings(max_examples=12, deadline=None)
seeds = st.integers(0, 10_000)


def preview(log: Log, replicates: int = 40) -> Preview:
    return Preview(log.cube, log.config, log.prices, replicates)


def moved(config: RoutingConfig, *marks: int) -> RoutingConfig:
    return config.with_boundaries([0, *marks])


@FEW
@given(
    seed=seeds,
    requests=st.integers(1, 400),
    features=st.integers(1, 4),
    explore=st.sampled_from([0.0, 0.05, 0.3]),
    labelled=st.sampled_from([0.0, 0.2, 1.0]),
    starts=st.sampled_from([[0], [0, 50], [0, 40, 75], [0, 30, 30, 90]]),
)
def test_the_unchanged_configuration_projects_exactly_nothing(
    seed: int, requests: int, features: int, explore: float, labelled: float, starts: list[int]
) -> None:
    log = simulate(seed, requests, features=features, explore=explore, labelled=labelled, starts=starts)
    projection = preview(log, 10).at(log.config)
    cost, quality = projection.cost, projection.quality
    assert (cost.change, cost.low, cost.high) == (0, 0, 0)
    assert cost.projected == cost.logged == log.lines.list_cost_nusd[log.lines.list_cost_nusd > 0].sum()
    assert (quality.change, quality.low, quality.high) == (0.0, 0.0, 0.0)
    assert projection.support.moved_share == 0
    for part in projection.by_feature:
        assert (part.cost.change, part.quality.change, part.moved) == (0, 0.0, 0)


def test_nothing_changes_for_a_configuration_that_came_into_force_in_the_middle_of_the_window() -> None:
    log = simulate(3, 1500, plain=True)
    live = moved(log.config, 55, 80)
    halfway = Preview(log.cube, live, log.prices, 40)
    assert halfway.at(live).cost.change == 0
    assert halfway.at(live).quality.change == 0.0
    back = halfway.at(log.config)
    assert back.cost.change is not None
    assert back.cost.change > 0  # going back sends more traffic to dearer tiers


@FEW
@given(seed=seeds)
def test_the_cube_equals_a_plain_loop_over_requests_to_the_nano_dollar(seed: int) -> None:
    log = simulate(seed, 200)
    cube, lines = log.cube, log.lines
    total, moving, by_feature = 0, {}, [0] * len(cube.features)
    movable = {Reason.POLICY, Reason.EXPLORE, Reason.PIN}
    for entry in range(len(lines.own)):
        cost = max(int(lines.list_cost_nusd[entry]), 0)
        total += cost
        by_feature[lines.feature[entry]] += cost
        if lines.reason[entry] in movable and lines.score[entry] >= 0 and lines.kind[entry] == Kind.ANSWER:
            group = int(lines.reason[entry] == Reason.EXPLORE)
            key = group, int(lines.feature[entry]), int(lines.tier[entry]), int(lines.score[entry])
            moving[key] = moving.get(key, 0) + cost
    assert cube.total_cost == total
    assert cube.cost_by_feature.tolist() == by_feature
    assert {tuple(map(int, place)): int(cube.tally.cost[tuple(place)]) for place in np.argwhere(cube.tally.cost)} == {
        key: cost for key, cost in moving.items() if cost
    }
    assert cube.decisions == int(lines.own.sum())


@FEW
@given(seed=seeds, factor=st.integers(0, 7))
def test_a_price_edit_alone_equals_a_loop_over_calls_to_the_nano_dollar(seed: int, factor: int) -> None:
    log = simulate(seed, 300)
    old = next(price for price in log.prices if price.model == "model-MEDIUM")
    assert old.output_usd_per_mtok is not None
    new = replace(old, id=None, effective_from=date(2026, 3, 1), output_usd_per_mtok=old.output_usd_per_mtok * factor)
    expected = 0
    for entry in range(len(log.lines.own)):
        if log.lines.price_id[entry] == old.id:
            expected += int(log.lines.output_tokens[entry]) * 1600 * (factor - 1)
    projection = preview(log, 5).at(log.config, log.prices.with_prices([new]))
    assert (projection.cost.change, projection.cost.low, projection.cost.high) == (expected, expected, expected)
    assert projection.quality.change == 0.0
    assert sum(part.cost.change or 0 for part in projection.by_feature) == expected


def test_a_contract_price_takes_over_but_an_older_catalogue_price_does_not() -> None:
    log = simulate(1, 300)
    old = next(iter(log.prices))
    older = replace(old, id=None, effective_from=date(2019, 1, 1), input_usd_per_mtok=Decimal(99))
    batch = replace(old, id=None, effective_from=date(2026, 3, 1), processing="batch", input_usd_per_mtok=Decimal(99))
    assert preview(log, 5).at(log.config, log.prices.with_prices([older, batch])).cost.change == 0


@FEW
@given(seed=seeds, first=st.integers(0, 70), second=st.integers(70, 100))
def test_intervals_hold_their_point_and_savings_and_cost_make_up_today(seed: int, first: int, second: int) -> None:
    log = simulate(seed, 1200)
    projection = preview(log).at(moved(log.config, first, second))
    for part in (projection, *projection.by_feature):
        cost, saving, quality = part.cost, part.saving, part.quality
        assert cost.low is not None
        assert cost.high is not None
        assert cost.change is not None
        assert cost.low <= cost.change <= cost.high
        assert cost.projected == cost.logged + cost.change
        assert saving.value is not None
        assert saving.low is not None
        assert saving.high is not None
        assert saving.low <= saving.value <= saving.high
        assert cost.projected + saving.value * cost.logged == pytest.approx(cost.logged)
        if quality.change is not None:
            assert quality.low is not None
            assert quality.high is not None
            assert quality.low <= quality.change <= quality.high
    changes = [part.cost.change for part in projection.by_feature]
    assert sum(change or 0 for change in changes) == pytest.approx(projection.cost.change, rel=0.02, abs=1e6)


@FEW
@given(seed=seeds, tier=st.integers(0, 2))
def test_all_to_one_tier_equals_that_tiers_own_estimate(seed: int, tier: int) -> None:
    log = simulate(seed, 1500, plain=True)
    made = preview(log)
    name = log.config.tier_names[tier]
    pins = [f"features.feature-{index}.pin={name}" for index in range(2)]
    target = set_values(log.config, [*pins, "exploration.rate=0"])
    shares = np.zeros((2, 3))
    shares[:, tier] = 1
    pinned, own = made.at(target), made.at_random(shares)
    assert pinned.cost.change == pytest.approx(own.cost.change, rel=1e-6)
    assert (pinned.quality.change is None) == (own.quality.change is None)
    if pinned.quality.change is not None:
        assert pinned.quality.change == pytest.approx(own.quality.change, rel=1e-6, abs=1e-9)
    named = {0: "all_cheapest", 2: "all_strongest"}.get(tier)
    if named:
        assert pinned.controls[named] == own


def test_doubling_the_log_leaves_estimates_and_shrinks_intervals() -> None:
    log = simulate(11, 3000)
    target = moved(log.config, 50, 80)
    evidence = log.evidence
    sums = [name for name in evidence.__dataclass_fields__ if name not in _KEYS and name not in _FACTS]
    doubled = replace(evidence, **{name: 2 * getattr(evidence, name) for name in sums})
    once = preview(log, 200).at(target)
    twice = Preview(Cube.from_evidence(doubled, log.config, log.prices), log.config, log.prices, 200).at(target)
    for one, two, room in (
        (once.saving.value, twice.saving.value, 0.005),
        (once.quality.change, twice.quality.change, 0.004),
    ):
        assert one is not None
        assert two is not None
        assert abs(one - two) < room
    assert once.decisions * 2 == twice.decisions
    assert _width(twice.saving) < 0.9 * _width(once.saving)
    assert _width(twice.quality) < 0.9 * _width(once.quality)


_KEYS = ("scorer", "feature", "score", "tier", "strategy", "reason", "kind", "model", "price_id")
_FACTS = ("since", "until", "days", "scorers", "features", "tiers", "models")


def _width(value: object) -> float:
    low, high = getattr(value, "low", None), getattr(value, "high", None)
    assert isinstance(low, float)
    assert isinstance(high, float)
    return high - low


@FEW
@given(seed=seeds)
def test_the_order_of_requests_does_not_matter(seed: int) -> None:
    log = simulate(seed, 600)
    order = np.random.default_rng(seed).permutation(len(log.lines.own))
    shuffled = replace(log, lines=log.lines.take(order))
    target = moved(log.config, 52, 77)
    assert preview(log, 20).at(target).as_json() == preview(shuffled, 20).at(target).as_json()


@FEW
@given(seed=seeds)
def test_a_tier_or_a_feature_without_traffic_changes_no_estimate(seed: int) -> None:
    log = simulate(seed, 1500, plain=True, highest_score=98, features=3)
    target = log.config.with_boundaries([0, 55, 80])
    before = preview(log, 100).at(target)
    wider = configured([0, 40, 75, 99], explore=0.05, features={"newcomer": {"pin": "SIMPLE"}})
    # Exploration would reach the new tier as well, so it is left to the tiers that were there.
    wider = set_values(wider, ["exploration.tiers=[SIMPLE, MEDIUM, COMPLEX]"])
    made = Preview(Cube.from_evidence(log.evidence, wider, log.prices), wider, log.prices, 100)
    after = made.at(wider.with_boundaries([0, 55, 80, 99]))
    assert after.cost.change == pytest.approx(before.cost.change, rel=1e-6)
    assert after.support == before.support
    if before.quality.change is not None:
        assert after.quality.change == pytest.approx(before.quality.change, rel=1e-6, abs=1e-9)
    assert _width(after.saving) == pytest.approx(_width(before.saving), rel=0.5)


@FEW
@given(seed=seeds, first=st.integers(0, 70), second=st.integers(70, 100))
def test_features_moved_one_by_one_and_together_agree(seed: int, first: int, second: int) -> None:
    log = simulate(seed, 1200, plain=True, features=3)
    made = preview(log, 10)
    marks = np.tile([0, 40, 75], (3, 1))
    together = np.tile([0, first, second], (3, 1))
    apart = 0.0
    for feature in range(3):
        one = marks.copy()
        one[feature] = together[feature]
        apart += made.glance(one)[0]
    # Each glance is the median over three families, which does not add up exactly; the families themselves do.
    assert apart == pytest.approx(made.glance(together)[0], rel=0.1, abs=1e6)
    assert made.at_boundaries(together).cost.change == pytest.approx(made.glance(together)[0], abs=1)


def test_what_nobody_was_sure_of_stays_where_it_is_and_is_no_evidence() -> None:
    log = simulate(6, 2_000, plain=True)
    unsure = replace(log.lines, reason=np.where(log.lines.score == 40, int(Reason.UNCERTAIN), log.lines.reason))
    fixed = preview(replace(log, lines=unsure), 2)
    assert fixed.cube.tally.decisions[..., 40].sum() == 0
    assert fixed.cube.decisions == 2_000
    same = fixed.at(set_values(log.config, ["boundaries.MEDIUM=41"]))  # only what scores 40 would move
    assert (same.cost.change, same.quality.change, same.support.moved_share) == (0, 0.0, 0.0)


def test_lines_of_a_log_can_be_taken_apart_and_put_together() -> None:
    log = simulate(2, 300)
    half = np.arange(len(log.lines.own)) < 100
    parts = [log.lines.take(half), log.lines.take(~half)]
    joined = Lines(*(np.concatenate([getattr(part, name) for part in parts]) for name in Lines.__dataclass_fields__))
    assert replace(log, lines=joined).cube.total_cost == log.cube.total_cost
