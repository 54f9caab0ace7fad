"""What a provider billed, by day, model and meter: its own cost report, or a CSV of days, models and amounts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from router_core.errors import InputError
from router_core.exchange.buckets import day_bucket
from router_core.exchange.calls import MeteredSpend, Rejected
from router_core.exchange.currencies import Notes
from router_core.exchange.fields import BadRowError, in_dollars, name, nano_dollars
from router_core.exchange.format import Format, of_rows
from router_core.exchange.providers import own_name
from router_core.exchange.sniff import recognised
from router_core.exchange.source import Source
from router_core.exchange.table import header

_DAY = ("day", "date", "usage_date", "start_date", "chargeperiodstart", "start_time_iso", "start_time")
_MODEL = ("model", "model_name", "line_item", "sku", "description")
_PROVIDER = ("provider", "provider_name", "vendor", "providername")
_AMOUNT = ("billed", "billed_usd", "cost", "cost_usd", "amount", "amount_usd", "usd", "total_cost", "billedcost")
_CURRENCY = ("currency", "billing_currency", "billingcurrency", "amount_currency")


@dataclass(frozen=True, slots=True)
class Billed:
    """One line of an invoice: a UTC day, whose model, the meter, nano-dollars, and tokens where it counts them."""

    day: date
    provider_name: str
    model: str
    meter: str
    billed_nusd: int
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice as read; ``rejected`` lines are no part of its sums, and ``notes`` say what had to be assumed."""

    title: str
    lines: tuple[Billed, ...]
    rejected: tuple[Rejected, ...]
    notes: tuple[str, ...] = ()


def read_invoice(source: Source) -> Invoice:
    """Read what was billed; raises ``InputError`` where the file is not an invoice, or bills nothing."""
    found = recognised(source) or _generic(source)
    if found is None or found.holds != "spend":
        what = f"this is {found.title}" if found is not None else "this is no cost report known here"
        raise InputError(
            f"{what}; give a cost report of OpenAI or Anthropic, or a CSV with columns such as day, model, cost",
            source=source.name,
        )
    lines, rejected = [], []
    for item in found.read(source):
        if isinstance(item, Rejected):
            rejected.append(item)
        elif isinstance(item, MeteredSpend) and item.reported_cost_nusd is not None:
            usage = item.usage
            tokens = None if usage is None else usage.input_tokens + usage.output_tokens
            lines.append(Billed(item.day, item.provider_name, item.model, item.meter, item.reported_cost_nusd, tokens))
    if not lines:
        why = f"; its first bad line ({rejected[0].line}): {rejected[0].reason}" if rejected else ""
        raise InputError(f"{found.title} holds no cost{why}", source=source.name)
    notes = tuple(f"{note[:1].upper()}{note[1:]} ({number:,})." for note, number in source.notes.items() if number)
    return Invoice(found.title, tuple(lines), tuple(rejected), notes)


def _generic(source: Source) -> Format | None:
    columns = {column.lower(): column for column in header(source.head)}
    day, model, amount = (_first(columns, names) for names in (_DAY, _MODEL, _AMOUNT))
    if day is None or amount is None or len(columns) < 2:
        return None
    provider, currency = _first(columns, _PROVIDER), _first(columns, _CURRENCY)

    def convert(row: Mapping[str, Any], notes: Notes) -> MeteredSpend:
        on, starts, ends = day_bucket(row[day], day)
        worth = in_dollars(row.get(currency) if currency else None, on, notes)
        billed = nano_dollars(str(row[amount]).strip().removeprefix("$"), amount, worth=worth)
        if billed is None:
            raise BadRowError(f"{amount} is missing")
        given = name(row.get(provider)).lower() if provider else ""
        owner, own = own_name(given, row.get(model) if model else "")
        return MeteredSpend("invoice", on, starts, ends, owner, own, reported_cost_nusd=billed)

    return Format("csv", "a CSV of costs", "spend", of_rows(convert))


def _first(columns: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((columns[known] for known in names if known in columns), None)
