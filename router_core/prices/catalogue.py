"""The catalogue: the price data of the installed genai-prices as dated rows, and its way of recognising names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from router_core.prices.price import FIRST_KNOWN, Price

if TYPE_CHECKING:  # importing genai-prices takes a third of a second, so it waits until it is needed
    from genai_prices.types import ModelInfo, ModelPrice, Provider

_KEYS = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")
_PROCESSING_KEYS = ("processing", "service_tier", "speed")
# Priced by more than text tokens; a price without its fee would be too low, so these stay unknown.
_FEES = ("requests_kcount", "output_reasoning_mtok")
# Names by which OpenTelemetry and LiteLLM call providers, where genai-prices knows only its own.
_ALIASES = {
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure_ai": "azure",
    "fireworks-ai": "fireworks",
    "fireworks_ai": "fireworks",
    "gcp.gen_ai": "google",
    "gemini": "google",
    "mistral_ai": "mistral",
    "moonshot_ai": "moonshotai",
    "togetherai": "together",
    "vertex_ai": "google",
    "x_ai": "x-ai",
    "xai": "x-ai",
}

_Usd = tuple[Decimal | None, Decimal | None, Decimal | None, Decimal | None]  # in the order of _KEYS
_Step = tuple[int, int | None, int | None, _Usd]  # min_input_tokens, minute_from, minute_to, rates


class Name(NamedTuple):
    """Where the catalogue keeps a model's prices.

    ``served_by_owner`` is False where a provider sells another's model at the owner's standard prices.
    """

    provider_name: str
    model: str
    served_by_owner: bool = True


@lru_cache(maxsize=8192)
def resolve_name(provider_name: str, model: str) -> Name | None:
    """Return the catalogue's own names for a provider and model as callers write them; None where it knows neither."""
    from genai_prices.data_snapshot import get_snapshot

    provider_id = _ALIASES.get(provider_name.lower(), provider_name)
    try:
        provider, info = get_snapshot().find_provider_model(model, None, provider_id, None)
    except LookupError:
        return None
    owner = _owners()[id(info)]
    return Name(owner, info.id, owner == provider.id)


@cache
def known_provider(name: str) -> str:
    """Return the catalogue's name of a provider; the name itself where the catalogue does not know it."""
    from genai_prices.data_snapshot import get_snapshot

    provider_id = _ALIASES.get(name.lower(), name)
    try:
        return str(get_snapshot().find_provider(None, provider_id, None).id)
    except LookupError:
        return provider_id


@cache
def _owners() -> Mapping[int, str]:
    from genai_prices.data_snapshot import get_snapshot

    return {id(info): provider.id for provider in get_snapshot().providers for info in provider.models}


def catalogue() -> list[Price]:
    """Return every token price of the installed genai-prices as rows without ids; no network is used.

    A rate that was in force before the first dated change starts at ``FIRST_KNOWN``. Models without a token rate, and
    those charged by request or by reasoning token as well, are left out: their cost is unknown, not low.
    """
    from genai_prices import __version__
    from genai_prices.data_snapshot import get_snapshot

    source = f"genai-prices {__version__}"
    return [
        Price(None, provider.id, info.id, "catalogue", start, processing, least, first, last, *usd, source, "")
        for provider in get_snapshot().providers
        for info in provider.models
        for start, processing, (least, first, last, usd) in _rows(provider, info)
    ]


def _rows(provider: Provider, info: ModelInfo) -> Iterator[tuple[date, str, _Step]]:
    starts = [FIRST_KNOWN, *sorted(_starts(info))]
    minutes = sorted(_minutes(info))
    for processing in ("standard", *sorted(_processings(info))):
        before: list[_Step] | None = None
        for start in starts:
            steps = _day(info, start, processing, minutes)
            if before is None and processing != "standard" and steps == _day(info, start, "standard", minutes):
                continue  # not yet priced apart from standard
            if steps != before:
                yield from ((start, processing, step) for step in steps)
            before = steps


def _constraints(info: ModelInfo) -> Iterator[Any]:
    prices: Any = info.prices
    for entry in (*(prices if isinstance(prices, list) else ()), *(info.price_variants or ())):
        if entry.constraint is not None:
            yield entry.constraint


def _starts(info: ModelInfo) -> set[date]:
    return {constraint.start_date for constraint in _constraints(info) if hasattr(constraint, "start_date")}


def _minutes(info: ModelInfo) -> set[int]:
    edges = {
        edge
        for constraint in _constraints(info)
        if hasattr(constraint, "start_time")
        for edge in (constraint.start_time, constraint.end_time)
    }
    return {_utc_minute(edge) for edge in edges}


def _utc_minute(edge: time) -> int:
    offset = edge.utcoffset() or timedelta()
    return (edge.hour * 60 + edge.minute - int(offset.total_seconds()) // 60) % 1440


def _processings(info: ModelInfo) -> set[str]:
    return {
        value
        for variant in info.price_variants or ()
        for key, value in variant.when.items()
        if key in _PROCESSING_KEYS and value != "default"
    }


def _day(info: ModelInfo, day: date, processing: str, minutes: list[int]) -> list[_Step]:
    """Return the prices of one day: those of most of its minutes all day, the others by their hours."""
    midnight = datetime.combine(day, time(), UTC)
    context = None if processing == "standard" else dict.fromkeys(_PROCESSING_KEYS, processing)
    edges = minutes or [0]
    spans = [
        (begin, end, _steps(info.get_prices(midnight + timedelta(minutes=begin), context)))
        for begin, end in zip(edges, edges[1:] + edges[:1], strict=True)
    ]
    lengths: Counter[tuple[tuple[int, _Usd], ...]] = Counter()
    for begin, end, steps in spans:
        lengths[tuple(steps)] += (end - begin) % 1440 or 1440
    usual = lengths.most_common(1)[0][0]
    day_long: list[_Step] = [(least, None, None, usd) for least, usd in usual]
    return day_long + [
        (least, begin, end, usd) for begin, end, steps in spans if tuple(steps) != usual for least, usd in steps
    ]


def _steps(prices: ModelPrice) -> list[tuple[int, _Usd]]:
    """Return the rates by the number of input tokens from which they hold, for the whole call."""
    given = {key: value for key, value in prices.__dict__.items() if value is not None}
    if any(fee in given for fee in _FEES) or not any(key in given for key in _KEYS[:2]):
        return []
    # A tier of genai-prices starts above its mark, a row of ours at it.
    marks = {tier.start + 1 for key in _KEYS for tier in getattr(given.get(key), "tiers", ())}
    priced = [given.get(key) for key in _KEYS]
    return [
        (mark, (_rate(priced[0], mark), _rate(priced[1], mark), _rate(priced[2], mark), _rate(priced[3], mark)))
        for mark in sorted({0, *marks})
    ]


def _rate(value: Any, input_tokens: int) -> Decimal | None:
    if value is None or isinstance(value, Decimal):
        return value
    tiers = [tier.price for tier in value.tiers if tier.start < input_tokens]
    rate: Decimal = tiers[-1] if tiers else value.base
    return rate
