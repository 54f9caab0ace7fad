"""What differs between two configurations is listed by path, and settings on the command line change just that."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_core.config import Change, build_config, default_config, diff_configs, plain, set_values
from router_core.errors import ConfigError


def paths(*settings: str) -> list[str]:
    return [str(change) for change in diff_configs(default_config(), set_values(default_config(), settings))]


def test_a_configuration_does_not_differ_from_itself() -> None:
    assert diff_configs(default_config(), default_config()) == []


def test_a_moved_boundary_is_one_line() -> None:
    assert paths("boundaries.COMPLEX=70") == ["tiers.COMPLEX.score_min: 75 -> 70"]
    assert paths("tiers.COMPLEX.score_min=70") == ["tiers.COMPLEX.score_min: 75 -> 70"]
    assert paths("tiers.2.score_min=70") == ["tiers.COMPLEX.score_min: 75 -> 70"]


def test_settings_apply_together_so_that_their_order_does_not_matter() -> None:
    both = ["boundaries.MEDIUM=80", "boundaries.COMPLEX=85"]
    assert set_values(default_config(), both) == set_values(default_config(), both[::-1])


def test_a_feature_may_get_boundaries_of_its_own() -> None:
    assert paths("features.support_chat.boundaries.COMPLEX=80") == [
        "features.support_chat.boundaries.COMPLEX: (none) -> 80"
    ]
    config = set_values(default_config(), ["features.new_one.boundaries.COMPLEX=80"])
    assert config.boundaries("new_one") == (0, 45, 80, 92)


def test_names_with_dots_are_found_whole_and_new_ones_go_in_brackets() -> None:
    assert paths("models.gpt-4.1-mini.context_window=5000") == ["models.gpt-4.1-mini.context_window: 1047576 -> 5000"]
    added = set_values(default_config(), ["models.[gpt-6.1].provider=openai", "tiers.REASONING.models=[gpt-6.1]"])
    assert added.tier("REASONING").models == ("gpt-6.1",)


def test_values_are_yaml() -> None:
    config = set_values(
        default_config(),
        [
            "exploration.rate=0.1",
            "exploration.tiers=[SIMPLE, MEDIUM]",
            "features.support_chat.pin=~",
            "cache.mode=exact",
        ],
    )
    assert (config.exploration.rate, config.exploration.tiers) == (0.1, ("SIMPLE", "MEDIUM"))
    assert config.cache.mode == "exact"


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("boundaries.COMPLEX", "is not PATH=VALUE; write for instance boundaries.COMPLEX=70"),
        ("=70", "is not PATH=VALUE"),
        ("boundaries.COMPLX=70", "there is no 'COMPLX' here; did you mean 'COMPLEX'?"),
        ("boundaries.COMPLEX=95", "boundaries cross: REASONING starts at 92, below COMPLEX at 95"),
        ("boundaries.COMPLEX=high", "valid integer (it is 'high')"),
        ("boundaries.COMPLEX=[", "the value of 'boundaries.COMPLEX' is not YAML"),
        ("boundries.COMPLEX=70", "unknown key 'boundries'; did you mean 'boundaries'?"),
        ("exploration.rat=0.1", "unknown key 'rat'; did you mean 'rate'?"),
        ("timeout.seconds=5", "what stands before 'seconds' is a value, not a section"),
        ("rules.7.score=5", "there is no '7' here; it has 3 entries, counted from 0"),
        ("features.support_chat.boundaries.COMPLX=80", "unknown tier 'COMPLX'; did you mean 'COMPLEX'?"),
        ("timezone=2026-13-45", "is not YAML"),
    ],
)
def test_a_wrong_setting_is_one_sentence(setting: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        set_values(default_config(), [setting])
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_added_and_removed_parts_are_shown_as_none() -> None:
    data = plain(default_config())
    data["features"] = {name: value for name, value in data["features"].items() if name != "code_assistant"}
    changes = diff_configs(default_config(), build_config(data))
    assert Change("features.code_assistant.team", "engineering", None) in changes
    assert all(change.new is None for change in changes)
    assert "features.code_assistant.team: engineering -> (none)" in [str(change) for change in changes]


marks = st.lists(st.integers(0, 100), min_size=3, max_size=3).map(sorted)


@given(marks, marks)
def test_a_difference_names_exactly_the_boundaries_that_moved(before: list[int], after: list[int]) -> None:
    old, new = (default_config().with_boundaries([0, *ladder]) for ladder in (before, after))
    names = default_config().tier_names[1:]
    assert {change.path for change in diff_configs(old, new)} == {
        f"tiers.{name}.score_min" for name, a, b in zip(names, before, after, strict=True) if a != b
    }
