"""LiteLLM's logs: which rows are one request, what each field becomes, and what a cache answered."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from imports import KEY, as_csv, as_lines, kept, load, spend_log

from router_core.decision import Attempt, Kind, Reason, RoutingDecision, Status, Strategy
from router_core.ledger.store import Ledger, open_ledger
from router_core.serving.hashing import keyed_hash
from router_core.usage import Usage


@pytest.fixture
def ledger(new_ledger: Path, db_path: Path) -> Iterator[Ledger]:
    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as opened:
        yield opened


def one(ledger: Ledger, *rows: dict[str, Any]) -> RoutingDecision:
    load(ledger, as_csv(rows))
    (decision,) = kept(ledger)
    return decision


def test_a_call_becomes_a_decision_with_one_attempt(ledger: Ledger) -> None:
    decision = one(ledger, spend_log())
    assert decision.id.hex()[:12] == f"{1795168801000:012x}"  # the second it began
    assert decision.decided_at_ms == 1795168801250
    assert (decision.feature, decision.team, decision.tier) == ("faq", "Support", "SIMPLE")
    assert (decision.score, decision.scorer_version, decision.config_version) == (None, "imported", 0)
    assert (decision.reason, decision.strategy, decision.status) == (Reason.NAMED, Strategy.DIRECT, Status.OK)
    assert (decision.latency_ms, decision.ttft_ms) == (700, 150)
    assert decision.conversation_hash == keyed_hash(KEY, b"Support\0session-1")
    (attempt,) = decision.attempts
    assert attempt == Attempt(
        kind=Kind.ANSWER,
        tier="SIMPLE",
        provider_name="openai",
        model="gpt-4.1-mini",
        latency_ms=700,
        ttft_ms=150,
        usage=Usage(500, 60, 100),
        list_cost_nusd=400 * 400 + 100 * 100 + 60 * 1600,
        reported_cost_nusd=123_000,
        price_id=attempt.price_id,
    )


def test_a_failure_and_what_took_over_from_it_are_one_request(ledger: Ledger) -> None:
    failed = spend_log(
        1,
        model="openai/gpt-4.1",
        model_group="broken",
        status="failure",
        spend=0,
        prompt_tokens=0,
        completion_tokens=0,
        session_id="trace-1",
        metadata={"error_information": {"error_code": "429", "error_class": "RateLimitError"}, "usage_object": {}},
    )
    answered = spend_log(2, session_id="trace-1", metadata={"attempted_fallbacks": 1})
    decision = one(ledger, failed, answered)
    assert [(a.kind, a.model, a.status, a.final) for a in decision.attempts] == [
        (Kind.ANSWER, "gpt-4.1", Status.RATE_LIMITED, False),
        (Kind.FAILOVER, "gpt-4.1-mini", Status.OK, True),
    ]
    assert decision.status == Status.OK
    assert decision.attempts[0].reason == "RateLimitError"
    assert decision.attempts[0].usage is None
    assert decision.latency_ms == 1700  # from the first call's beginning to the last one's end


def test_the_order_of_rows_does_not_matter(ledger: Ledger) -> None:
    failed = spend_log(1, status="failure", session_id="t", prompt_tokens=0, completion_tokens=0)
    answered = spend_log(2, session_id="t", metadata={"attempted_fallbacks": 1})
    decision = one(ledger, answered, failed)
    assert [attempt.kind for attempt in decision.attempts] == [Kind.ANSWER, Kind.FAILOVER]
    assert [attempt.final for attempt in decision.attempts] == [False, True]


def test_two_failed_models_and_no_answer_are_one_failed_request(ledger: Ledger) -> None:
    rows = [spend_log(n, status="failure", session_id="t", prompt_tokens=0, completion_tokens=0) for n in (1, 2)]
    decision = one(ledger, *rows)
    assert decision.status == Status.REFUSED
    assert [attempt.final for attempt in decision.attempts] == [False, True]


def test_turns_of_one_session_stay_requests_of_their_own(ledger: Ledger) -> None:
    failed = spend_log(1, status="failure", session_id="chat", prompt_tokens=0, completion_tokens=0)
    later = spend_log(40, session_id="chat")
    load(ledger, as_csv([failed, later]))
    assert [len(decision.attempts) for decision in kept(ledger)] == [1, 1]


def test_what_was_called_on_behalf_of_a_request_is_its_overhead(ledger: Ledger) -> None:
    judged = spend_log(
        1, model="openai/gpt-4.1-nano", session_id="t", metadata={"internal_call_origin": "autorouter_classifier"}
    )
    answered = spend_log(
        2, session_id="t", metadata={"routing_decision": {"tier": "COMPLEX", "classifier_model": "nano"}}
    )
    decision = one(ledger, judged, answered)
    assert [(a.kind, a.model, a.final) for a in decision.attempts] == [
        (Kind.CLASSIFIER, "gpt-4.1-nano", False),
        (Kind.ANSWER, "gpt-4.1-mini", True),
    ]
    assert decision.tier == "COMPLEX"


def test_an_answer_from_the_response_cache_calls_no_model(ledger: Ledger) -> None:
    hit = spend_log(2, request_id="req-1_cache_hit1795.1", cache_hit="True", spend=0.0, request_duration_ms=4)
    load(ledger, as_csv([spend_log(1), hit]))
    served = [decision for decision in kept(ledger) if decision.strategy == Strategy.CACHE_EXACT]
    assert len(served) == 1
    assert served[0].attempts == ()
    assert served[0].cost_nusd == 0
    assert served[0].latency_ms == 4


def test_batch_calls_are_priced_as_batch(ledger: Ledger) -> None:
    decision = one(ledger, spend_log(call_type="aretrieve_batch"))
    plain = 400 * 400 + 100 * 100 + 60 * 1600
    assert decision.attempts[0].list_cost_nusd is not None
    assert decision.attempts[0].list_cost_nusd < plain


def test_an_unknown_model_has_no_list_cost_but_keeps_what_was_reported(ledger: Ledger) -> None:
    report = load(ledger, as_csv([spend_log(model="acme/tiny-9b", custom_llm_provider="acme"), spend_log(2)]))
    costs = {a.model: (a.list_cost_nusd, a.reported_cost_nusd) for d in kept(ledger) for a in d.attempts}
    assert costs["tiny-9b"] == (None, 123_000)
    assert (report.priced, report.metered, report.priced_share) == (1, 2, 0.5)
    assert any("50.0 % of calls priced" in sentence for sentence in report.sentences())


@pytest.mark.parametrize(
    ("changes", "team", "feature"),
    [
        ({"metadata": {"user_api_key_team_alias": None}, "team_id": "t1"}, "t1", "faq"),
        ({"metadata": {"user_api_key_team_alias": None}, "request_tags": ["team:ops"], "team_id": "t1"}, "ops", "faq"),
        ({"metadata": {"user_api_key_team_alias": None, "spend_logs_metadata": None}}, "", "default"),
        ({"metadata": {"spend_logs_metadata": {}}, "request_tags": ["feature:search"]}, "Support", "search"),
    ],
)
def test_where_team_and_feature_come_from(ledger: Ledger, changes: dict[str, Any], team: str, feature: str) -> None:
    decision = one(ledger, spend_log(**changes))
    assert (decision.team, decision.feature) == (team, feature)


def test_the_json_of_the_endpoint_gives_the_same_decisions_as_csv(
    ledger: Ledger, tmp_path: Path, new_ledger: Path
) -> None:
    rows = [
        spend_log(1),
        spend_log(2, cache_hit="True", spend=0.0),
        spend_log(3, status="failure", session_id="t", prompt_tokens=0, completion_tokens=0),
        spend_log(4, session_id="t", metadata={"attempted_fallbacks": 1}),
    ]
    load(ledger, as_csv(rows))
    shutil.copy(new_ledger, tmp_path / "other.db")
    with open_ledger(tmp_path / "other.db") as other:
        import json

        load(other, json.dumps({"data": rows, "total": 4, "page": 1}, indent=1))
        assert kept(other) == kept(ledger)


def test_standard_logging_payloads_join_by_trace_without_being_told_to(ledger: Ledger) -> None:
    def payload(number: int, **changes: Any) -> dict[str, Any]:
        return {
            "id": f"p{number}",
            "trace_id": "t1",
            "call_type": "acompletion",
            "status": "success",
            "custom_llm_provider": "openai",
            "startTime": 1795438284.1 + number,
            "endTime": 1795438284.6 + number,
            "response_time": 0.5,
            "response_cost": 0.00001,
            "model": "openai/gpt-4.1-nano",
            "model_group": "cheap",
            "prompt_tokens": 10,
            "completion_tokens": 20,
            "metadata": {},
            **changes,
        }

    failed = payload(1, status="failure", prompt_tokens=0, completion_tokens=0, response_cost=0.0)
    load(ledger, as_lines([failed, payload(2), payload(3, trace_id="t2")]))
    assert sorted(len(decision.attempts) for decision in kept(ledger)) == [1, 2]
