"""A row of LiteLLM's logs as the call it tells of: of SpendLogs, or a StandardLoggingPayload."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router_core.decision import Kind, Status, Strategy
from router_core.exchange.calls import ImportedCall, Joins
from router_core.exchange.currencies import Notes
from router_core.exchange.fields import (
    BadRowError,
    cost,
    count,
    instant,
    listing,
    mapping,
    milliseconds,
    name,
    truth,
    usage,
)
from router_core.exchange.outcomes import status_of
from router_core.exchange.providers import own_name

SOURCE = "litellm"
_CLASSIFIER = "autorouter_classifier"

SPEND_LOG_COLUMNS = ("request_id", "spend", "startTime", "model", "model_group", "prompt_tokens", "completion_tokens")


def spend_log(row: Mapping[str, Any], notes: Notes) -> ImportedCall:
    """Read one row of SpendLogs; ``model`` is the model really called and ``spend`` what LiteLLM says it cost."""
    metadata = mapping(row.get("metadata"))
    started = instant(row.get("startTime"), "startTime", notes)
    duration = milliseconds(row.get("request_duration_ms"), "request_duration_ms")
    if duration is None and row.get("endTime"):
        duration = max(instant(row["endTime"], "endTime") - started, 0)
    session = name(row.get("session_id"))
    return _call(
        row,
        metadata,
        notes,
        request_id=name(row.get("request_id")),
        started=started,
        latency_ms=duration or 0,
        first_token=row.get("completionStartTime"),
        ended=row.get("endTime"),
        cost_nusd=cost(row.get("spend"), "spend"),
        status=row.get("status") or metadata.get("status"),
        attempted=(metadata.get("attempted_fallbacks"), metadata.get("attempted_retries")),
        conversation=session,
        trace=session,
    )


def payload(row: Mapping[str, Any], notes: Notes) -> ImportedCall:
    """Read one StandardLoggingPayload."""
    metadata = mapping(row.get("metadata"))
    headers = mapping(mapping(row.get("hidden_params")).get("additional_headers"))
    started = instant(row.get("startTime"), "startTime", notes)
    duration = milliseconds(row.get("response_time"), "response_time", per_unit=1000)
    streamed = truth(row.get("stream"))
    return _call(
        row,
        metadata,
        notes,
        request_id=name(row.get("id") or row.get("litellm_call_id")),
        started=started,
        latency_ms=duration or 0,
        first_token=row.get("completionStartTime") if streamed else None,
        ended=row.get("endTime"),
        cost_nusd=cost(row.get("response_cost"), "response_cost"),
        status=row.get("status"),
        attempted=(
            headers.get("x-litellm-attempted-fallbacks", metadata.get("attempted_fallbacks")),
            headers.get("x-litellm-attempted-retries", metadata.get("attempted_retries")),
        ),
        conversation=name(row.get("session_id")),
        trace=name(row.get("trace_id")),
    )


def _call(
    row: Mapping[str, Any],
    metadata: Mapping[str, Any],
    notes: Notes,
    *,
    request_id: str,
    started: int,
    latency_ms: int,
    first_token: Any,
    ended: Any,
    cost_nusd: int | None,
    status: Any,
    attempted: tuple[Any, Any],
    conversation: str,
    trace: str,
) -> ImportedCall:
    if not request_id:
        raise BadRowError("the request id is missing")
    provider, model = own_name(row.get("custom_llm_provider"), row.get("model"))
    if not model:
        raise BadRowError("model is missing")
    tags = tags_of(row.get("request_tags"))
    custom = mapping(metadata.get("spend_logs_metadata"))
    routing = mapping(metadata.get("routing_decision"))
    failed = str(status or "").lower() == "failure"
    error = mapping(metadata.get("error_information") or row.get("error_information")) if failed else {}
    failure = name(error.get("error_class")) or "error" if failed else ""
    behalf = metadata.get("internal_call_origin") == _CLASSIFIER
    fallbacks, retries = (count(value, "attempted fallbacks") for value in attempted)
    joins = Joins.MAYBE if fallbacks is None and trace else Joins.NEVER
    if trace and (failed or behalf or fallbacks or retries or routing.get("classifier_model")):
        joins = Joins.UNTIL_ANSWERED
    ttft = None
    if first_token and first_token != ended and not failed:
        ttft = instant(first_token, "completionStartTime") - started
    hit = truth(row.get("cache_hit"))
    breakdown = metadata.get("cost_breakdown") or row.get("cost_breakdown")
    return ImportedCall(
        source=SOURCE,
        request_id=request_id,
        started_at_ms=started,
        provider_name=provider,
        request_model=model,
        feature=name(custom.get("feature")) or tags.get("feature") or "default",
        team=name(metadata.get("user_api_key_team_alias"))
        or tags.get("team")
        or name(row.get("team_id") or metadata.get("user_api_key_team_id")),
        conversation=conversation,
        tier=name(routing.get("tier")) or tags.get("tier", ""),
        kind=Kind.CLASSIFIER if behalf else Kind.ANSWER,
        status=status_of(error.get("error_code"), failure) if failed else Status.OK,
        error=failure,
        usage=_usage(row, metadata, notes),
        reported_cost_nusd=cost_nusd,
        latency_ms=latency_ms,
        ttft_ms=ttft if ttft is not None and ttft >= 0 else None,
        processing=processing_of(row.get("call_type"), mapping(breakdown).get("service_tier")),
        cached=Strategy.CACHE_EXACT if hit and not failed else None,
        trace=trace,
        joins=joins,
    )


def _usage(row: Mapping[str, Any], metadata: Mapping[str, Any], notes: Notes) -> Any:
    counted = mapping(metadata.get("usage_object"))
    prompt = mapping(counted.get("prompt_tokens_details"))
    completion = mapping(counted.get("completion_tokens_details"))
    more = mapping(metadata.get("additional_usage_values"))
    read = prompt.get("cached_tokens") or counted.get("cache_read_input_tokens") or more.get("cache_read_input_tokens")
    write = (
        prompt.get("cache_creation_tokens")
        or prompt.get("cache_write_tokens")
        or counted.get("cache_creation_input_tokens")
        or more.get("cache_creation_input_tokens")
    )
    return usage(
        count(row.get("prompt_tokens"), "prompt_tokens"),
        count(row.get("completion_tokens"), "completion_tokens"),
        count(read, "cached tokens"),
        count(write, "tokens written to a cache"),
        count(completion.get("reasoning_tokens"), "reasoning_tokens"),
        notes,
    )


def tags_of(value: Any) -> dict[str, str]:
    """Return tags of the form ``key:value``; of a key given twice the first counts."""
    tags: dict[str, str] = {}
    for tag in listing(value):
        key, mark, content = str(tag).partition(":")
        if mark:
            tags.setdefault(key.strip().lower(), name(content))
    return tags


def processing_of(call_type: Any, service_tier: Any) -> str:
    """Return how a call was processed, as prices distinguish it."""
    if "batch" in str(call_type or ""):
        return "batch"
    tier = str(service_tier or "").lower()
    return tier if tier in ("flex", "priority", "fast", "batch") else "standard"
