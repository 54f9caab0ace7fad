"""Compression: old turns become a summary, what must not change does not, and the summary is paid for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from served import CALL, config, served, told
from upstream import upstream

ON = "compress: {enabled: true, above_tokens: 200, keep_last: 2}\nrules: [{when: {min_tokens: 1}, tier: MEDIUM}]"
LONG = "we talked about the harbour, the price of 40 boxes and the date " * 10


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with upstream() as address:
        yield address


def talk() -> list[dict[str, Any]]:
    call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
    return [
        {"role": "system", "content": "Be exact."},
        {"role": "user", "content": LONG},
        {"role": "assistant", "content": LONG},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "a result"},
        {"role": "assistant", "content": "An answer."},
        {"role": "user", "content": "And then?"},
        {"role": "assistant", "content": "That."},
        {"role": "user", "content": "What now?"},
    ]


async def test_old_turns_are_summarised_by_the_cheapest_model_and_all_else_stays(url: str, db_path: Path) -> None:
    messages = talk()
    async with served(url, db_path, config(url, {"cheap": "says:harbour, 40 boxes"}, ON)) as run:
        text, decision = await run.ask(messages=messages)
        summarised, answered = run.calls()[-2:]
    assert text == "The answer is forty-two."
    assert told(decision.attempts) == [("COMPRESS", "cheap", "OK", False), ("ANSWER", "middle", "OK", True)]
    assert decision.attempts[0].reason == "long"
    assert decision.cost_nusd == CALL["cheap"] + CALL["middle"]
    assert answered["messages"] == [
        messages[0],
        {"role": "system", "content": "Summary of the earlier conversation:\nharbour, 40 boxes"},
        *messages[3:5],
        *messages[7:],
    ]
    told_to_summarise = summarised["messages"][1]["content"]
    assert "40 boxes" in told_to_summarise
    assert "And then?" in told_to_summarise
    assert "What now?" not in told_to_summarise
    assert "a result" not in told_to_summarise
    assert messages == talk()


async def test_a_short_conversation_goes_as_it_is(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, yaml=ON)) as run:
        _, decision = await run.ask("What now?")
    assert told(decision.attempts) == [("ANSWER", "middle", "OK", True)]


async def test_one_long_message_is_no_conversation_to_summarise(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, yaml=ON)) as run:
        _, decision = await run.ask(LONG)
    assert [one.kind.name for one in decision.attempts] == ["ANSWER"]


async def test_where_nobody_summarises_the_whole_conversation_is_sent(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {"cheap": "http-500"}, ON)) as run:
        _, decision = await run.ask(messages=talk())
        assert run.calls()[-1]["messages"] == talk()
    assert told(decision.attempts) == [("COMPRESS", "cheap", "REFUSED", False), ("ANSWER", "middle", "OK", True)]


async def test_a_summary_no_shorter_than_the_turns_is_paid_and_not_used(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {"cheap": f"says:{LONG * 4}"}, ON)) as run:
        _, decision = await run.ask(messages=talk())
        assert run.calls()[-1]["messages"] == talk()
    assert decision.attempts[0].reason == "long: no shorter"


async def test_one_feature_can_have_compression_and_the_others_none(url: str, db_path: Path) -> None:
    yaml = "features: {support: {compress: {enabled: true, above_tokens: 200, keep_last: 2}}}"
    async with served(url, db_path, config(url, {"cheap": "says:harbour, 40 boxes"}, yaml)) as run:
        kinds = {
            feature: [
                one.kind.name for one in (await run.ask(messages=talk(), metadata={"feature": feature}))[1].attempts
            ]
            for feature in ("support", "other")
        }
    assert kinds == {"support": ["COMPRESS", "ANSWER"], "other": ["ANSWER"]}


async def test_a_named_model_gets_what_was_sent(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, yaml=ON)) as run:
        _, decision = await run.ask(messages=talk(), model="strong")
    assert [one.model for one in decision.attempts] == ["strong"]


async def test_the_next_turn_of_a_conversation_finds_its_summary_written(url: str, db_path: Path) -> None:
    messages = talk()
    async with served(url, db_path, config(url, {"cheap": "says:harbour, 40 boxes"}, ON)) as run:
        _, first = await run.ask(messages=messages)
        messages += [{"role": "assistant", "content": "This."}]
        _, second = await run.ask(messages=messages)
        sent = run.calls()[-1]["messages"]
        messages += [{"role": "user", "content": "And more?"}]
        _, third = await run.ask(messages=messages)
        _, elsewhere = await run.ask(messages=talk(), metadata={"team": "others"})
    assert [len(one.attempts) for one in (first, second, third, elsewhere)] == [2, 1, 2, 2]
    assert sent[1]["content"].endswith("harbour, 40 boxes")
    assert second.cost_nusd == CALL["middle"]
