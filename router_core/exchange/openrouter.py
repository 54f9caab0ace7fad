"""OpenRouter's activity as the dashboard's CSV, its daily sums as JSON, and single generations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router_core.decision import Status
from router_core.exchange.buckets import day_bucket
from router_core.exchange.calls import ImportedCall, MeteredSpend
from router_core.exchange.currencies import Notes
from router_core.exchange.fields import (
    BadRowError,
    cost,
    count,
    instant,
    mapping,
    milliseconds,
    name,
    nano_dollars,
    total,
    truth,
    usage,
)
from router_core.exchange.format import Format, of_rows, of_values

SOURCE = "openrouter"
"""Also the provider: it bills every call, whoever serves it."""


def activity_row(row: Mapping[str, Any], notes: Notes) -> ImportedCall:
    """Read one generation of the dashboard's CSV; its times name no zone and are UTC."""
    return _call(
        row,
        notes,
        identity=row.get("generation_id"),
        model=row.get("model_permaslug"),
        tokens=("tokens_prompt", "tokens_completion", "tokens_cached", "tokens_reasoning"),
        reported=row.get("cost_total"),
        latency=row.get("generation_time_ms"),
        ttft=row.get("time_to_first_token_ms"),
        finish=row.get("finish_reason_normalized"),
    )


def generation(row: Mapping[str, Any], notes: Notes) -> ImportedCall:
    """Read one answer of GET /generation; its native token counts are the ones billed."""
    one = mapping(row.get("data")) or row
    native = one.get("native_tokens_prompt") is not None
    plain = ("tokens_prompt", "tokens_completion", "native_tokens_cached", "native_tokens_reasoning")
    return _call(
        one,
        notes,
        identity=one.get("id"),
        model=one.get("model"),
        tokens=tuple(key if key.startswith("native") or not native else f"native_{key}" for key in plain),
        reported=one.get("total_cost"),
        latency=one.get("generation_time"),
        ttft=one.get("latency"),
        finish=one.get("finish_reason"),
    )


def _call(
    row: Mapping[str, Any],
    notes: Notes,
    *,
    identity: Any,
    model: Any,
    tokens: tuple[str, ...],
    reported: Any,
    latency: Any,
    ttft: Any,
    finish: Any,
) -> ImportedCall:
    request_id, own_model = name(identity), name(model)
    if not request_id:
        raise BadRowError("the generation's id is missing")
    if not own_model:
        raise BadRowError("the model is missing")
    cancelled = truth(row.get("cancelled"))
    failed = str(finish or "").lower() == "error"
    prompt, completion, cached, reasoning = (count(row.get(key), key) for key in tokens)
    return ImportedCall(
        source=SOURCE,
        request_id=request_id,
        started_at_ms=instant(row.get("created_at"), "created_at", notes),
        provider_name=SOURCE,
        request_model=own_model,
        conversation=name(row.get("session_id")),
        status=Status.ABORTED if cancelled else Status.BAD_ANSWER if failed else Status.OK,
        error="cancelled" if cancelled else "error" if failed else "",
        usage=usage(prompt, completion, cached, None, reasoning, notes),
        reported_cost_nusd=cost(reported, "the total cost"),
        latency_ms=milliseconds(latency, "the generation time") or 0,
        ttft_ms=milliseconds(ttft, "the time to the first token") if truth(row.get("streamed")) else None,
    )


def activity_day(row: Mapping[str, Any], notes: Notes) -> MeteredSpend:
    """Read one day of one model and endpoint from GET /activity; ``usage`` there is US dollars."""
    day, starts, ends = day_bucket(row.get("date"), "date")
    return MeteredSpend(
        source="openrouter activity",
        day=day,
        starts_at_ms=starts,
        ends_at_ms=ends,
        provider_name=SOURCE,
        model=name(row.get("model_permaslug") or row.get("model")),
        account=name(row.get("endpoint_id")),
        requests=total(row.get("requests"), "requests"),
        usage=usage(
            total(row.get("prompt_tokens"), "prompt_tokens"),
            total(row.get("completion_tokens"), "completion_tokens"),
            total(row.get("cached_tokens"), "cached_tokens"),
            None,
            total(row.get("reasoning_tokens"), "reasoning_tokens"),
            notes,
        ),
        reported_cost_nusd=nano_dollars(row.get("usage"), "usage"),
    )


def _is_generation(value: Mapping[str, Any], key: str) -> bool:
    one = mapping(value.get("data")) or value
    return "native_tokens_prompt" in one and "total_cost" in one


def _is_activity(value: Mapping[str, Any], key: str) -> bool:
    return "model_permaslug" in value and "byok_usage_inference" in value and "date" in value


_COLUMNS = frozenset(("generation_id", "created_at", "cost_total", "tokens_prompt", "model_permaslug"))

FORMATS = (
    Format(SOURCE, "OpenRouter activity (CSV)", "calls", of_rows(activity_row), columns=_COLUMNS),
    Format(SOURCE, "OpenRouter generations (JSON)", "calls", of_values(generation), fits=_is_generation),
    Format(SOURCE, "OpenRouter activity by day (JSON)", "spend", of_values(activity_day), fits=_is_activity),
)
