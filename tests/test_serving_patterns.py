"""Patterns that decide where a request goes, each over real HTTP and as the ledger has it: what it cost, and why."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from prompts import PromptMaker
from served import CALL, config, served, told
from upstream import upstream

from router_core.complexity.classify import Classifier
from router_core.complexity.fit import fit
from router_core.complexity.graded import Graded
from router_core.complexity.scorer import Scorer
from router_core.decision import Reason, Status, Strategy, UsageSource


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with upstream() as address:
        yield address


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    """A scorer fitted on made-up grades: prompts with certain words gain by the strong model."""
    maker = PromptMaker(3)
    prompts = maker.many(1_200, longest=200)
    hard = np.array([any(word in text.split() for word in maker.hard_words) for text in prompts])
    rng = np.random.default_rng(0)
    cheap = (rng.random(len(prompts)) < np.where(hard, 0.2, 0.9)).astype(float)
    graded = Graded("made up", "cheap", "strong", tuple(prompts), ("",) * len(prompts), cheap, np.ones(len(prompts)))
    return fit(graded, train_share=0.9).scorer


async def test_rules_name_a_tier_or_set_a_score(url: str, db_path: Path) -> None:
    rules = "rules:\n  - {when: {keywords: [contract]}, tier: STRONG}\n  - {when: {keywords: [prove]}, score: 65}"
    async with served(url, db_path, config(url, yaml=rules)) as run:
        _, named = await run.ask("this contract")
        _, scored = await run.ask("prove this")
    assert (named.tier, named.reason, named.stage, named.cost_nusd) == ("STRONG", Reason.RULE, "rules", CALL["strong"])
    assert (scored.tier, scored.reason, scored.score) == ("MEDIUM", Reason.POLICY, 65)
    assert told(scored.attempts) == [("ANSWER", "middle", "OK", True)]


async def test_a_fitted_scorer_judges_by_the_text(url: str, db_path: Path, scorer: Scorer) -> None:
    settings = config(url, yaml="classifier: {stages: [embedding], confidence: 0}")
    hard = " ".join(PromptMaker(3).hard_words[:8])
    async with served(url, db_path, settings, classifier=Classifier(settings, scorer)) as run:
        _, easy = await run.ask("thanks for this")
        _, difficult = await run.ask(hard)
    assert (easy.stage, easy.scorer_version) == ("embedding", scorer.version)
    assert easy.score is not None
    assert difficult.score is not None
    assert difficult.score > easy.score
    assert (difficult.tier, difficult.cost_nusd) == ("STRONG", CALL["strong"])


async def test_stages_are_asked_in_turn_until_one_is_sure(url: str, db_path: Path, scorer: Scorer) -> None:
    yaml = "classifier: {stages: [rules, embedding, judge], confidence: 0.6, judge_model: umpire}\n"
    yaml += "rules: [{when: {keywords: [hello]}, score: 5}]"
    settings = config(url, {"umpire": "says:10"}, yaml)
    known, unknown = PromptMaker(3).one(30), "zzz qqq xxx yyy"
    async with served(url, db_path, settings, classifier=Classifier(settings, scorer)) as run:
        stages = [(await run.ask(text))[1] for text in ("hello", known, unknown)]
    assert [one.stage for one in stages] == ["rules", "embedding", "judge"]
    assert [len(one.attempts) for one in stages] == [1, 1, 2]
    assert stages[2].cost_nusd == CALL["cheap"] + CALL["strong"]


async def test_nobody_sure_and_nobody_left_goes_one_tier_up(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, yaml="classifier: {confidence: 0.9}")) as run:
        _, decision = await run.ask("what now")
    assert (decision.tier, decision.reason, decision.cost_nusd) == ("MEDIUM", Reason.UNCERTAIN, CALL["middle"])


async def test_fail_over_pays_for_both_and_says_why(url: str, db_path: Path) -> None:
    settings = config(url, {"cheap": "http-500"}, "fallbacks: {cheap: [middle]}\nnum_retries: 1\ncooldown_time: 60")
    async with served(url, db_path, settings) as run:
        _, first = await run.ask()
        _, second = await run.ask()
    assert [(one.kind.name, one.model, one.status, one.reason) for one in first.attempts] == [
        ("ANSWER", "cheap", Status.REFUSED, "refused 500"),
        ("FAILOVER", "cheap", Status.REFUSED, "refused 500"),
        ("FAILOVER", "middle", Status.OK, ""),
    ]
    assert [(one.model, one.reason) for one in second.attempts] == [("middle", "cooling down")]
    assert (first.tier, first.cost_nusd, second.cost_nusd) == ("SIMPLE", CALL["middle"], CALL["middle"])


HEDGED = "tiers: [{name: SIMPLE, models: [cheap, middle]}]\nhedge_after: 0.15"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_keeps_silent_is_hedged_and_the_slower_call_is_ended_and_paid(
    url: str, db_path: Path, stream: bool
) -> None:
    async with served(url, db_path, config(url, {"cheap": "hang"}, HEDGED)) as run:
        before = run.closed_early()
        text, decision = await run.ask("a b c d", stream=stream)
        while run.closed_early() == before:
            await asyncio.sleep(0.02)  # the model is told that nobody listens any longer
    assert text == "The answer is forty-two."
    slower, faster = decision.attempts
    assert told(decision.attempts) == [("ANSWER", "cheap", "ABORTED", False), ("FAILOVER", "middle", "OK", True)]
    assert (slower.reason, faster.reason) == ("hedge: slower", "hedge")
    assert faster.offset_ms >= 140
    assert slower.usage_source == UsageSource.ESTIMATED
    assert slower.usage is not None
    assert slower.usage.output_tokens == 0
    assert decision.cost_nusd == slower.usage.input_tokens * 1_000 + CALL["middle"]


async def test_a_hedge_that_loses_is_ended_and_on_record(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {"cheap": "after:0.3", "middle": "hang"}, HEDGED)) as run:
        _, decision = await run.ask()
    assert told(decision.attempts) == [("ANSWER", "cheap", "OK", True), ("FAILOVER", "middle", "ABORTED", False)]
    assert decision.attempts[1].reason == "hedge: slower"


async def test_a_hedge_covers_for_a_model_that_fails_late(url: str, db_path: Path) -> None:
    three = "tiers: [{name: SIMPLE, models: [cheap, middle, strong]}]\nhedge_after: 0.15\ntimeout: 0.4"
    async with served(url, db_path, config(url, {"cheap": "hang", "middle": "hang"}, three)) as run:
        _, decision = await run.ask()
    assert told(decision.attempts) == [
        ("ANSWER", "cheap", "TIMEOUT", False),
        ("FAILOVER", "middle", "TIMEOUT", False),
        ("FAILOVER", "strong", "OK", True),
    ]


async def test_without_hedging_a_slow_model_is_waited_for_alone(url: str, db_path: Path) -> None:
    settings = config(url, {"cheap": "after:0.3"}, "tiers: [{name: SIMPLE, models: [cheap, middle]}]")
    async with served(url, db_path, settings) as run:
        _, decision = await run.ask()
    assert told(decision.attempts) == [("ANSWER", "cheap", "OK", True)]


async def test_a_conversation_sticks_to_its_tier_while_it_is_warm(url: str, db_path: Path) -> None:
    rules = "rules: [{when: {keywords: [prove]}, score: 95}]"
    async with served(url, db_path, config(url, yaml=rules)) as run:
        talk = {"metadata": {"conversation": "c1"}}
        _, first = await run.ask("prove it", **talk)
        _, second = await run.ask("and now", **talk)
    assert [(one.tier, one.reason) for one in (first, second)] == [("STRONG", Reason.POLICY), ("STRONG", Reason.STICKY)]
    assert second.cost_nusd == CALL["strong"]


async def test_a_pin_holds_whatever_the_score(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, yaml="features: {legal: {pin: STRONG, team: law}}")) as run:
        _, decision = await run.ask(metadata={"feature": "legal"})
    assert (decision.tier, decision.reason, decision.team) == ("STRONG", Reason.PIN, "law")
    assert (decision.strategy, decision.cost_nusd) == (Strategy.DIRECT, CALL["strong"])


async def test_exploration_is_on_record_with_its_chance(url: str, db_path: Path) -> None:
    settings = config(url, yaml="exploration: {rate: 0.1}")
    async with served(url, db_path, settings, random=lambda: 0.01) as run:
        _, decision = await run.ask()
    assert (decision.tier, decision.reason, decision.propensity) == ("MEDIUM", Reason.EXPLORE, pytest.approx(0.05))


async def test_patterns_go_together(url: str, db_path: Path) -> None:
    """A judge, a cascade with a fail-over in it, and a cache over all of that; the second time it is free."""
    yaml = "classifier: {stages: [judge], confidence: 0.9, judge_model: umpire}\nstrategy: cascade\n"
    yaml += "fallbacks: {cheap: [spare]}\ncache: {mode: exact}"
    models = {"umpire": "says:2", "cheap": "http-500", "spare": "says:I'm not sure, perhaps."}
    async with served(url, db_path, config(url, models, yaml)) as run:
        text, first = await run.ask("what now")
        again, second = await run.ask("what now", stream=True)
    assert text == again == "The answer is forty-two."
    assert told(first.attempts) == [
        ("CLASSIFIER", "umpire", "OK", False),
        ("ANSWER", "cheap", "REFUSED", False),
        ("FAILOVER", "spare", "REJECTED", False),
        ("ESCALATION", "middle", "OK", True),
    ]
    assert first.cost_nusd == 2 * CALL["cheap"] + CALL["middle"]
    assert (second.strategy, second.status) == (Strategy.CACHE_EXACT, Status.OK)
    assert (second.attempts, second.cost_nusd, second.stage) == ((), 0, "judge")
