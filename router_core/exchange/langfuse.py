"""Langfuse's observations: the batch export as CSV, JSON or JSON lines, and the blob export in snake_case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router_core.decision import QualitySource, Status
from router_core.exchange.calls import ImportedCall, Quality
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
    share,
    usage,
)
from router_core.exchange.format import Format, of_rows, of_values
from router_core.exchange.outcomes import status_of
from router_core.exchange.providers import own_name
from router_core.usage import Usage

SOURCE = "langfuse"

# Columns of Langfuse's own that hold lists, as those named after a score do.
_NOT_SCORES = frozenset(
    ("input", "output", "traceTags", "tags", "comments", "toolCalls", "toolCallNames", "toolDefinitions")
)
_CALLS = ("GENERATION", "EMBEDDING")


def observation(row: Mapping[str, Any], notes: Notes) -> ImportedCall | None:
    """Read one observation of the batch export; what is neither a generation nor an embedding is no call."""
    if str(row.get("type") or "").upper() not in _CALLS:
        return None
    started = instant(row.get("startTime"), "startTime", notes)
    tags = _tags(row.get("traceTags") or row.get("tags"))
    return _call(
        row,
        notes,
        started=started,
        ended=row.get("endTime"),
        model=row.get("model"),
        ttft=row.get("timeToFirstToken"),
        counted=_usage(
            mapping(row.get("usageDetails")),
            row.get("inputUsage"),
            row.get("outputUsage"),
            row.get("totalUsage"),
            notes,
        ),
        reported=row.get("totalCost"),
        failure=row.get("statusMessage"),
        tags=tags,
        conversation=name(row.get("sessionId")),
        qualities=_scores(row),
    )


def blob(row: Mapping[str, Any], notes: Notes) -> ImportedCall | None:
    """Read one observation of the blob export."""
    if str(row.get("type") or "").upper() not in _CALLS:
        return None
    started = instant(row.get("start_time"), "start_time", notes)
    return _call(
        row,
        notes,
        started=started,
        ended=row.get("end_time"),
        model=row.get("provided_model_name"),
        ttft=row.get("time_to_first_token"),
        counted=_usage(mapping(row.get("usage_details")), None, None, None, notes),
        reported=row.get("total_cost"),
        failure=row.get("status_message"),
        tags=_tags(row.get("tags")),
        conversation=name(row.get("session_id")),
        qualities=(),
    )


def _call(
    row: Mapping[str, Any],
    notes: Notes,
    *,
    started: int,
    ended: Any,
    model: Any,
    ttft: Any,
    counted: Usage | None,
    reported: Any,
    failure: Any,
    tags: Mapping[str, str],
    conversation: str,
    qualities: tuple[Quality, ...],
) -> ImportedCall:
    identity = name(row.get("id"))
    if not identity:
        raise BadRowError("the id is missing")
    metadata = mapping(row.get("metadata"))
    provider, own_model = own_name(metadata.get("ls_provider") or metadata.get("provider"), model)
    if not own_model:
        raise BadRowError("the model is missing")
    latency = milliseconds(row.get("latency"), "latency", per_unit=1000)
    if latency is None and ended:
        latency = max(instant(ended, "the end") - started, 0)
    failed = str(row.get("level") or "").upper() == "ERROR"
    return ImportedCall(
        source=SOURCE,
        request_id=identity,
        started_at_ms=started,
        provider_name=provider,
        request_model=own_model,
        feature=name(metadata.get("feature")) or tags.get("feature") or "default",
        team=name(metadata.get("team")) or tags.get("team", ""),
        conversation=conversation,
        tier=name(metadata.get("tier")) or tags.get("tier", ""),
        status=status_of(None, str(failure or "").replace(" ", "")) if failed else Status.OK,
        error="error" if failed else "",
        usage=counted,
        reported_cost_nusd=cost(reported, "the total cost"),
        latency_ms=latency or 0,
        ttft_ms=milliseconds(ttft, "the time to the first token", per_unit=1000),
        qualities=qualities,
    )


def _usage(
    details: Mapping[str, Any], input_total: Any, output_total: Any, all_tokens: Any, notes: Notes
) -> Usage | None:
    """Return counts from Langfuse's details, whose keys stand beside one another (input without what was cached)."""
    known = {key: count(value, key) or 0 for key, value in details.items()}
    read = sum(tokens for key, tokens in known.items() if "cache" in key and not _writes(key))
    write = sum(tokens for key, tokens in known.items() if "cache" in key and _writes(key))
    thought = sum(tokens for key, tokens in known.items() if "reasoning" in key)
    tokens_in = sum(tokens for key, tokens in known.items() if "input" in key or "prompt" in key or "cache" in key)
    tokens_out = sum(tokens for key, tokens in known.items() if "output" in key or "completion" in key)
    stated = known.get("total") or count(all_tokens, "totalUsage")
    plain_in, plain_out = known.get("input", 0), known.get("output", 0)
    if stated and tokens_in + tokens_out > stated and plain_in + plain_out == stated:
        tokens_in, tokens_out = plain_in, plain_out  # this SDK sent totals that include their subsets
    return usage(
        tokens_in or count(input_total, "inputUsage"),
        tokens_out or count(output_total, "outputUsage"),
        read,
        write,
        thought,
        notes,
    )


def _writes(key: str) -> bool:
    return "creation" in key or "write" in key


def _tags(value: Any) -> dict[str, str]:
    tags: dict[str, str] = {}
    for tag in listing(value):
        key, mark, content = str(tag).partition(":")
        if mark:
            tags.setdefault(key.strip().lower(), name(content))
    return tags


def _scores(row: Mapping[str, Any]) -> tuple[Quality, ...]:
    """Return the scores: each has a column of its own, named after it and holding a list of values."""
    found = []
    for key, value in row.items():
        if key not in _NOT_SCORES:
            for score in listing(value):
                part = share(score, key)
                if part is not None:
                    found.append(Quality(name(key), part, QualitySource.JUDGE))
    return tuple(found)


def _is_observation(value: Mapping[str, Any], key: str) -> bool:
    return "traceId" in value and "startTime" in value and ("usageDetails" in value or "totalUsage" in value)


def _is_blob(value: Mapping[str, Any], key: str) -> bool:
    return "trace_id" in value and "usage_details" in value


_COLUMNS = frozenset(("id", "traceId", "startTime", "type", "usageDetails"))
_BLOB_COLUMNS = frozenset(("id", "trace_id", "start_time", "usage_details", "provided_model_name"))

FORMATS = (
    Format(SOURCE, "Langfuse observations (CSV)", "calls", of_rows(observation), columns=_COLUMNS),
    Format(SOURCE, "Langfuse blob export (CSV)", "calls", of_rows(blob), columns=_BLOB_COLUMNS),
    Format(SOURCE, "Langfuse observations (JSON)", "calls", of_values(observation), fits=_is_observation),
    Format(SOURCE, "Langfuse blob export (JSON)", "calls", of_values(blob), fits=_is_blob),
)
