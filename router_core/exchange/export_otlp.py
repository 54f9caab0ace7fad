"""Decisions as OpenTelemetry spans in OTLP/JSON: one for the routing, and under it one for each call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

from router_core.decision import Attempt, RoutingDecision, Status
from router_core.exchange.export_decisions import spent
from router_core.exchange.outlet import Outlet, Statement, agree
from router_core.ledger.pages import decisions
from router_core.ledger.store import Ledger

_SPANS_A_LINE = 500
_INTERNAL, _CLIENT = 1, 3
_OK, _ERROR = 1, 2
_NUSD = 1_000_000_000


def export_otlp(ledger: Ledger, path: str | Path, *, since: date | None = None, until: date | None = None) -> Statement:
    """Write spans, an ExportTraceServiceRequest a line; costs are our list prices in US dollars.

    Raises as ``export_csv`` does. ``rows`` of the statement counts spans.
    """
    rows = total = unpriced = 0
    batch: list[dict[str, Any]] = []
    with Outlet(path) as outlet:
        for decision in decisions(ledger, since, until):
            batch += spans(decision)
            for attempt in decision.attempts:
                total += attempt.list_cost_nusd or 0
                unpriced += attempt.usage is not None and attempt.list_cost_nusd is None
            if len(batch) >= _SPANS_A_LINE:
                rows += len(batch)
                outlet.write(_line(batch))
                batch = []
        if batch:
            rows += len(batch)
            outlet.write(_line(batch))
        agree(total, spent(ledger, since, until))
        return outlet.statement(
            "OpenTelemetry spans (OTLP/JSON)",
            rows=rows,
            list_cost_nusd=total,
            unpriced_calls=unpriced,
            since=since,
            until=until,
        )


def spans(decision: RoutingDecision) -> Iterator[dict[str, Any]]:
    """Yield the spans of one decision; its id is the trace's, and calls are numbered under the routing span."""
    trace, root = decision.id.hex(), decision.id[8:].hex()
    yield _span(
        trace,
        root,
        "",
        "route",
        _INTERNAL,
        decision.decided_at_ms,
        decision.latency_ms,
        decision.status,
        {
            "tierwise.tier": decision.tier,
            "tierwise.feature": decision.feature,
            "tierwise.team": decision.team,
            "tierwise.user_tier": decision.user_tier,
            "tierwise.score": decision.score,
            "tierwise.scorer": decision.scorer_version,
            "tierwise.reason": decision.reason.name.lower(),
            "tierwise.propensity": decision.propensity,
            "tierwise.strategy": decision.strategy.name.lower(),
            "tierwise.config_version": decision.config_version,
        },
    )
    for number, attempt in enumerate(decision.attempts, 1):
        span = ((int.from_bytes(decision.id[8:], "big") + number) % 2**64).to_bytes(8, "big").hex()
        yield _span(
            trace,
            span,
            root,
            f"chat {attempt.model}",
            _CLIENT,
            decision.decided_at_ms + attempt.offset_ms,
            attempt.latency_ms,
            attempt.status,
            _attributes(attempt),
        )


def _attributes(attempt: Attempt) -> dict[str, Any]:
    usage = attempt.usage
    counted = (
        {}
        if usage is None
        else {
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read_input_tokens,
            "gen_ai.usage.cache_write.input_tokens": usage.cache_write_input_tokens,
            "gen_ai.usage.reasoning.output_tokens": usage.reasoning_output_tokens,
        }
    )
    reported, listed = attempt.reported_cost_nusd, attempt.list_cost_nusd
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": attempt.provider_name,
        "gen_ai.request.model": attempt.model,
        **counted,
        "gen_ai.response.time_to_first_chunk": None if attempt.ttft_ms is None else attempt.ttft_ms / 1000,
        "gen_ai.usage.cost": None if reported is None else reported / _NUSD,
        "error.type": None if attempt.status == Status.OK else attempt.reason or attempt.status.name.lower(),
        "tierwise.kind": attempt.kind.name.lower(),
        "tierwise.tier": attempt.tier,
        "tierwise.list_cost_usd": None if listed is None else listed / _NUSD,
    }


def _span(
    trace: str,
    span: str,
    parent: str,
    name: str,
    kind: int,
    start_ms: int,
    latency_ms: int,
    status: Status,
    attributes: dict[str, Any],
) -> dict[str, Any]:
    return {
        "traceId": trace,
        "spanId": span,
        **({"parentSpanId": parent} if parent else {}),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": str(start_ms * 1_000_000),
        "endTimeUnixNano": str((start_ms + latency_ms) * 1_000_000),
        "attributes": [
            {"key": key, "value": _value(value)}
            for key, value in attributes.items()
            if value is not None and value != ""
        ],
        "status": {"code": _OK if status == Status.OK else _ERROR},
    }


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(int(value))}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": value}


def _line(batch: list[dict[str, Any]]) -> bytes:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "tierwise"}}]}
    spans = {"resource": resource, "scopeSpans": [{"scope": {"name": "tierwise"}, "spans": batch}]}
    return json.dumps({"resourceSpans": [spans]}, separators=(",", ":")).encode() + b"\n"
