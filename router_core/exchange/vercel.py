"""Vercel AI Gateway's report: spend by day and model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router_core.exchange.buckets import day_bucket
from router_core.exchange.calls import MeteredSpend
from router_core.exchange.currencies import Notes
from router_core.exchange.fields import name, nano_dollars, total, usage
from router_core.exchange.format import Format, of_values

SOURCE = "vercel"


def report_row(row: Mapping[str, Any], notes: Notes) -> MeteredSpend:
    """Read one row; ``input_tokens`` is taken as the total including cached ones, which Vercel does not say."""
    day, starts, ends = day_bucket(row.get("day"), "day")
    read = total(row.get("cached_input_tokens"), "cached_input_tokens")
    written = total(row.get("cache_creation_input_tokens"), "cache_creation_input_tokens")
    notes["the rows do not say whether input includes cached tokens; it was taken to"] += bool(read or written)
    return MeteredSpend(
        source="vercel report",
        day=day,
        starts_at_ms=starts,
        ends_at_ms=ends,
        provider_name=SOURCE,
        model=name(row.get("model")),
        requests=total(row.get("request_count"), "request_count"),
        usage=usage(
            total(row.get("input_tokens"), "input_tokens"),
            total(row.get("output_tokens"), "output_tokens"),
            read,
            written,
            total(row.get("reasoning_tokens"), "reasoning_tokens"),
            notes,
        ),
        reported_cost_nusd=nano_dollars(row.get("total_cost"), "total_cost"),
    )


def _fits(value: Mapping[str, Any], key: str) -> bool:
    return "day" in value and "request_count" in value and "total_cost" in value


FORMATS = (Format(SOURCE, "Vercel AI Gateway report (JSON)", "spend", of_values(report_row), fits=_fits),)
