"""A draft keeps boundaries apart from the live configuration, never lets them cross, and fits into a link."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.draft import (
    EVERYWHERE,
    EXPLORATION,
    FLOOR,
    STRATEGY,
    THRESHOLD,
    Draft,
    difference,
    nudged,
    told,
    value_of,
)
from router_core.config import RoutingConfig, default_config, dump_config
from router_core.errors import ConfigError


@pytest.fixture(scope="module")
def live() -> RoutingConfig:
    return default_config()


def test_an_untouched_draft_is_the_live_configuration(live: RoutingConfig) -> None:
    assert Draft().config(live) == live
    assert Draft().to_query(live) == ""
    assert difference(dump_config(live), dump_config(Draft().config(live))) == ""


def test_moving_a_boundary_back_leaves_nothing_to_push(live: RoutingConfig) -> None:
    moved = Draft().with_scope(EVERYWHERE, (0, 50, 75, 92), live)
    assert moved.config(live).boundaries() == (0, 50, 75, 92)
    assert moved.with_scope(EVERYWHERE, live.boundaries(), live) == Draft()


def test_a_feature_can_be_moved_alone(live: RoutingConfig) -> None:
    draft = Draft().with_scope("support_chat", (0, 60, 80, 95), live)
    config = draft.config(live)
    assert config.boundaries("support_chat") == (0, 60, 80, 95)
    assert config.boundaries() == live.boundaries()
    assert draft.of("support_chat", live) == (0, 60, 80, 95)
    assert draft.of("code_assistant", live) == live.boundaries()


def test_the_difference_names_what_changes(live: RoutingConfig) -> None:
    target = Draft().with_scope(EVERYWHERE, (0, 50, 75, 92), live).config(live)
    text = difference(dump_config(live), dump_config(target))
    assert "-  score_min: 45" in text.splitlines()
    assert "+  score_min: 50" in text.splitlines()


boundaries = st.lists(st.integers(0, 100), min_size=3, max_size=3).map(lambda values: (0, *sorted(values)))


@given(everywhere=boundaries, chat=boundaries)
def test_a_link_carries_the_draft_and_back(everywhere: tuple[int, ...], chat: tuple[int, ...]) -> None:
    live = default_config()
    draft = Draft().with_scope(EVERYWHERE, everywhere, live).with_scope("support_chat", chat, live)
    assert Draft.from_query(draft.to_query(live), live).config(live) == draft.config(live)


@pytest.mark.parametrize(
    "nonsense",
    ["nonsense", ",MEDIUM:x", ",MEDIUM:101", ",SIMPLE:10", ",MEDIUM:-1", "chat,LARGE:5", ",MEDIUM:90,COMPLEX:10"],
)
def test_a_link_with_nonsense_is_refused_in_a_sentence(nonsense: str, live: RoutingConfig) -> None:
    if nonsense == "nonsense":  # a scope without boundaries changes nothing
        assert Draft.from_query(nonsense, live) == Draft()
        return
    with pytest.raises(ConfigError, match=r"the link asks for|cross"):
        Draft.from_query(nonsense, live)


@given(values=boundaries, index=st.integers(1, 3), value=st.integers(-50, 150))
def test_a_moved_boundary_pushes_its_neighbours_along_and_never_crosses(
    values: tuple[int, ...], index: int, value: int
) -> None:
    moved = nudged(values, index, value)
    assert moved[index] == max(0, min(100, value))
    assert list(moved) == sorted(moved)
    assert moved[0] == 0
    default_config().with_boundaries(moved)


def test_a_draft_that_no_longer_fits_says_so(live: RoutingConfig) -> None:
    fewer = live.model_copy(update={"tiers": live.tiers[:2]})
    assert not Draft({EVERYWHERE: (0, 50, 75, 92)}).fits(fewer)


def test_other_settings_are_part_of_the_draft_and_of_its_link(live: RoutingConfig) -> None:
    draft = (
        Draft()
        .with_value(EVERYWHERE, EXPLORATION, "0.125", live)
        .with_value(EVERYWHERE, THRESHOLD, "0.9", live)
        .with_value("support_chat", STRATEGY, "cascade", live)
        .with_value("support; chat, too.", FLOOR, "0.95", live)
    )
    config = draft.config(live)
    assert (config.exploration.rate, config.cascade.acceptance_threshold) == (0.125, 0.9)
    assert value_of(config, "support_chat", STRATEGY) == "cascade"
    assert value_of(config, "support; chat, too.", FLOOR) == 0.95
    assert value_of(config, "other", STRATEGY) == live.strategy
    assert Draft.from_query(draft.to_query(live), live) == draft


def test_a_setting_moved_back_leaves_nothing_to_push(live: RoutingConfig) -> None:
    moved = Draft().with_value(EVERYWHERE, STRATEGY, "chain", live)
    assert moved.changed
    assert not moved.with_value(EVERYWHERE, STRATEGY, live.strategy, live).changed


@pytest.mark.parametrize(
    "part",
    [
        ",providers.openai.base_url=http://elsewhere",
        ",strategy=fast",
        ",quality_floor=2",
        "chat,exploration.rate=0.1",
        ",quality_floor=0.9]",
        ",baseline_model=gpt-5.2",
    ],
)
def test_a_link_can_change_nothing_else(part: str, live: RoutingConfig) -> None:
    with pytest.raises(ConfigError, match="no draft can change"):
        Draft.from_query(part, live)


def test_what_a_draft_changes_is_said_in_the_order_of_the_tiers(live: RoutingConfig) -> None:
    draft = Draft().with_scope(EVERYWHERE, (0, 50, 76, 93), live).with_scope("chat", (0, 10, 76, 93), live)
    draft = draft.with_value(EVERYWHERE, EXPLORATION, "0.25", live)
    said = told(live, draft.config(live))
    before = live.boundaries()
    assert said[:4] == [
        f"MEDIUM starts at 50, not {before[1]}",
        f"COMPLEX starts at 76, not {before[2]}",
        f"REASONING starts at 93, not {before[3]}",
        f"chat: MEDIUM starts at 10, not {before[1]}",
    ]
    assert said[-1].startswith("exploration.rate: ")
    assert told(live, live) == []
