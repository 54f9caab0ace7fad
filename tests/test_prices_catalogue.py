"""Costs equal those of genai-prices to the nano-dollar: every model, wherever its price changes by day, hour, size."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from router_core.prices import Price, PriceBook, catalogue, resolve_name
from router_core.usage import Usage


@cache
def book() -> PriceBook:
    return PriceBook(catalogue())


@cache
def rows() -> dict[tuple[str, str], list[Price]]:
    found: dict[tuple[str, str], list[Price]] = {}
    for price in catalogue():
        found.setdefault((price.provider_name, price.model), []).append(price)
    return found


def callable_names() -> list[tuple[str, str]]:
    """The (provider, model) that genai-prices itself recognises under their own names."""
    snapshot = get_snapshot()
    by_id = {provider.id: provider for provider in snapshot.providers}
    return [
        (provider_name, model)
        for provider_name, model in rows()
        if (found := by_id[provider_name].find_model(model, all_providers=snapshot.providers)) is not None
        and found.id == model
    ]


def oracle_nusd(usage: Usage, provider_name: str, model: str, at: datetime, processing: str) -> int:
    counts = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cache_read_input_tokens,
        cache_write_tokens=usage.cache_write_input_tokens,
    )
    context = None if processing == "standard" else dict.fromkeys(("processing", "service_tier", "speed"), processing)
    calculation = genai_prices.calc_price(
        counts, model, provider_id=provider_name, genai_request_timestamp=at, price_context=context
    )
    return int((calculation.total_price * 10**9).quantize(Decimal(1), ROUND_HALF_EVEN))


def ours_nusd(usage: Usage, provider_name: str, model: str, at: datetime, processing: str) -> int | None:
    cost = book().list_cost(
        usage,
        provider_name=provider_name,
        model=model,
        at_ms=round(at.timestamp() * 1000),
        processing=processing,
    )
    return None if cost is None else cost.nusd


def moments(prices: list[Price]) -> Iterator[datetime]:
    """The last moment before and the first moment of each day and hour at which a model's price changes."""
    days = {datetime(2026, 11, 23, tzinfo=UTC)}
    days |= {
        datetime.combine(p.effective_from, datetime.min.time(), UTC) for p in prices if p.effective_from.year > 1970
    }
    edges = {edge for p in prices for edge in (p.minute_from, p.minute_to) if edge is not None}
    for day in sorted(days):
        yield day - timedelta(milliseconds=1)
        for edge in sorted({0, *edges}):
            yield day + timedelta(minutes=edge)
            yield day + timedelta(minutes=edge, milliseconds=-1)


def sizes(prices: list[Price]) -> Iterator[Usage]:
    for mark in sorted({1_003, *(p.min_input_tokens for p in prices if p.min_input_tokens)}):
        for total in (mark - 1, mark):
            yield Usage(total, 0, 301, 97)
            yield Usage(total, 777, 500, 0)


def test_every_model_costs_what_genai_prices_says_on_both_sides_of_every_change() -> None:
    compared = 0
    for name in callable_names():
        prices = rows()[name]
        for at in moments(prices):
            for usage in sizes(prices):
                mine = ours_nusd(usage, *name, at, "standard")
                if mine is None:  # a rate it needs is not on record; genai-prices counts it as free
                    assert any(p.input_usd_per_mtok is None or p.output_usd_per_mtok is None for p in prices), name
                    continue
                assert mine == oracle_nusd(usage, *name, at, "standard"), (name, at, usage)
                compared += 1
    assert compared > 10_000


@pytest.mark.parametrize("processing", ["batch", "flex", "priority", "fast"])
def test_processing_is_priced_as_genai_prices_does_before_and_after_its_price_was_known(processing: str) -> None:
    names = [name for name in callable_names() if any(p.processing == processing for p in rows()[name])]
    assert names
    for name in names:
        prices = rows()[name]
        for at in moments(prices):
            for usage in sizes(prices):
                mine = ours_nusd(usage, *name, at, processing)
                assert mine is None or mine == oracle_nusd(usage, *name, at, processing), (name, at, usage)


def test_the_price_returned_says_when_only_the_standard_price_is_known() -> None:
    before, after = datetime(2026, 10, 13, tzinfo=UTC), datetime(2026, 10, 14, tzinfo=UTC)
    found = [book().find("openai", "gpt-4.1-nano", round(at.timestamp() * 1000), 10, "batch") for at in (before, after)]
    assert [price.processing for price in found if price] == ["standard", "batch"]


counts = st.integers(min_value=0, max_value=2_000_000)


@settings(max_examples=300, deadline=None)
@given(
    name=st.deferred(lambda: st.sampled_from(callable_names())),
    plain=counts,
    read=counts,
    write=counts,
    output=counts,
    at=st.datetimes(datetime(2022, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC)),
    processing=st.sampled_from(["standard", "batch", "flex", "priority", "fast"]),
)
def test_any_call_at_any_time_costs_what_genai_prices_says(
    name: tuple[str, str], plain: int, read: int, write: int, output: int, at: datetime, processing: str
) -> None:
    usage = Usage(plain + read + write, output, read, write)
    at = at.replace(microsecond=0)
    mine = ours_nusd(usage, *name, at, processing)
    assert mine is None or mine == oracle_nusd(usage, *name, at, processing)


@pytest.mark.parametrize(
    ("provider_name", "model", "expected"),
    [
        ("openai", "gpt-4.1-mini-2025-04-14", ("openai", "gpt-4.1-mini")),
        ("openai", "GPT-4.1-mini", ("openai", "gpt-4.1-mini")),
        ("openai", "gpt-5.2-20251211", ("openai", "gpt-5.2")),
        ("anthropic", "claude-sonnet-4-5-20250929", ("anthropic", "claude-sonnet-4-5")),
        ("gcp.gemini", "gemini-2.5-flash", ("google", "gemini-2.5-flash")),
        ("gcp.vertex_ai", "gemini-2.5-flash", ("google", "gemini-2.5-flash")),
        ("azure.ai.openai", "gpt-4.1", ("openai", "gpt-4.1")),
        ("x_ai", "grok-4", ("x-ai", "grok-4-0709")),
        ("litellm", "openai/gpt-4o-mini", ("openai", "gpt-4o-mini")),
    ],
)
def test_a_name_is_recognised_as_genai_prices_recognises_it(
    provider_name: str, model: str, expected: tuple[str, str]
) -> None:
    name = resolve_name(provider_name, model)
    assert name is not None
    assert name[:2] == expected
    at = datetime(2026, 11, 23, 15, tzinfo=UTC)
    assert ours_nusd(Usage(1000, 100), provider_name, model, at, "standard") == ours_nusd(
        Usage(1000, 100), *expected, at, "standard"
    )


def test_a_provider_that_resells_a_model_charges_the_owners_standard_price() -> None:
    assert resolve_name("azure", "gpt-4.1") == ("openai", "gpt-4.1", False)
    at = datetime(2026, 11, 23, tzinfo=UTC)
    for processing in ("standard", "batch"):
        mine = ours_nusd(Usage(1000, 100), "azure", "gpt-4.1", at, processing)
        assert mine == oracle_nusd(Usage(1000, 100), "azure", "gpt-4.1", at, processing) == 2_800_000


@pytest.mark.parametrize(("provider_name", "model"), [("openai", "no-such-model"), ("nobody", "gpt-4.1")])
def test_an_unknown_name_has_no_price_rather_than_a_price_of_nothing(provider_name: str, model: str) -> None:
    assert book().find(provider_name, model, 1_790_000_000_000) is None
    assert book().list_cost(Usage(1, 1), provider_name=provider_name, model=model, at_ms=1_790_000_000_000) is None


def test_what_is_charged_by_request_as_well_has_no_price_rather_than_too_low_a_one() -> None:
    assert book().find("perplexity", "sonar", 1_790_000_000_000) is None


def test_prices_are_imported_without_the_library_they_come_from() -> None:
    program = (
        "import sys; from router_core.prices import *; from datetime import date; from decimal import Decimal\n"
        "book = PriceBook([Price(1, 'openai', 'gpt-4.1', 'catalogue', FIRST_KNOWN, input_usd_per_mtok=Decimal(2))])\n"
        "assert book.find('openai', 'gpt-4.1', 0); assert 'genai_prices' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
