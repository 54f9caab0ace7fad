"""Anthropic's reports: tokens used and what they cost, from the admin and the analytics endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router_core.exchange.buckets import span_bucket
from router_core.exchange.calls import MeteredSpend
from router_core.exchange.currencies import Notes
from router_core.exchange.fields import BadRowError, in_dollars, mapping, name, nano_dollars, total, usage
from router_core.exchange.format import Format, of_buckets, results
from router_core.usage import Usage

SOURCE = "anthropic"
USAGE, COSTS, ANALYTICS = "anthropic usage", "anthropic costs", "anthropic analytics costs"
_CENTS = 100
_LONG_CONTEXT = 200_001  # tokens: calls filed under 200k-1M have at least so many


def used(row: Mapping[str, Any], notes: Notes) -> MeteredSpend:
    """Read one result of a usage report; input there comes in parts that stand beside one another."""
    day, starts, ends = span_bucket(row.get("starting_at"), row.get("ending_at"))
    processing = _processing(row)
    return MeteredSpend(
        source=USAGE,
        day=day,
        starts_at_ms=starts,
        ends_at_ms=ends,
        provider_name=SOURCE,
        model=name(row.get("model")),
        meter="" if processing == "standard" else processing,
        account=_account(row),
        requests=total(row.get("requests"), "requests"),
        usage=_usage(row),
        processing=processing,
        call_input_tokens=_LONG_CONTEXT if name(row.get("context_window")).startswith("200k") else 0,
    )


def _usage(result: Mapping[str, Any]) -> Usage | None:
    created = mapping(result.get("cache_creation"))
    written = sum(total(tokens, kind) or 0 for kind, tokens in created.items())
    read = total(result.get("cache_read_input_tokens"), "cache_read_input_tokens") or 0
    plain = total(result.get("uncached_input_tokens"), "uncached_input_tokens") or 0
    return usage(plain + read + written, total(result.get("output_tokens"), "output_tokens"), read, written, None)


def charged(row: Mapping[str, Any], notes: Notes) -> MeteredSpend:
    """Read one result of a cost report; amounts there are cents as text."""
    day, starts, ends = span_bucket(row.get("starting_at"), row.get("ending_at"))
    worth = in_dollars(row.get("currency"), day, notes)
    cost_nusd = nano_dollars(row.get("amount"), "the amount", per_dollar=_CENTS, worth=worth)
    if cost_nusd is None:
        raise BadRowError("the amount is missing")
    return MeteredSpend(
        source=ANALYTICS if "list_amount" in row else COSTS,
        day=day,
        starts_at_ms=starts,
        ends_at_ms=ends,
        provider_name=SOURCE,
        model=name(row.get("model")),
        meter=name(row.get("token_type")) or name(row.get("cost_type")) or name(row.get("description")),
        account=_account(row),
        requests=total(row.get("requests"), "requests"),
        list_cost_nusd=nano_dollars(row.get("list_amount"), "list_amount", per_dollar=_CENTS, worth=worth),
        reported_cost_nusd=cost_nusd,
    )


def _processing(result: Mapping[str, Any]) -> str:
    for value in (name(result.get("service_tier")).lower(), name(result.get("speed")).lower()):
        if value in ("batch", "flex", "priority", "fast"):
            return value
    return "standard"


def _account(result: Mapping[str, Any]) -> str:
    keys = (
        "workspace_id",
        "api_key_id",
        "account_id",
        "service_account_id",
        "product",
        "service_tier",
        "context_window",
        "inference_geo",
        "speed",
        "cost_type",
    )
    usual = ("standard", "0-200k", "not_available", "tokens")
    return "/".join(part for part in (name(result.get(key)) for key in keys) if part and part not in usual)


def _is_usage(value: Mapping[str, Any], key: str) -> bool:
    return "starting_at" in value and any("uncached_input_tokens" in result for result in results(value))


def _is_costs(value: Mapping[str, Any], key: str) -> bool:
    return "starting_at" in value and any("amount" in result for result in results(value))


def _is_either(value: Mapping[str, Any], key: str) -> bool:
    return "starting_at" in value and value.get("results") == []


def _either(row: Mapping[str, Any], notes: Notes) -> MeteredSpend:
    return charged(row, notes) if "amount" in row else used(row, notes)


FORMATS = (
    Format(SOURCE, "Anthropic usage report (JSON)", "spend", of_buckets(used), fits=_is_usage),
    Format(SOURCE, "Anthropic cost report (JSON)", "spend", of_buckets(charged), fits=_is_costs),
    Format(SOURCE, "Anthropic report whose first bucket is empty", "spend", of_buckets(_either), fits=_is_either),
)
