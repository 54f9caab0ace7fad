"""Helicone's requests: the CSV of its export command, and the JSON of its query endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router_core.decision import QualitySource, Status, Strategy
from router_core.exchange.calls import ImportedCall, Quality
from router_core.exchange.currencies import Notes
from router_core.exchange.fields import (
    BadRowError,
    cost,
    count,
    instant,
    mapping,
    milliseconds,
    name,
    share,
    truth,
    usage,
)
from router_core.exchange.format import Format, of_rows, of_values
from router_core.exchange.outcomes import status_of, succeeded
from router_core.exchange.providers import own_name

SOURCE = "helicone"
_NO_HIT = "00000000-0000-0000-0000-000000000000"


def request(row: Mapping[str, Any], notes: Notes) -> ImportedCall:
    """Read one request; prompt tokens there include cached ones, and scores run from 0 to 100."""
    identity = name(row.get("response_id")) or name(row.get("request_id"))
    if not identity:
        raise BadRowError("neither response_id nor request_id is there")
    provider, model = own_name(row.get("provider"), row.get("model") or row.get("request_model"))
    if not model:
        raise BadRowError("the model is missing")
    started = instant(row.get("request_created_at"), "request_created_at", notes)
    latency = milliseconds(row.get("delay_ms") if "delay_ms" in row else row.get("latency"), "latency")
    if latency is None and row.get("response_created_at"):
        latency = max(instant(row["response_created_at"], "response_created_at") - started, 0)
    properties = {
        str(key).lower(): value
        for key, value in (mapping(row.get("properties")) or mapping(row.get("request_properties"))).items()
    }
    code = row.get("response_status")
    ok = succeeded(code)
    hit = name(row.get("cache_reference_id")) not in ("", _NO_HIT)
    return ImportedCall(
        source=SOURCE,
        request_id=identity,
        started_at_ms=started,
        provider_name=provider,
        request_model=model,
        response_model=name(row.get("response_model")),
        feature=name(properties.get("feature")) or "default",
        team=name(properties.get("team")),
        user_tier=name(properties.get("user_tier")),
        conversation=name(properties.get("helicone-session-id") or properties.get("session")),
        tier=name(properties.get("tier")),
        status=Status.OK if ok else status_of(code),
        error="" if ok else f"HTTP {name(code)}",
        usage=usage(
            count(row.get("prompt_tokens"), "prompt_tokens"),
            count(row.get("completion_tokens"), "completion_tokens"),
            count(row.get("prompt_cache_read_tokens"), "prompt_cache_read_tokens"),
            count(row.get("prompt_cache_write_tokens"), "prompt_cache_write_tokens"),
            count(row.get("reasoning_tokens"), "reasoning_tokens"),
            notes,
        ),
        reported_cost_nusd=cost(row["costUSD"] if row.get("costUSD") is not None else row.get("cost"), "cost"),
        latency_ms=latency or 0,
        ttft_ms=milliseconds(row.get("time_to_first_token"), "time_to_first_token"),
        cached=Strategy.CACHE_EXACT if hit and ok else None,
        qualities=_qualities(row),
    )


def _qualities(row: Mapping[str, Any]) -> tuple[Quality, ...]:
    found = []
    for label, score in mapping(row.get("scores")).items():
        part = share(score, label, of=100.0)
        if part is not None:
            found.append(Quality(name(label), part, QualitySource.JUDGE))
    rating = truth(row.get("feedback_rating"))
    if rating is not None:
        found.append(Quality("feedback_rating", 1.0 if rating else 0.0, QualitySource.FEEDBACK))
    return tuple(found)


def _fits(value: Mapping[str, Any], key: str) -> bool:
    return "request_created_at" in value and "delay_ms" in value


_COLUMNS = frozenset(("response_id", "request_created_at", "response_status", "model", "prompt_tokens", "cost"))

FORMATS = (
    Format(SOURCE, "Helicone export (CSV)", "calls", of_rows(request), columns=_COLUMNS),
    Format(SOURCE, "Helicone requests (JSON)", "calls", of_values(request), fits=_fits),
)
