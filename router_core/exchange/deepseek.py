"""DeepSeek's amount report: tokens and requests by hour, model and key, one row a meter."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from router_core.exchange.buckets import span_bucket
from router_core.exchange.calls import MeteredSpend
from router_core.exchange.currencies import Notes
from router_core.exchange.fields import BadRowError, decimal, name, nano_dollars, shown, total, usage
from router_core.exchange.format import Format, of_rows

SOURCE = "deepseek"

_TOKENS = ("input_cache_hit_tokens", "input_cache_miss_tokens", "output_tokens")


def amount(row: Mapping[str, Any], notes: Notes) -> MeteredSpend:
    """Read one row: ``price`` is US dollars a token; a row of another meter has its amount counted as requests."""
    meter = name(row.get("type"))
    day, starts, ends = span_bucket(row.get("start_time_iso"), row.get("end_time_iso"))
    number = total(row.get("amount"), "the amount")
    if number is None:
        raise BadRowError("the amount is missing")
    price = decimal(row.get("price"), "the price")
    if meter not in (*_TOKENS, "request_count"):
        raise BadRowError(f"{shown(meter)} is not a meter known here")
    notes["amounts named no currency and were taken as US dollars"] += price is not None
    hit, miss, out = (number if meter == kind else 0 for kind in _TOKENS)
    return MeteredSpend(
        source="deepseek amounts",
        day=day,
        starts_at_ms=starts,
        ends_at_ms=ends,
        provider_name=SOURCE,
        model=name(row.get("model")),
        meter=meter,
        account="/".join(part for part in (name(row.get("user_id")), name(row.get("api_key_name"))) if part),
        requests=number if meter == "request_count" else None,
        usage=usage(hit + miss, out, hit),
        reported_cost_nusd=None if price is None else nano_dollars(price * Decimal(number), "the cost"),
    )


_COLUMNS = frozenset(("start_time_iso", "end_time_iso", "model", "type", "price", "amount"))

FORMATS = (Format(SOURCE, "DeepSeek amounts (CSV)", "spend", of_rows(amount), columns=_COLUMNS),)
