"""Cascade: a cheap draft is checked, and a stronger tier answers where it does not pass; all of it is on record."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import CALL, config, served, told
from upstream import upstream

from router_core.decision import Kind, Reason, Status, Strategy, UsageSource
from router_core.errors import ConfigError, ProviderError
from router_core.serving.plan import Plans

UNSURE = "says:I'm not sure, perhaps it is forty-two."
ON = "strategy: cascade\n"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with upstream() as address:
        yield address


async def test_a_draft_that_passes_is_the_answer(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, yaml=ON)) as run:
        text, decision = await run.ask()
    assert text == "The answer is forty-two."
    assert (decision.strategy, decision.status, decision.tier) == (Strategy.CASCADE, Status.OK, "SIMPLE")
    assert told(decision.attempts) == [("ANSWER", "cheap", "OK", True)]
    assert decision.cost_nusd == CALL["cheap"]


async def test_a_draft_that_fails_its_checks_stays_on_record_and_the_next_tier_answers(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {"cheap": UNSURE}, ON)) as run:
        text, decision = await run.ask()
    assert text == "The answer is forty-two."
    assert (decision.tier, decision.reason, decision.status) == ("SIMPLE", Reason.POLICY, Status.OK)
    assert told(decision.attempts) == [
        ("ANSWER", "cheap", "REJECTED", False),
        ("ESCALATION", "middle", "OK", True),
    ]
    assert decision.attempts[1].reason == "check uncertainty"
    assert decision.attempts[1].tier == "MEDIUM"
    assert decision.cost_nusd == CALL["cheap"] + CALL["middle"]


async def test_one_feature_can_have_a_cascade_and_the_others_none(url: str, db_path: Path) -> None:
    settings = config(url, {"cheap": UNSURE}, "features: {search: {strategy: cascade}}")
    async with served(url, db_path, settings) as run:
        _, searched = await run.ask(metadata={"feature": "search"})
        _, other = await run.ask()
    assert (searched.strategy, len(searched.attempts)) == (Strategy.CASCADE, 2)
    assert (other.strategy, len(other.attempts)) == (Strategy.DIRECT, 1)


async def test_each_feature_may_have_checks_and_a_threshold_of_its_own(url: str, db_path: Path) -> None:
    yaml = """
strategy: cascade
cascade: {checks: [{length: {min: 5}}]}
features:
  extraction: {cascade: {checks: [{json_schema: {type: object}}]}}
  careful: {cascade: {start_tier: MEDIUM, acceptance_threshold: 1, max_escalations: 0}}
"""
    async with served(url, db_path, config(url, yaml=yaml)) as run:
        asked = {
            feature: (await run.ask(metadata={"feature": feature}))[1] for feature in ("other", "extraction", "careful")
        }
    assert {feature: [one.model for one in decision.attempts] for feature, decision in asked.items()} == {
        "other": ["cheap"],
        "extraction": ["cheap", "middle"],
        "careful": ["middle"],
    }
    assert asked["extraction"].attempts[1].reason == "check json_schema"
    with pytest.raises(ConfigError, match=r"features\.extraction\.cascade\.checks\.0: unknown check 'json'"):
        Plans(config(url, yaml=yaml.replace("json_schema", "json")))
    with pytest.raises(ConfigError, match=r"features\.careful\.cascade\.start_tier names the unknown tier 'MIDDLE'"):
        config(url, yaml=yaml.replace("MEDIUM", "MIDDLE"))


@pytest.mark.parametrize(
    ("most", "models"), [(0, ["cheap"]), (1, ["cheap", "middle"]), (2, ["cheap", "middle", "strong"])]
)
async def test_it_goes_up_as_often_as_it_may_and_the_last_answer_is_not_checked(
    url: str, db_path: Path, most: int, models: list[str]
) -> None:
    settings = config(
        url, dict.fromkeys(("cheap", "middle", "strong"), UNSURE), f"{ON}cascade: {{max_escalations: {most}}}"
    )
    async with served(url, db_path, settings) as run:
        _, decision = await run.ask()
    assert [one.model for one in decision.attempts] == models
    assert decision.attempts[-1].final
    assert decision.status == Status.OK


async def test_it_starts_where_it_is_told_to_and_then_goes_to_the_tier_assigned(url: str, db_path: Path) -> None:
    rule = "rules: [{when: {keywords: [prove]}, score: 95}]\n"
    settings = config(url, {"cheap": UNSURE}, f"{ON}{rule}cascade: {{start_tier: SIMPLE}}")
    async with served(url, db_path, settings) as run:
        _, decision = await run.ask("prove it")
    assert decision.tier == "STRONG"
    assert told(decision.attempts) == [("ANSWER", "cheap", "REJECTED", False), ("ESCALATION", "strong", "OK", True)]


async def test_a_pinned_feature_never_starts_below_its_tier(url: str, db_path: Path) -> None:
    settings = config(url, {}, f"{ON}features: {{legal: {{pin: STRONG}}}}\ncascade: {{start_tier: SIMPLE}}")
    async with served(url, db_path, settings) as run:
        _, decision = await run.ask(metadata={"feature": "legal"})
    assert (decision.reason, [one.model for one in decision.attempts]) == (Reason.PIN, ["strong"])


async def test_where_nobody_above_answers_the_rejected_draft_is_better_than_none(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {"cheap": UNSURE, "middle": "http-500"}, ON)) as run:
        text, decision = await run.ask()
    assert text.startswith("I'm not sure")
    assert decision.status == Status.OK
    assert told(decision.attempts) == [("ANSWER", "cheap", "OK", True), ("ESCALATION", "middle", "REFUSED", False)]


@pytest.mark.parametrize("fault", ["http-500", "http-400", "no-choices"])
async def test_a_tier_that_gives_no_draft_is_no_reason_to_fail_and_the_next_answers(
    url: str, db_path: Path, fault: str
) -> None:
    async with served(url, db_path, config(url, {"cheap": fault}, ON)) as run:
        text, decision = await run.ask()
    assert (text, decision.status, decision.tier) == ("The answer is forty-two.", Status.OK, "SIMPLE")
    assert [(one.kind.name, one.model, one.final) for one in decision.attempts] == [
        ("ANSWER", "cheap", False),
        ("ESCALATION", "middle", True),
    ]
    assert decision.attempts[1].reason == "no answer"


async def test_where_nobody_answers_at_all_the_error_is_the_callers(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {"cheap": "http-500", "middle": "http-503"}, ON)) as run:
        with pytest.raises(ProviderError, match="HTTP 503") as caught:
            await run.ask()
        assert caught.value.decision_id is not None
        decision = run.ledger.read_decision(caught.value.decision_id)
    assert (decision.status, decision.strategy) == (Status.REFUSED, Strategy.CASCADE)
    assert [one.model for one in decision.attempts] == ["cheap", "middle"]


async def test_a_stream_is_held_back_until_it_is_accepted(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, yaml=ON)) as run:
        text, decision = await run.ask(stream=True, stream_options={"include_usage": True})
        assert not run.calls()[-1].get("stream")
    assert text == "The answer is forty-two."
    assert (decision.attempts[0].usage_source, decision.cost_nusd) == (UsageSource.PROVIDER, CALL["cheap"])


async def test_what_may_not_be_turned_down_any_more_streams_as_it_comes(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {"cheap": UNSURE}, ON)) as run:
        text, decision = await run.ask(stream=True)
        assert run.calls()[-1]["stream"]
    assert text == "The answer is forty-two."
    assert decision.ttft_ms is not None
    assert told(decision.attempts)[-1] == ("ESCALATION", "middle", "OK", True)


async def test_further_answers_of_self_consistency_are_paid_for_and_on_record(url: str, db_path: Path) -> None:
    yaml = f"{ON}cascade: {{checks: [{{self_consistency: {{samples: 2}}}}], acceptance_threshold: 0.6}}"
    async with served(url, db_path, config(url, {"cheap": "vary"}, yaml)) as run:
        _, decision = await run.ask()
    assert [(one.kind, one.model) for one in decision.attempts] == [
        (Kind.ANSWER, "cheap"),
        (Kind.JUDGE, "cheap"),
        (Kind.JUDGE, "cheap"),
        (Kind.ESCALATION, "middle"),
    ]
    assert decision.cost_nusd == 3 * CALL["cheap"] + CALL["middle"]
    async with served(url, db_path, config(url, yaml=yaml)) as run:
        _, decision = await run.ask()
    assert told(decision.attempts)[0] == ("ANSWER", "cheap", "OK", True)
    assert len(decision.attempts) == 3


@pytest.mark.parametrize(("probability", "escalates"), [("0.95", False), ("0.3", True)])
async def test_confidence_escalation_asks_for_token_probabilities_and_gives_none_away(
    url: str, db_path: Path, probability: str, escalates: bool
) -> None:
    yaml = f"{ON}cascade: {{checks: [{{logprob: {{floor: 0.2}}}}]}}"
    async with served(url, db_path, config(url, {"cheap": f"sure:{probability}"}, yaml)) as run:
        answer = await run.router.complete({"messages": [{"role": "user", "content": "hello"}]})
        decision = run.kept(answer)
        asked = [call for call in run.calls() if call["model"] == f"sure:{probability}"]
    assert asked[-1]["logprobs"] is True
    assert json.loads(answer.body)["choices"][0].get("logprobs") is None
    assert (len(decision.attempts) == 2) == escalates
    if escalates:
        assert decision.attempts[1].reason == "check logprob"


@pytest.mark.parametrize(
    ("logprobs", "escalates"),
    [('{"content": [{"logprob": -2.0}, {"logprob": null}, 3]}', True), ("[1]", False), ('{"content": null}', False)],
)
async def test_token_probabilities_of_any_form_are_read_as_far_as_they_go(
    url: str, db_path: Path, logprobs: str, escalates: bool
) -> None:
    answer = f'{{"choices": [{{"message": {{"content": "Bern"}}, "finish_reason": "stop", "logprobs": {logprobs}}}]}}'
    yaml = f"{ON}cascade: {{checks: [{{logprob: {{floor: 0.5}}}}]}}"
    async with served(url, db_path, config(url, {"cheap": f"raw:{answer}"}, yaml)) as run:
        _, decision = await run.ask()
    assert (len(decision.attempts) == 2) == escalates


async def test_without_such_a_check_no_token_probabilities_are_asked_for(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, yaml=ON)) as run:
        await run.ask()
        assert "logprobs" not in run.calls()[-1]


@pytest.mark.parametrize(("on_error", "attempts"), [("accept", 1), ("escalate", 2)])
async def test_a_check_that_fails_itself_counts_as_it_is_told_to(
    url: str, db_path: Path, on_error: str, attempts: int
) -> None:
    checks = '[{callback: {url: "http://127.0.0.1:9/check", timeout: 1}}]'
    yaml = f"{ON}cascade: {{checks: {checks}, on_error: {on_error}}}"
    async with served(url, db_path, config(url, yaml=yaml)) as run:
        _, decision = await run.ask()
    assert len(decision.attempts) == attempts


async def test_an_answer_that_calls_a_tool_has_no_text_to_check(url: str, db_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    async with served(url, db_path, config(url, {"cheap": "calls-tool"}, ON)) as run:
        _, decision = await run.ask(tools=tools)
    assert told(decision.attempts) == [("ANSWER", "cheap", "OK", True)]


async def test_of_several_answers_the_worst_decides(url: str, db_path: Path) -> None:
    def said(*texts: str) -> str:
        choices = [{"message": {"content": text}, "finish_reason": "stop"} for text in texts]
        return f"raw:{json.dumps({'choices': choices})}"

    yaml = f"{ON}cascade: {{checks: [{{json_schema: {{type: object}}}}]}}"
    for texts, models in ((("{}", "{}"), ["cheap"]), (("{}", "prose"), ["cheap", "middle"])):
        async with served(url, db_path, config(url, {"cheap": said(*texts)}, yaml)) as run:
            _, decision = await run.ask(n=2)
        assert [one.model for one in decision.attempts] == models


async def test_a_named_model_has_no_cascade(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {"cheap": UNSURE}, ON)) as run:
        _, decision = await run.ask(model="cheap")
    assert (decision.strategy, len(decision.attempts)) == (Strategy.DIRECT, 1)


async def test_the_ledger_keeps_the_name_of_the_check_and_nothing_of_the_answer(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, {"cheap": UNSURE}, ON)) as run:
        await run.ask()
    for file in db_path.parent.glob("ledger.db*"):
        assert b"not sure" not in file.read_bytes()


async def test_checks_that_cannot_be_built_are_refused_with_the_version(url: str, db_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cascade\.checks\.0: unknown check 'lenght'"):
        async with served(url, db_path, config(url, yaml=f"{ON}cascade: {{checks: [{{lenght: {{}}}}]}}")):
            pass
