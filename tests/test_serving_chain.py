"""Chain: a request taken apart, worked out part by part and put together, each step on the tier it was given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from served import CALL, config, served
from upstream import upstream

from router_core.decision import Status, Strategy
from router_core.errors import ProviderError

ON = "strategy: chain\nchain: {decompose_tier: SIMPLE, reason_tier: MEDIUM, synthesise_tier: STRONG}"
ALL = dict.fromkeys(("cheap", "middle", "strong"), "parts")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with upstream() as address:
        yield address


@pytest.mark.parametrize("stream", [False, True])
async def test_each_step_is_asked_of_its_tier_and_is_an_attempt(url: str, db_path: Path, stream: bool) -> None:
    async with served(url, db_path, config(url, ALL, ON)) as run:
        text, decision = await run.ask("why is the sky blue", stream=stream)
        last = run.calls()[-1]
    assert text == "the whole answer"
    assert (decision.strategy, decision.status, decision.tier) == (Strategy.CHAIN, Status.OK, "SIMPLE")
    assert [(one.kind.name, one.model, one.reason, one.final) for one in decision.attempts] == [
        ("CHAIN", "cheap", "decompose", False),
        ("CHAIN", "middle", "reason", False),
        ("CHAIN", "middle", "reason", False),
        ("CHAIN", "strong", "synthesise", True),
    ]
    assert decision.cost_nusd == CALL["cheap"] + 2 * CALL["middle"] + CALL["strong"]
    assert last["messages"][0]["content"] == "why is the sky blue"
    assert "Why is it so?\na part worked out" in last["messages"][-1]["content"]
    assert bool(last.get("stream")) == stream


async def test_without_tiers_of_its_own_the_assigned_one_does_all(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, ALL, "features: {report: {strategy: chain}}")) as run:
        _, decision = await run.ask(metadata={"feature": "report"})
    assert {one.model for one in decision.attempts} == {"cheap"}


async def test_a_pinned_feature_is_served_by_its_tier_throughout(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, ALL, f"{ON}\nfeatures: {{legal: {{pin: STRONG}}}}")) as run:
        _, decision = await run.ask(metadata={"feature": "legal"})
    assert {one.model for one in decision.attempts} == {"strong"}


async def test_what_cannot_be_taken_apart_is_answered_as_it_stands(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, yaml=ON)) as run:
        text, decision = await run.ask()
    assert text == "The answer is forty-two."
    assert [(one.kind.name, one.reason, one.final) for one in decision.attempts] == [
        ("CHAIN", "decompose: unparsable", False),
        ("ANSWER", "", True),
    ]


async def test_a_part_that_nobody_works_out_is_left_to_the_last_step(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {**ALL, "middle": "http-500"}, ON)) as run:
        text, decision = await run.ask()
    assert text == "the whole answer"
    assert [one.status for one in decision.attempts] == [Status.OK, Status.REFUSED, Status.REFUSED, Status.OK]


async def test_a_chain_whose_last_step_fails_is_an_error_with_all_its_costs(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {**ALL, "strong": "http-500"}, ON)) as run:
        with pytest.raises(ProviderError) as caught:
            await run.ask()
        assert caught.value.decision_id is not None
        decision = run.ledger.read_decision(caught.value.decision_id)
    assert decision.status == Status.REFUSED
    assert decision.cost_nusd == CALL["cheap"] + 2 * CALL["middle"]
