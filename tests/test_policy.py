"""The policy gives every request one tier, says why, and knows exactly how likely that tier was."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_core.complexity.score import Score
from router_core.config import RoutingConfig, build_config
from router_core.decision import Reason, Request
from router_core.policy import Assignment, assign, propensities, tier_for_score

TIERS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")


def config(marks: tuple[int, ...] = (0, 45, 75, 92), **settings: Any) -> RoutingConfig:
    return build_config(
        {
            "tiers": [
                {"name": name, "models": ["m"], "score_min": mark} for name, mark in zip(TIERS, marks, strict=True)
            ],
            "models": {"m": {"provider": "p"}},
            "providers": {"p": {"base_url": "http://127.0.0.1:1"}},
            **settings,
        }
    )


def score(value: int, **facts: Any) -> Score:
    return Score(value, "embedding", 0.9, "gain-1", **facts)


def assigned(value: int, settings: RoutingConfig, *, draw: float = 0.99, **facts: Any) -> Assignment:
    return assign(score(value), Request("text", **facts), settings, draw=draw)


@pytest.mark.parametrize(
    ("value", "tier"),
    [(0, "SIMPLE"), (44, "SIMPLE"), (45, "MEDIUM"), (74, "MEDIUM"), (75, "COMPLEX"), (100, "REASONING")],
)
def test_a_score_goes_to_the_tier_whose_boundary_it_has_reached(value: int, tier: str) -> None:
    assert assigned(value, config()) == Assignment(tier, Reason.POLICY, 1.0)
    assert tier_for_score(config(), None, value) == tier


def test_of_tiers_with_the_same_boundary_the_strongest_is_used() -> None:
    assert assigned(60, config((0, 60, 60, 92))).tier == "COMPLEX"
    assert assigned(59, config((0, 60, 60, 92))).tier == "SIMPLE"
    assert assigned(0, config((0, 0, 0, 0))).tier == "REASONING"


def test_a_feature_may_have_boundaries_of_its_own() -> None:
    settings = config(features={"chat": {"boundaries": {"MEDIUM": 60}}})
    assert assigned(50, settings, feature="chat").tier == "SIMPLE"
    assert assigned(50, settings, feature="search").tier == "MEDIUM"
    assert tier_for_score(settings, "chat", 50) == "SIMPLE"


def test_a_pin_is_there_for_safety_and_beats_rule_warmth_exploration_and_score() -> None:
    settings = config(features={"legal": {"pin": "REASONING"}}, exploration={"rate": 1.0})
    ruled = score(3, rule_tier="SIMPLE", rule="rules.0", uncertain=True)
    found = assign(ruled, Request("text", feature="legal"), settings, draw=0.0, warm_tier="MEDIUM")
    assert found == Assignment("REASONING", Reason.PIN, 1.0)


def test_a_rule_that_names_a_tier_beats_a_warm_conversation_and_says_which_rule_it_was() -> None:
    ruled = score(3, rule_tier="COMPLEX", rule="rules.4")
    found = assign(ruled, Request("text"), config(exploration={"rate": 1.0}), draw=0.0, warm_tier="SIMPLE")
    assert found == Assignment("COMPLEX", Reason.RULE, 1.0, "rules.4")


def test_a_warm_conversation_stays_where_it_is() -> None:
    found = assign(score(99), Request("text"), config(exploration={"rate": 1.0}), draw=0.0, warm_tier="SIMPLE")
    assert found == Assignment("SIMPLE", Reason.STICKY, 1.0)


def test_a_warm_tier_that_is_no_longer_configured_is_ignored() -> None:
    found = assign(score(99), Request("text"), config(), draw=0.5, warm_tier="PREMIUM")
    assert found == Assignment("REASONING", Reason.POLICY, 1.0)


def test_an_uncertain_score_goes_one_tier_up_and_is_no_evidence_for_its_own_cell() -> None:
    found = assign(score(50, uncertain=True), Request("text"), config(), draw=0.5)
    assert found == Assignment("COMPLEX", Reason.UNCERTAIN, 1.0)


def test_above_the_strongest_tier_there_is_nowhere_to_go() -> None:
    found = assign(score(95, uncertain=True), Request("text"), config(), draw=0.5)
    assert found == Assignment("REASONING", Reason.POLICY, 1.0)


def test_exploration_splits_its_share_evenly_over_the_other_tiers() -> None:
    settings = config(exploration={"rate": 0.3})
    steps = 3_000
    counts = Counter(assigned(50, settings, draw=step / steps) for step in range(steps))
    assert counts == {
        Assignment("MEDIUM", Reason.POLICY, 0.7): 2_100,
        Assignment("SIMPLE", Reason.EXPLORE, 0.3 / 3): 300,
        Assignment("COMPLEX", Reason.EXPLORE, 0.3 / 3): 300,
        Assignment("REASONING", Reason.EXPLORE, 0.3 / 3): 300,
    }


def test_exploration_keeps_to_the_tiers_and_features_that_are_listed() -> None:
    settings = config(exploration={"rate": 0.5, "tiers": ["SIMPLE", "MEDIUM"], "features": ["chat"]})
    assert assigned(50, settings, draw=0.1, feature="chat") == Assignment("SIMPLE", Reason.EXPLORE, 0.5)
    assert assigned(99, settings, draw=0.3, feature="chat") == Assignment("MEDIUM", Reason.EXPLORE, 0.25)
    assert assigned(50, settings, draw=0.1, feature="search") == Assignment("MEDIUM", Reason.POLICY, 1.0)


def test_where_no_other_tier_may_be_explored_the_policy_is_certain() -> None:
    settings = config(exploration={"rate": 0.5, "tiers": ["MEDIUM"]})
    assert assigned(50, settings, draw=0.1) == Assignment("MEDIUM", Reason.POLICY, 1.0)


rates = st.integers(0, 1_000).map(lambda thousandths: thousandths / 1_000)
listed = st.lists(st.sampled_from(TIERS), unique=True)


@given(st.integers(0, 100), rates, listed, st.floats(0.0, 1.0, exclude_max=True))
def test_every_draw_gives_a_tier_with_the_propensity_that_the_policy_states_for_it(
    value: int, rate: float, tiers: list[str], draw: float
) -> None:
    settings = config(exploration={"rate": rate, "tiers": tiers})
    found = assigned(value, settings, draw=draw)
    stated = propensities(settings, "default", tier_for_score(settings, None, value))
    assert found.propensity == stated[found.tier] > 0.0
    assert sum(map(Fraction, stated.values())) == pytest.approx(1.0, abs=1e-12)
    assert (found.reason == Reason.POLICY) == (found.tier == tier_for_score(settings, None, value))


@given(st.integers(0, 100), rates, listed)
def test_over_all_draws_each_tier_comes_as_often_as_its_propensity_says(
    value: int, rate: float, tiers: list[str]
) -> None:
    settings = config(exploration={"rate": rate, "tiers": tiers})
    steps = 1_200
    counts = Counter(assigned(value, settings, draw=(step + 0.5) / steps).tier for step in range(steps))
    for tier, stated in propensities(settings, "default", tier_for_score(settings, None, value)).items():
        assert counts[tier] == pytest.approx(stated * steps, abs=1.01)


@given(st.integers(0, 100), st.booleans(), st.floats(0.0, 1.0, exclude_max=True), st.sampled_from((None, *TIERS)))
def test_the_same_inputs_give_the_same_assignment(value: int, unsure: bool, draw: float, warm: str | None) -> None:
    settings = config(exploration={"rate": 0.5})
    found = [
        assign(score(value, uncertain=unsure), Request("text"), settings, draw=draw, warm_tier=warm) for _ in range(2)
    ]
    assert found[0] == found[1]


@given(st.integers(0, 99), st.tuples(*[st.integers(0, 100)] * 3))
def test_a_higher_score_never_goes_to_a_weaker_tier(value: int, marks: tuple[int, int, int]) -> None:
    settings = config((0, *sorted(marks)))
    lower, higher = assigned(value, settings).tier, assigned(value + 1, settings).tier
    assert TIERS.index(lower) <= TIERS.index(higher)
