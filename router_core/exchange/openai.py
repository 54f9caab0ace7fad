"""OpenAI's organisation reports: usage and costs, as their endpoints answer and as the dashboard writes CSV."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router_core.exchange.buckets import span_bucket
from router_core.exchange.calls import Item, MeteredSpend
from router_core.exchange.currencies import Notes
from router_core.exchange.fields import BadRowError, in_dollars, name, nano_dollars, total, truth, usage
from router_core.exchange.format import Format, of_buckets, of_rows, results
from router_core.usage import Usage

SOURCE = "openai"
USAGE, COSTS = "openai usage", "openai costs"


def used(row: Mapping[str, Any], notes: Notes) -> MeteredSpend | list[Item]:
    """Read one result of GET /organization/usage/completions, or one row of the dashboard's usage CSV."""
    if _empty(row):
        return []
    day, starts, ends = span_bucket(row.get("start_time"), row.get("end_time"))
    service = name(row.get("service_tier")).lower()
    processing = "batch" if truth(row.get("batch")) else service if service in ("flex", "priority") else "standard"
    return MeteredSpend(
        source=USAGE,
        day=day,
        starts_at_ms=starts,
        ends_at_ms=ends,
        provider_name=SOURCE,
        model=name(row.get("model")),
        meter="" if processing == "standard" else processing,
        account=_account(row),
        requests=total(row.get("num_model_requests"), "num_model_requests"),
        usage=usage(
            total(row.get("input_tokens"), "input_tokens"),
            total(row.get("output_tokens"), "output_tokens"),
            total(row.get("input_cached_tokens"), "input_cached_tokens"),
            total(row.get("input_cache_write_tokens"), "input_cache_write_tokens"),
            None,
            notes,
        ),
        processing=processing,
    )


def charged(row: Mapping[str, Any], notes: Notes) -> MeteredSpend | list[Item]:
    """Read one result of GET /organization/costs, or one row of the dashboard's cost CSV; a row is one line item."""
    if _empty(row):
        return []
    amount = row.get("amount")
    value, currency = (
        (amount.get("value"), amount.get("currency"))
        if isinstance(amount, dict)
        else (row.get("amount_value"), row.get("amount_currency"))
    )
    day, starts, ends = span_bucket(row.get("start_time"), row.get("end_time"))
    cost_nusd = nano_dollars(value, "the amount", worth=in_dollars(currency, day, notes))
    if cost_nusd is None:
        raise BadRowError("the amount is missing")
    model, meter = line_item(name(row.get("line_item")))
    return MeteredSpend(
        source=COSTS,
        day=day,
        starts_at_ms=starts,
        ends_at_ms=ends,
        provider_name=SOURCE,
        model=model,
        meter=meter,
        account=_account(row),
        usage=_metered(meter, row),
        reported_cost_nusd=cost_nusd,
    )


def line_item(text: str) -> tuple[str, str]:
    """Return (model, meter) of a line item such as "gpt-4o-mini, input_tokens"; one without a comma is all meter."""
    model, mark, meter = text.rpartition(", ")
    return (model, meter) if mark else ("", text)


def _metered(meter: str, result: Mapping[str, Any]) -> Usage | None:
    """Return the tokens of a cost line, where it counts tokens: one line counts one kind of them."""
    unit = name(result.get("quantity_unit")).lower()
    factor = {"tokens": 1, "1000_tokens": 1000, "1k_tokens": 1000, "1000000_tokens": 1_000_000}.get(unit)
    if factor is None:
        return None
    quantity = nano_dollars(result.get("quantity"), "the quantity")
    if quantity is None or quantity < 0:
        return None
    tokens = round(quantity * factor / 1_000_000_000)
    if "output" in meter:
        return usage(0, tokens)
    cached = "cached" in meter or "cache_read" in meter
    return usage(tokens, 0, tokens if cached else 0, tokens if "cache_write" in meter else 0)


def _account(result: Mapping[str, Any]) -> str:
    keys = ("project_id", "api_key_id", "user_id", "service_tier")
    return "/".join(part for part in (name(result.get(key)) for key in keys) if part and part != "default")


def _empty(row: Mapping[str, Any]) -> bool:
    """Say whether a row of CSV has nothing but its times: the dashboard writes one for a bucket without use."""
    return not any(
        str(value or "").strip() for key, value in row.items() if not key.startswith(("start_time", "end_time"))
    )


def _kind(value: Mapping[str, Any], kind: str) -> bool:
    return any(str(result.get("object", "")).startswith(kind) for result in results(value))


def _is_usage(value: Mapping[str, Any], key: str) -> bool:
    return _kind(value, "organization.usage")


def _is_costs(value: Mapping[str, Any], key: str) -> bool:
    return _kind(value, "organization.costs")


def _is_either(value: Mapping[str, Any], key: str) -> bool:
    return value.get("object") == "bucket" and not results(value)


def _either(row: Mapping[str, Any], notes: Notes) -> MeteredSpend | list[Item]:
    return charged(row, notes) if "amount" in row else used(row, notes)


_TIMES = frozenset(("start_time", "end_time", "start_time_iso", "end_time_iso"))
_COSTS = frozenset(("start_time", "amount_value", "line_item"))
_USAGE = frozenset(("start_time", "num_model_requests", "input_tokens"))

FORMATS = (
    Format(SOURCE, "OpenAI usage (JSON)", "spend", of_buckets(used), fits=_is_usage),
    Format(SOURCE, "OpenAI costs (JSON)", "spend", of_buckets(charged), fits=_is_costs),
    Format(SOURCE, "OpenAI report whose first bucket is empty (JSON)", "spend", of_buckets(_either), fits=_is_either),
    Format(SOURCE, "OpenAI costs (CSV)", "spend", of_rows(charged), columns=_COSTS),
    Format(SOURCE, "OpenAI usage (CSV)", "spend", of_rows(used), columns=_USAGE),
    Format(SOURCE, "OpenAI report without any use (CSV)", "spend", of_rows(used), columns=_TIMES),
)
