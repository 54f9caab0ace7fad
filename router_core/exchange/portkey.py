"""Portkey's log export as JSON lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router_core.decision import Status, Strategy
from router_core.exchange.buckets import utc_day
from router_core.exchange.calls import ImportedCall, Joins
from router_core.exchange.currencies import Notes
from router_core.exchange.fields import (
    BadRowError,
    cost,
    count,
    in_dollars,
    instant,
    mapping,
    milliseconds,
    name,
    truth,
)
from router_core.exchange.fields import usage as usage_of
from router_core.exchange.format import Format, of_values
from router_core.exchange.outcomes import status_of
from router_core.exchange.providers import own_name

SOURCE = "portkey"
_CENTS = 100
_HITS = {"HIT": Strategy.CACHE_EXACT, "SEMANTIC HIT": Strategy.CACHE_SEMANTIC}


def log(row: Mapping[str, Any], notes: Notes) -> ImportedCall:
    """Read one log line; ``cost`` there is cents, and the tries of a fail-over share their trace."""
    identity = name(row.get("id"))
    provider, model = own_name(row.get("ai_org"), row.get("ai_model"))
    if not identity:
        raise BadRowError("the id is missing")
    if not model:
        raise BadRowError("ai_model is missing")
    started = instant(row.get("created_at"), "created_at", notes)
    worth = in_dollars(row.get("cost_currency"), utc_day(started), notes)
    ok = truth(row.get("is_success")) is not False
    metadata = mapping(row.get("metadata"))
    trace = name(row.get("trace_id"))
    falls_back = bool(trace) and "FALLBACK" in str(row.get("mode") or "").upper()
    details = mapping(mapping(mapping(row.get("response")).get("body")).get("usage"))
    prompt = mapping(details.get("prompt_tokens_details"))
    completion = mapping(details.get("completion_tokens_details"))
    code = row.get("response_status_code")
    return ImportedCall(
        source=SOURCE,
        request_id=identity,
        started_at_ms=started,
        provider_name=provider,
        request_model=model,
        feature=name(metadata.get("feature")) or "default",
        team=name(metadata.get("team")),
        user_tier=name(metadata.get("user_tier")),
        conversation=name(metadata.get("session_id") or metadata.get("conversation")),
        tier=name(metadata.get("tier")),
        status=Status.OK if ok else status_of(code),
        error="" if ok else f"HTTP {name(code)}",
        usage=usage_of(
            count(row.get("req_units"), "req_units"),
            count(row.get("res_units"), "res_units"),
            count(prompt.get("cached_tokens") or details.get("cache_read_input_tokens"), "cached tokens"),
            count(details.get("cache_creation_input_tokens"), "tokens written to a cache"),
            count(completion.get("reasoning_tokens"), "reasoning tokens"),
            notes,
        ),
        reported_cost_nusd=cost(row.get("cost"), "cost", per_dollar=_CENTS, worth=worth),
        latency_ms=milliseconds(row.get("response_time"), "response_time") or 0,
        cached=_HITS.get(str(row.get("cache_status") or "").upper()) if ok else None,
        trace=trace if falls_back else "",
        joins=(Joins.MAYBE if ok else Joins.UNTIL_ANSWERED) if falls_back else Joins.NEVER,
    )


def _fits(value: Mapping[str, Any], key: str) -> bool:
    return "ai_model" in value and "req_units" in value


FORMATS = (Format(SOURCE, "Portkey log export (JSON lines)", "calls", of_values(log), fits=_fits),)
