"""Rules: the first whose every condition holds wins, whatever the text is made of."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_core.complexity.excerpt import excerpt
from router_core.complexity.language import guess_language
from router_core.complexity.rules import RuleSet
from router_core.config import RoutingConfig, build_config
from router_core.decision import Request
from router_core.errors import ConfigError


def config(*rules: dict[str, Any]) -> RoutingConfig:
    return build_config(
        {
            "tiers": [{"name": "LOW", "models": ["m"]}, {"name": "HIGH", "models": ["m"], "score_min": 60}],
            "models": {"m": {"provider": "p"}},
            "providers": {"p": {"base_url": "http://127.0.0.1:1"}},
            "rules": list(rules),
        }
    )


def matched(when: dict[str, Any], text: str = "", **facts: Any) -> bool:
    return first([when], text, **facts) == 0


def first(whens: list[dict[str, Any]], text: str, **facts: Any) -> int | None:
    rules = RuleSet(config(*({"when": when, "score": 80} for when in whens)))
    found = rules.first_match(Request(text, **facts), excerpt(text))
    return None if found is None else found[0]


@pytest.mark.parametrize(
    ("keyword", "text", "expected"),
    [
        ("prove", "Prove it.", True),
        ("prove", "PROVE", True),
        ("prove", "(prove)", True),
        ("prove", "improve this", False),
        ("prove", "proven", False),
        ("prove", "prove_it", False),
        ("prove", "prove2", False),
        ("step by step", "Step  by\nstep, please", True),
        ("step by step", "step-by-step", False),
        ("c++", "in C++11 or C++", True),
        ("c++", "in C", False),
        (".net", "a .NET service", True),
        ("a.b", "axb", False),
        ("ber", "über uns", False),
        ("über", "ÜBER uns", True),
        ("straße", "die Straße.", True),
        ("ёлка", "где ЁЛКА?", True),
        ("证明", "请证明这个定理", True),
        ("bug", "修复bug吧", True),
        ("bug", "a «bug»…", True),
        ("bug", "bug\u2014found", True),
        ("bug", "🐛bug🐛", True),
        ("bug", "", False),
    ],
)
def test_a_keyword_is_found_in_any_case_and_only_as_a_whole_word(keyword: str, text: str, expected: bool) -> None:
    assert matched({"keywords": [keyword]}, text) is expected


def test_of_several_keywords_one_is_enough() -> None:
    assert matched({"keywords": ["prove", "derive"]}, "derive it")
    assert not matched({"keywords": ["prove", "derive"]}, "show it")


def test_a_pattern_is_matched_as_it_is_written() -> None:
    assert matched({"regex": r"\b[A-Z]{2}-\d{4}\b"}, "ticket AB-1234 again")
    assert not matched({"regex": r"\b[A-Z]{2}-\d{4}\b"}, "ticket ab-1234 again")
    assert matched({"regex": r"(?i)ab-\d+"}, "ticket AB-1234 again")


def test_all_conditions_of_a_rule_must_hold() -> None:
    when = {"keywords": ["refund"], "regex": r"\d{3}", "feature": "support", "user_tier": ["gold", "silver"]}
    facts = {"feature": "support", "user_tier": "Gold"}
    assert matched(when, "refund 123", **facts)
    assert not matched(when, "refund 12", **facts)
    assert not matched(when, "return 123", **facts)
    assert not matched(when, "refund 123", feature="sales", user_tier="gold")
    assert not matched(when, "refund 123", feature="support", user_tier="bronze")
    assert not matched(when, "refund 123", feature="support")


def test_the_first_rule_that_applies_wins() -> None:
    whens: list[dict[str, Any]] = [
        {"keywords": ["alpha"], "feature": "chat"},
        {"keywords": ["beta"]},
        {"keywords": ["alpha"]},
        {"min_tokens": 1},
    ]
    assert first(whens, "beta alpha") == 1
    assert first(whens, "alpha", feature="chat") == 0
    assert first(whens, "alpha") == 2
    assert first(whens, "gamma") == 3
    assert first(whens[:3], "gamma") is None


def test_token_counts_are_the_callers_where_given_and_else_an_estimate() -> None:
    assert matched({"min_tokens": 500}, "short", input_tokens=500)
    assert not matched({"min_tokens": 500}, "short", input_tokens=499)
    assert matched({"max_tokens": 3}, "hello there")
    assert not matched({"max_tokens": 3}, "hello there my old friend, how are you?")
    assert matched({"min_tokens": 8_000, "max_tokens": 15_000}, "some plain words " * 3_500)


def test_the_expected_format_and_the_language_are_compared_in_any_case() -> None:
    assert matched({"expected_format": ["json", "csv"]}, "x", expected_format="JSON")
    assert not matched({"expected_format": "json"}, "x")
    assert matched({"language": "de"}, "hello", language="de-CH")
    assert matched({"language": ["pt-BR"]}, "hello", language="PT")
    assert not matched({"language": "de"}, "Das ist nicht gut und ich weiss es", language="en")


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the best way to get from Bern to Basel?", "en"),
        ("Wie komme ich mit dem Zug nach Basel und was kostet es?", "de"),
        ("Quelle est la meilleure façon de préparer le café pour une fête ?", "fr"),
        ("¿Cuál es la mejor manera de preparar el café para una fiesta?", "es"),
        ("Qual è il modo migliore per fare il caffè e come si serve?", "it"),
        ("Qual é a melhor forma de fazer café para uma festa com você?", "pt"),
        ("Wat is de beste manier om koffie te zetten voor een feest?", "nl"),
        ("明日の天気を教えてください", "ja"),
        ("明天天气怎么样", "zh"),
        ("내일 날씨가 어때요", "ko"),
        ("Какая завтра погода?", "ru"),
        ("12345 + 678", ""),
        ("", ""),
    ],
)
def test_a_language_that_the_caller_does_not_name_is_guessed(text: str, language: str) -> None:
    assert guess_language(text) == language
    if language:
        assert matched({"language": language}, text)
    assert not matched({"language": "xx"}, text)


def test_patterns_see_the_beginning_and_the_end_of_a_long_prompt() -> None:
    body = "filler words here " * 200
    assert matched({"keywords": ["prove"]}, "Prove this. " + body)
    assert matched({"keywords": ["prove"]}, body + " Now prove it.")
    assert not matched({"keywords": ["prove"]}, body + " prove " + body)
    assert not matched({"keywords": ["ab"]}, "x" * 1_499 + "a" + "y" * 5_000 + "b" + "z" * 499)


def test_many_rules_with_thousands_of_keywords_still_all_match() -> None:
    rules = RuleSet(
        config(
            *(
                {"when": {"keywords": [f"word{rule}x{place}" for place in range(20)]}, "score": rule % 100}
                for rule in range(150)
            )
        )
    )
    for rule in range(150):
        text = f"some text with word{rule}x{rule % 20} in it"
        found = rules.first_match(Request(text), text)
        assert found is not None
        assert found[0] == rule


def test_no_prompt_can_make_a_pattern_hang() -> None:
    rules = RuleSet(config({"when": {"regex": r"(a+)+$"}, "score": 1}, {"when": {"regex": r"(x|xx|x+)*y"}, "score": 1}))
    text = "a" * 999 + "b" + "x" * 999
    began = time.perf_counter()
    rules.first_match(Request(text), text)
    assert time.perf_counter() - began < 1.0


def test_an_empty_keyword_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"rules\.1\.when\.keywords\.1 is empty") as caught:
        RuleSet(config({"when": {"keywords": ["a"]}, "score": 1}, {"when": {"keywords": ["b", " "]}, "score": 1}))
    assert caught.value.path == "rules.1.when.keywords.1"


def test_patterns_that_are_too_large_together_are_refused() -> None:
    regex = r"(?:[^a]{1000}[^b]{1000}[^c]{1000}){1,1}"
    with pytest.raises(ConfigError, match="too large together"):
        RuleSet(config(*({"when": {"regex": regex}, "score": 1} for _ in range(1_500))))


@given(st.text())
def test_any_text_is_matched_without_error(text: str) -> None:
    assert matched({"keywords": ["zebra"], "min_tokens": 0}, f"zebra {text}")


@given(st.text(alphabet=st.characters(categories=["Cs", "Lu", "Cc"])))
def test_half_characters_do_no_harm(text: str) -> None:
    assert matched({"keywords": ["zebra"]}, f"{text} zebra {text}")
