"""Capabilities: a model that cannot take a request is not asked, and one that refuses it is stood in for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import config, served, told
from upstream import upstream

from router_core.complexity.lengths import Lengths
from router_core.decision import Kind, Request, Status
from router_core.errors import ContentPolicyError, ContextOverflowError

TOOLS = {"tools": [{"type": "function", "function": {"name": "look_up"}}]}
JSON = {"response_format": {"type": "json_object"}}
IMAGE = {
    "messages": [
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]},
    ]
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with upstream() as address:
        yield address


@pytest.mark.parametrize(("body", "reason"), [(TOOLS, "needs tools"), (JSON, "needs json"), (IMAGE, "needs images")])
async def test_a_model_that_says_it_cannot_is_not_asked(
    url: str, db_path: Path, body: dict[str, Any], reason: str
) -> None:
    async with served(url, db_path, config(url, cheap=", capabilities: []", middle=", capabilities: []")) as run:
        _, decision = await run.ask(**body)
        _, plain = await run.ask()
    assert decision.tier == "SIMPLE"
    (attempt,) = decision.attempts
    assert (attempt.kind, attempt.model, attempt.tier, attempt.reason) == (Kind.FAILOVER, "strong", "STRONG", reason)
    assert told(plain.attempts) == [("ANSWER", "cheap", "OK", True)]


async def test_the_next_model_of_the_same_tier_comes_before_the_next_tier(url: str, db_path: Path) -> None:
    yaml = "tiers:\n  - {name: SIMPLE, models: [cheap, middle]}\n  - {name: STRONG, models: [strong], score_min: 90}\n"
    async with served(url, db_path, config(url, yaml=yaml, cheap=", capabilities: [json]")) as run:
        _, decision = await run.ask(**TOOLS)
    assert [(one.model, one.reason) for one in decision.attempts] == [("middle", "needs tools")]


async def test_a_prompt_too_long_for_the_window_goes_where_it_fits(url: str, db_path: Path) -> None:
    windows = {"cheap": ", context_window: 100", "middle": ", context_window: 150", "strong": ", context_window: 9000"}
    async with served(url, db_path, config(url, **windows)) as run:
        _, short = await run.ask("hi")
        _, long = await run.ask("many words here " * 100)
        _, room = await run.ask("hi", max_tokens=200)
    assert [one.model for one in short.attempts] == ["cheap"]
    assert [(one.model, one.reason) for one in long.attempts] == [("strong", "needs a larger window")]
    assert [one.model for one in room.attempts] == ["strong"]


async def test_where_no_model_suits_the_tiers_own_says_so(url: str, db_path: Path) -> None:
    nowhere = dict.fromkeys(("cheap", "middle", "strong"), ", capabilities: []")
    async with served(url, db_path, config(url, **nowhere)) as run:
        _, decision = await run.ask(**TOOLS)
    assert told(decision.attempts) == [("ANSWER", "cheap", "OK", True)]


async def test_an_overflow_nobody_foresaw_goes_to_a_larger_window(url: str, db_path: Path) -> None:
    windows = {
        "cheap": ", context_window: 5000",
        "middle": ", context_window: 4000",
        "strong": ", context_window: 9000",
    }
    async with served(url, db_path, config(url, {"cheap": "overflow"}, **windows)) as run:
        _, decision = await run.ask()
    assert told(decision.attempts) == [
        ("ANSWER", "cheap", "CONTEXT_OVERFLOW", False),
        ("FAILOVER", "strong", "OK", True),
    ]


async def test_an_overflow_with_no_larger_window_known_is_the_callers(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {"cheap": "overflow"}, cheap=", context_window: 5000")) as run:
        with pytest.raises(ContextOverflowError):
            await run.ask()


@pytest.mark.parametrize("model", ["forbids", "filtered"])
async def test_what_one_models_content_policy_forbids_another_is_asked(url: str, db_path: Path, model: str) -> None:
    yaml = "fallbacks: {cheap: [middle]}"
    async with served(url, db_path, config(url, {"cheap": model}, yaml)) as run:
        _, decision = await run.ask()
        _, again = await run.ask()
    assert told(decision.attempts) == [("ANSWER", "cheap", "REFUSED", False), ("FAILOVER", "middle", "OK", True)]
    assert decision.attempts[0].reason.startswith("content_policy")
    assert again.attempts[0].model == "cheap"  # it is about the request, so the model does not rest
    if model == "filtered":
        assert decision.attempts[0].usage is not None


async def test_what_every_content_policy_forbids_is_refused(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {"cheap": "forbids"})) as run:
        with pytest.raises(ContentPolicyError) as caught:
            await run.ask()
        assert caught.value.decision_id is not None
        assert run.ledger.read_decision(caught.value.decision_id).status == Status.REFUSED


async def test_a_named_model_is_asked_even_where_it_cannot(url: str, db_path: Path) -> None:
    settings = config(url, {"overflows": "overflow"}, cheap=", capabilities: []", strong=", context_window: 9000")
    async with served(url, db_path, settings) as run:
        _, decision = await run.ask(model="cheap", **TOOLS)
        with pytest.raises(ContextOverflowError):
            await run.ask(model="overflows")
    assert told(decision.attempts) == [("ANSWER", "cheap", "OK", True)]


async def test_the_room_an_answer_is_expected_to_need_counts_too(url: str, db_path: Path) -> None:
    windows = {"cheap": ", context_window: 100", "middle": ", context_window: 150", "strong": ", context_window: 9000"}
    async with served(url, db_path, config(url, **windows)) as run:
        _, long = await run.ask("Tell me of it in 300 words")
        _, capped = await run.ask("Tell me of it in 300 words", max_tokens=20)
    assert [(one.model, one.reason) for one in long.attempts] == [("strong", "needs a larger window")]
    assert long.expected_output_tokens == 405
    assert [one.model for one in capped.attempts] == ["cheap"]


async def test_how_long_answers_of_a_feature_are_is_learnt_from_them(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url)) as run:
        expected = [(await run.ask(metadata={"feature": "chat"}))[1].expected_output_tokens for _ in range(6)]
        _, other = await run.ask(metadata={"feature": "search"})
        _, label = await run.ask(metadata={"feature": "chat", "expected_format": "classification"})
        run.router.adopt(run.router.config, version=2)
        _, later = await run.ask(metadata={"feature": "chat"})
    assert expected == [None] * 5 + [6]  # the upstream says six tokens
    assert (other.expected_output_tokens, label.expected_output_tokens) == (None, 8)
    assert later.expected_output_tokens is not None  # a push forgets nothing


def test_however_many_names_callers_make_up_no_more_than_the_latest_are_known() -> None:
    lengths = Lengths()
    for number in range(30_000):
        for _ in range(5 if number in (0, 29_999) else 1):
            lengths.observe(f"f{number}", 40)
        if number % 100 == 0:
            lengths.observe("chat", 40)
    assert lengths.expected(Request("hello", feature="chat")) == 40
    assert lengths.expected(Request("hello", feature="f29999")) == 40
    assert lengths.expected(Request("hello", feature="f0")) is None


def test_the_latest_answers_weigh_most() -> None:
    lengths = Lengths()
    for tokens in [1_000] * 50 + [10] * 200:
        lengths.observe("chat", tokens)
    assert lengths.expected(Request("hello", feature="chat")) in range(10, 50)
    for text, expected in (("in one word", 8), ("A single word, please", 8), ("about 1500-word essay", 2025)):
        assert lengths.expected(Request(text, feature="chat")) == expected
