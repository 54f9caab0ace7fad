"""Logs of Langfuse, Helicone, OpenRouter, Portkey and OpenTelemetry: fields, tokens, outcomes and judgements."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from imports import as_csv, as_lines, kept, load

from router_core.decision import Kind, QualitySource, RoutingDecision, Status, Strategy
from router_core.ledger.labels import labels_of
from router_core.ledger.store import Ledger, open_ledger
from router_core.usage import Usage


@pytest.fixture
def ledger(new_ledger: Path, db_path: Path) -> Iterator[Ledger]:
    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as opened:
        yield opened


def only(ledger: Ledger) -> RoutingDecision:
    (decision,) = kept(ledger)
    return decision


def observation(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"o{number}",
        "traceId": "t1",
        "type": "GENERATION",
        "startTime": "2026-11-20T10:00:00.000Z",
        "endTime": "2026-11-20T10:00:01.500Z",
        "level": "DEFAULT",
        "model": "gpt-4.1-mini",
        "latency": 1.5,
        "timeToFirstToken": 0.25,
        "metadata": {"feature": "faq", "team": "ops"},
        "usageDetails": {
            "input": 100,
            "input_cached_tokens": 50,
            "output": 20,
            "output_reasoning_tokens": 5,
            "total": 175,
        },
        "totalCost": 0.001,
        "traceTags": ["tier:MEDIUM"],
        **changes,
    }


def generation_span(number: int = 1, **changes: Any) -> dict[str, Any]:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4.1-mini",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        **changes.pop("attributes", {}),
    }
    return {
        "traceId": "a" * 32,
        "spanId": f"{number:016x}",
        "name": "chat",
        "kind": 3,
        "startTimeUnixNano": str(1795132800000000000 + number * 10**9),
        "endTimeUnixNano": str(1795132800500000000 + number * 10**9),
        "attributes": pairs(attributes),
        "status": {"code": 1},
        **changes,
    }


def pairs(attributes: dict[str, Any]) -> list[dict[str, Any]]:
    def value(plain: Any) -> dict[str, Any]:
        kind = {bool: "boolValue", int: "intValue", float: "doubleValue"}.get(type(plain), "stringValue")
        return {kind: str(plain) if kind == "intValue" else plain}

    return [{"key": key, "value": value(plain)} for key, plain in attributes.items() if plain is not None]


def resource_spans(*spans: dict[str, Any], resource: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "resourceSpans": [{"resource": {"attributes": pairs(resource or {})}, "scopeSpans": [{"spans": list(spans)}]}]
    }


def evaluation(span: str, score: Any, name: str = "judge", **changes: Any) -> dict[str, Any]:
    record = {
        "timeUnixNano": "1795132900000000000",
        "eventName": "gen_ai.evaluation.result",
        "traceId": "a" * 32,
        "spanId": span,
        "attributes": pairs({"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": score}),
        **changes,
    }
    return {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}


def test_langfuse_counts_stand_beside_one_another_and_are_added(ledger: Ledger) -> None:
    load(ledger, as_lines([observation()]))
    decision = only(ledger)
    assert decision.attempts[0].usage == Usage(150, 25, 50, 0, 5)
    assert (decision.attempts[0].provider_name, decision.attempts[0].model) == ("openai", "gpt-4.1-mini")
    assert (decision.feature, decision.team, decision.tier) == ("faq", "ops", "MEDIUM")
    assert (decision.latency_ms, decision.ttft_ms) == (1500, 250)


def test_langfuse_totals_that_hold_their_subsets_already_are_not_added_again(ledger: Ledger) -> None:
    details = {"input": 150, "input_cached_tokens": 50, "output": 25, "output_reasoning_tokens": 5, "total": 175}
    load(ledger, as_lines([observation(usageDetails=details)]))
    assert only(ledger).attempts[0].usage == Usage(150, 25, 50, 0, 5)


def test_langfuse_cache_keys_of_anthropic_count_as_input(ledger: Ledger) -> None:
    details = {"input": 10, "cache_read_input_tokens": 50, "cache_creation_input_tokens": 30, "output": 5, "total": 95}
    load(ledger, as_lines([observation(model="claude-sonnet-4-6", usageDetails=details)]))
    assert only(ledger).attempts[0].usage == Usage(90, 5, 50, 30)
    assert only(ledger).attempts[0].provider_name == "anthropic"


def test_langfuse_spans_and_events_are_no_calls(ledger: Ledger) -> None:
    report = load(ledger, as_lines([observation(1), observation(2, type="SPAN"), observation(3, type="EVENT")]))
    assert (report.rows, report.loaded, report.left_out) == (3, 1, 2)


def test_langfuse_errors_are_failed_calls(ledger: Ledger) -> None:
    load(
        ledger, as_lines([observation(level="ERROR", statusMessage="Request timeout", usageDetails={}, totalCost=None)])
    )
    decision = only(ledger)
    assert (decision.status, decision.attempts[0].usage) == (Status.TIMEOUT, None)


def test_the_first_score_met_is_the_quality_and_others_are_named(ledger: Ledger) -> None:
    rows = [
        observation(1, helpfulness=[0.5]),
        observation(2, helpfulness=[0.75], toxicity=[0.1]),
        observation(3, toxicity=[1]),
    ]
    report = load(ledger, as_csv(rows))
    assert report.labels == 2
    assert [decision.quality for decision in kept(ledger)].count(None) == 1
    assert report.notes["scores named 'toxicity' were left out; --score chooses which are quality"] == 2


def test_a_person_may_say_which_score_is_the_quality(ledger: Ledger) -> None:
    rows = [observation(1, helpfulness=[0.5], correct=[True]), observation(2, correct=[False])]
    load(ledger, as_csv(rows), scores=("correct",))
    assert sorted(decision.quality or 0.0 for decision in kept(ledger)) == [0.0, 1.0]


def test_scores_that_come_later_are_attached_to_what_is_there(ledger: Ledger) -> None:
    load(ledger, as_lines([observation()]))
    report = load(ledger, as_lines([observation(helpfulness=[0.25])]))
    assert (report.duplicates, report.labels) == (1, 1)
    assert only(ledger).quality == 0.25


def helicone(**changes: Any) -> dict[str, Any]:
    return {
        "request_id": "q1",
        "response_id": "r1",
        "request_created_at": "2026-11-20T10:00:00.000Z",
        "response_created_at": "2026-11-20T10:00:02.000Z",
        "response_status": 200,
        "provider": "OPENAI",
        "model": "gpt-4.1-mini",
        "delay_ms": 2000,
        "prompt_tokens": 150,
        "completion_tokens": 25,
        "prompt_cache_read_tokens": 50,
        "cost": 0.001,
        "request_properties": {"Feature": "faq", "Team": "ops"},
        "cache_reference_id": "00000000-0000-0000-0000-000000000000",
        **changes,
    }


def test_helicone_scores_are_percent_and_ratings_feedback(ledger: Ledger) -> None:
    load(ledger, as_lines([helicone(scores={"helpfulness": 90}, feedback_rating=False)]))
    decision = only(ledger)
    assert (decision.quality, decision.quality_source) == (0.9, QualitySource.JUDGE)
    labels = {label.note: (label.quality, label.source) for label in labels_of(ledger, decision.id)}
    assert labels == {
        "helicone score helpfulness": (0.9, QualitySource.JUDGE),
        "helicone score feedback_rating": (0.0, QualitySource.FEEDBACK),
    }
    assert (decision.feature, decision.team) == ("faq", "ops")


@pytest.mark.parametrize(
    ("code", "status"), [(200, Status.OK), (429, Status.RATE_LIMITED), (504, Status.TIMEOUT), (500, Status.REFUSED)]
)
def test_helicone_statuses(ledger: Ledger, code: int, status: Status) -> None:
    load(ledger, as_lines([helicone(response_status=code)]))
    assert only(ledger).status == status


def test_helicone_cache_hits_call_no_model(ledger: Ledger) -> None:
    load(ledger, as_lines([helicone(cache_reference_id="11111111-0000-0000-0000-000000000000")]))
    assert (only(ledger).strategy, only(ledger).attempts) == (Strategy.CACHE_EXACT, ())


def test_openrouter_bills_whoever_serves(ledger: Ledger) -> None:
    row = {
        "generation_id": "g1",
        "created_at": "2026-11-20 10:00:00",
        "cost_total": "0.0007",
        "tokens_prompt": 150,
        "tokens_completion": 25,
        "tokens_reasoning": 5,
        "tokens_cached": 50,
        "model_permaslug": "anthropic/claude-sonnet-4.6",
        "provider_name": "Amazon Bedrock",
        "cancelled": "true",
        "streamed": "true",
        "generation_time_ms": 900,
        "time_to_first_token_ms": 100,
    }
    report = load(ledger, as_csv([row]))
    (attempt,) = only(ledger).attempts
    assert (attempt.provider_name, attempt.model) == ("openrouter", "anthropic/claude-sonnet-4.6")
    assert (attempt.status, attempt.usage, attempt.reported_cost_nusd) == (
        Status.ABORTED,
        Usage(150, 25, 50, 0, 5),
        700_000,
    )
    assert report.notes["times that named no zone were taken as UTC"] == 1


def portkey(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"l{number}",
        "created_at": f"2026-11-20T10:00:0{number}Z",
        "is_success": 1,
        "ai_org": "openai",
        "ai_model": "gpt-4.1-mini",
        "req_units": 100,
        "res_units": 20,
        "cost": 0.05,
        "cost_currency": "USD",
        "response_status_code": 200,
        "response_time": 500,
        "cache_status": "MISS",
        "trace_id": "t1",
        "mode": "FALLBACK",
        "metadata": {"feature": "faq"},
        **changes,
    }


def test_portkey_costs_are_cents_and_fallbacks_one_request(ledger: Ledger) -> None:
    failed = portkey(1, is_success=0, response_status_code=503, req_units=0, res_units=0, cost=0, ai_model="gpt-4.1")
    load(ledger, as_lines([failed, portkey(2)]))
    decision = only(ledger)
    assert [attempt.kind for attempt in decision.attempts] == [Kind.ANSWER, Kind.FAILOVER]
    assert decision.attempts[1].reported_cost_nusd == 500_000


@pytest.mark.parametrize(
    ("status", "strategy"), [("HIT", Strategy.CACHE_EXACT), ("SEMANTIC HIT", Strategy.CACHE_SEMANTIC)]
)
def test_portkey_cache_hits(ledger: Ledger, status: str, strategy: Strategy) -> None:
    load(ledger, as_lines([portkey(1, cache_status=status)]))
    assert only(ledger).strategy == strategy


@pytest.mark.parametrize(
    "names",
    [
        {},
        {"gen_ai.usage.prompt_tokens": 100, "gen_ai.usage.completion_tokens": 20, "gen_ai.system": "openai"},
        {
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 20,
            "llm.model_name": "gpt-4.1-mini",
            "llm.provider": "openai",
        },
    ],
)
def test_spans_are_read_under_the_names_of_every_generation(ledger: Ledger, names: dict[str, Any]) -> None:
    span = generation_span()
    if names:
        span["attributes"] = pairs({"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4.1-mini", **names})
    load(ledger, as_lines([resource_spans(span)]))
    (attempt,) = only(ledger).attempts
    assert (attempt.provider_name, attempt.model, attempt.usage) == ("openai", "gpt-4.1-mini", Usage(100, 20))
    assert attempt.list_cost_nusd == 100 * 400 + 20 * 1600


@pytest.mark.parametrize("name", ["gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"])
def test_tokens_written_to_a_cache_have_had_two_names(ledger: Ledger, name: str) -> None:
    load(ledger, as_lines([resource_spans(generation_span(attributes={name: 30}))]))
    assert only(ledger).attempts[0].usage == Usage(100, 20, 0, 30)


def test_a_router_span_makes_one_request_of_the_calls_under_it(ledger: Ledger) -> None:
    router = {
        **generation_span(9),
        "name": "route",
        "attributes": pairs({"x_router.tier": "COMPLEX", "tierwise.feature": "faq"}),
    }
    failed = generation_span(
        10, parentSpanId=router["spanId"], status={"code": 2}, attributes={"error.type": "timeout"}
    )
    answered = generation_span(11, parentSpanId=router["spanId"], attributes={"gen_ai.usage.cost": 0.25})
    alone = generation_span(12)
    report = load(
        ledger, as_lines([resource_spans(router, failed, answered, alone, resource={"tierwise.team": "ops"})])
    )
    first, second = kept(ledger)
    assert [(attempt.kind, attempt.status) for attempt in first.attempts] == [
        (Kind.ANSWER, Status.TIMEOUT),
        (Kind.FAILOVER, Status.OK),
    ]
    assert (first.tier, first.feature, first.team) == ("COMPLEX", "faq", "ops")
    assert first.attempts[1].reported_cost_nusd == 250_000_000
    assert (second.tier, second.feature, len(second.attempts)) == ("", "default", 1)
    assert (report.rows, report.left_out) == (4, 1)


def test_tool_calls_and_agents_are_no_model_calls(ledger: Ledger) -> None:
    tool = generation_span(2, attributes={"gen_ai.operation.name": "execute_tool"})
    report = load(ledger, as_lines([resource_spans(generation_span(1), tool)]))
    assert (report.loaded, report.left_out) == (1, 1)


def test_spans_and_their_judgements_may_stand_in_one_file(ledger: Ledger) -> None:
    lines = [resource_spans(generation_span(1)), evaluation(f"{1:016x}", 0.7)]
    report = load(ledger, as_lines(lines))
    assert (report.rows, report.loaded, report.labels) == (2, 2, 1)
    assert only(ledger).quality == 0.7


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (evaluation(f"{7:016x}", 0.7), "the ledger holds no request that this judges; import its spans first"),
        (evaluation(f"{1:016x}", 7.0), "the score of judge is 7.0, not a share from 0 to 1"),
    ],
)
def test_a_judgement_that_cannot_be_used_is_put_aside(ledger: Ledger, line: dict[str, Any], reason: str) -> None:
    load(ledger, as_lines([resource_spans(generation_span(1))]))
    report = load(ledger, as_lines([line]))
    assert [(one.line, one.reason) for one in report.rejects] == [(1, reason)]
    assert only(ledger).quality is None
