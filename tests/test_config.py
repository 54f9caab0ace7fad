"""A configuration is read whole or refused with the line, the key and a way to mend it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from router_core.config import (
    RoutingConfig,
    build_config,
    data_dir,
    default_config,
    dump_config,
    load_config,
    parse_config,
    plain,
    reporting_zone,
)
from router_core.errors import ConfigError

SMALL = """\
tiers:
  - {name: CHEAP, models: [small]}
  - {name: STRONG, models: [large], score_min: 60}
models:
  small: {provider: acme}
  large: {provider: acme, name: large-2026}
providers:
  acme: {base_url: "http://localhost:1/v1"}
"""


def more(text: str) -> str:
    return SMALL + text


def changed(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


def test_the_shipped_configuration_has_four_tiers_in_order() -> None:
    config = default_config()
    assert config.tier_names == ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
    assert config.boundaries() == (0, 45, 75, 92)
    assert config.features["contract_review"].pin == "REASONING"
    assert config.price_names("gpt-4.1-mini") == ("openai", "gpt-4.1-mini")
    assert reporting_zone(config).key == "UTC"


def test_a_model_is_priced_under_the_providers_own_name_for_it() -> None:
    assert parse_config(SMALL).price_names("large") == ("acme", "large-2026")


@pytest.mark.parametrize(
    ("text", "line", "path", "sentence"),
    [
        (more("exploraton: {rate: 0.1}\n"), 9, "exploraton", "unknown key 'exploraton'; did you mean 'exploration'?"),
        (changed("score_min: 60", "scor_min: 60"), 3, "tiers.1.scor_min", "did you mean 'score_min'?"),
        (more("exploration:\n  rat: 0.1\n"), 10, "exploration.rat", "did you mean 'rate'?"),
        (more("features:\n  chat:\n    pinn: STRONG\n"), 11, "features.chat.pinn", "did you mean 'pin'?"),
        (more("rules:\n- when: {keyword: x}\n  tier: CHEAP\n"), 10, "rules.0.when.keyword", "did you mean 'keywords'?"),
        (
            changed("{name: CHEAP, models: [small]}", "{name: CHEAP, models: [small], score_min: 10}"),
            2,
            "tiers.0.score_min",
            "the cheapest tier 'CHEAP' must start at score 0, not 10",
        ),
        (
            changed("score_min: 60}", "score_min: 60}\n  - {name: TOP, models: [large], score_min: 40}"),
            4,
            "tiers.2.score_min",
            "boundaries cross: TOP starts at 40, below STRONG at 60; raise TOP to at least 60 or lower STRONG",
        ),
        (changed("score_min: 60", "score_min: 101"), 3, "tiers.1.score_min", "less than or equal to 100"),
        (changed("score_min: 60", "score_min: 60.5"), 3, "tiers.1.score_min", "valid integer"),
        (changed("score_min: 60", "score_min: high"), 3, "tiers.1.score_min", "(it is 'high')"),
        (
            more("features: {chat: {pin: STRNG}}\n"),
            9,
            "features.chat.pin",
            "unknown tier 'STRNG'; did you mean 'STRONG'?",
        ),
        (
            more("features:\n  chat: {boundaries: {STRONGER: 5}}\n"),
            10,
            "features.chat.boundaries.STRONGER",
            "did you mean 'STRONG'?",
        ),
        (more("rules:\n- when: {feature: chat}\n  tier: STRNG\n"), 11, "rules.0.tier", "did you mean 'STRONG'?"),
        (more("exploration: {rate: .1, tiers: [CHEP]}\n"), 9, "exploration.tiers.0", "did you mean 'CHEAP'?"),
        (more("cascade: {start_tier: x}\n"), 9, "cascade.start_tier", "choose one of 'CHEAP', 'STRONG'"),
        (changed("[small]", "[smal]"), 2, "tiers.0.models.0", "unknown model 'smal'; did you mean 'small'?"),
        (changed("provider: acme}", "provider: acne}"), 5, "models.small.provider", "did you mean 'acme'?"),
        (changed("models: [small]", "models: []"), 2, "tiers.0.models", "at least 1 item"),
        (changed("STRONG", "CHEAP"), 3, "tiers.1.name", "the tier 'CHEAP' is listed twice"),
        (more("baseline_model: larg\n"), 9, "baseline_model", "did you mean 'large'?"),
        (more("fallbacks: {small: [big]}\n"), 9, "fallbacks", "unknown model 'big'"),
        (more("timeout: 5\ntimeout: 6\n"), 10, "timeout", "'timeout' is given twice (first on line 9)"),
        (more("timeout: -1\n"), 9, "timeout", "greater than 0 (it is -1)"),
        (more("timeout: .inf\n"), 9, "timeout", "finite number"),
        (more("exploration: {rate: 5}\n"), 9, "exploration.rate", "less than or equal to 1 (it is 5)"),
        (more("rules:\n- when: {regex: '(?=x)'}\n  score: 5\n"), 10, "rules.0.when.regex", "RE2 has no look-around"),
        (more("rules:\n- when: {}\n  score: 5\n"), 10, "rules.0.when", "needs at least one condition"),
        (more("rules:\n- when: {feature: x}\n"), 10, "rules.0", "sets either 'tier' or 'score'"),
        (
            more("rules:\n- when: {min_tokens: 9, max_tokens: 3}\n  score: 5\n"),
            10,
            "rules.0.when.min_tokens",
            "min_tokens 9 is above max_tokens 3, so the rule never applies",
        ),
        (more("timezone: Mars/Base\n"), 9, "timezone", "'Mars/Base' is not a time zone"),
        (more("timezone: Europe\n"), 9, "timezone", "'Europe' is not a time zone"),
        (more("timezone: ../x\n"), 9, "timezone", "is not a time zone"),
        (more("budgets:\n- {scope: everyone, max_budget: 5}\n"), 10, "budgets.0.scope", "match pattern"),
        (
            more("budgets:\n- {max_budget: 5, soft_budget: 9}\n"),
            10,
            "budgets.0.soft_budget",
            "soft_budget 9 is above max_budget 5, so it would never warn",
        ),
        (more("budgets:\n- {max_budget: lots}\n"), 10, "budgets.0.max_budget", "(it is 'lots')"),
        ("tiers: [\n", 2, None, "this is not YAML"),
        ("tiers: !!python/object:os.system {}\n", 1, None, "this is not YAML"),
        ("timezone: 2026-13-45\n", None, None, "this is not YAML: month must be in 1..12"),
        ("- tiers\n", 1, None, "a configuration is a mapping with 'tiers', 'models' and 'providers'"),
        ("", 1, None, "a configuration is a mapping"),
        ("models: {}\n", None, "tiers", "tiers: field required"),
    ],
)
def test_a_mistake_is_one_sentence_with_line_key_and_suggestion(
    text: str, line: int | None, path: str | None, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_config(text)
    assert sentence in str(caught.value)
    assert (caught.value.line, caught.value.path) == (line, path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["[" * 50_000, "a: " + "{a: " * 5_000, "a: &a [*a]\n"])
def test_endless_nesting_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"nested too deeply|not YAML"):
        parse_config(text)


def test_aliases_of_aliases_cannot_make_a_short_text_large() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    with pytest.raises(ConfigError, match="more values than a configuration can have"):
        parse_config("\n".join(rows))


def test_a_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(SMALL, encoding="utf-8-sig")
    assert load_config(tmp_path / "c.yaml") == parse_config(SMALL)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*absent.yaml.*No such file"):
        load_config(tmp_path / "absent.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"tiers: \xe9")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "latin.yaml")


def test_the_first_feature_boundary_that_crosses_is_found_after_merging() -> None:
    with pytest.raises(
        ConfigError, match=r"boundaries cross for feature 'chat': COMPLEX starts at 10, below MEDIUM at 45"
    ):
        build_config({**plain(default_config()), "features": {"chat": {"boundaries": {"COMPLEX": 10}}}})


ladders = st.lists(st.integers(0, 100), min_size=3, max_size=3).map(lambda marks: [0, *sorted(marks)])


@given(ladders, ladders)
def test_yaml_and_plain_data_bring_back_the_same_configuration(everywhere: list[int], for_chat: list[int]) -> None:
    config = default_config().with_boundaries(everywhere).with_boundaries(for_chat, "support_chat")
    assert parse_config(dump_config(config)) == config
    assert build_config(plain(config)) == config
    assert config.boundaries() == tuple(everywhere)
    assert config.boundaries("support_chat") == tuple(for_chat)
    assert config.boundaries("unheard_of") == tuple(everywhere)


@given(st.lists(st.integers(-5, 105), min_size=4, max_size=4))
def test_only_rising_boundaries_from_zero_are_accepted(marks: list[int]) -> None:
    good = marks == sorted(marks) and marks[0] == 0 and marks[-1] <= 100
    try:
        config: RoutingConfig | None = default_config().with_boundaries(marks)
    except ConfigError:
        config = None
    assert (config is not None) == good


def test_the_shipped_file_is_its_own_round_trip() -> None:
    text = (data_dir() / "config.yaml").read_text(encoding="utf-8")
    assert parse_config(dump_config(parse_config(text))) == parse_config(text)


def test_the_shipped_file_names_every_setting() -> None:
    text = (data_dir() / "config.yaml").read_text(encoding="utf-8")
    missing = [name for name in _settings(RoutingConfig) if not re.search(rf"\b{name}:", text)]
    assert missing == []


def test_what_the_shipped_file_shows_as_a_comment_can_be_used() -> None:
    text = (data_dir() / "config.yaml").read_text(encoding="utf-8")
    shown = re.sub(r"(?m)^( *)# ( *(?:- |[a-z_]+:))", r"\1\2", text)
    config = parse_config(shown)
    assert config.hedge_after == 3
    assert config.cache.embeddings == "openai/text-embedding-3-small"
    assert config.cascade.checks
    assert config.budgets[0].mode == "downgrade"
    assert config.features["report"].strategy == "cascade"
    assert config.rules[-1].when.user_tier == ("enterprise",)


def _settings(kind: type[BaseModel]) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        yield name
        for inner in _sections(field.annotation):
            yield from _settings(inner)


def _sections(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for inner in getattr(kind, "__args__", ()):
        yield from _sections(inner)


def test_an_unknown_tier_asked_for_is_explained() -> None:
    with pytest.raises(ConfigError, match="there is no tier 'COMPLX'; did you mean 'COMPLEX'"):
        default_config().tier("COMPLX")
