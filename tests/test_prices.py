"""Prices are dated facts in layers, and what a call costs is exact."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal, localcontext
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_core.prices import ANY_PROVIDER, LAYERS, Price, PriceBook, catalogue, cost_nusd, rates
from router_core.usage import Usage


def price(effective_from: date = date(2026, 1, 1), layer: Any = "catalogue", usd: Any = 1, **more: Any) -> Price:
    more.setdefault("provider_name", "acme")
    return Price(
        more.pop("id", None),
        more.pop("provider_name"),
        more.pop("model", "m"),
        layer,
        effective_from,
        input_usd_per_mtok=Decimal(usd),
        output_usd_per_mtok=more.pop("output", Decimal(usd)),
        **more,
    )


def at(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=UTC).timestamp() * 1000)  # type: ignore[arg-type, misc]


def book(*prices: Price) -> PriceBook:
    return PriceBook(prices, resolve=lambda provider_name, model: None)


def input_usd(found: Price | None) -> Decimal | None:
    return found.input_usd_per_mtok if found else None


usd = st.decimals(min_value=0, max_value=1000, places=7, allow_nan=False)
tokens = st.integers(min_value=0, max_value=5_000_000)


@given(usd, usd, usd, usd, tokens, tokens, tokens, tokens)
def test_a_cost_is_the_exact_sum_rounded_half_to_even_once(
    per_input: Decimal, per_output: Decimal, per_read: Decimal, per_write: Decimal, plain: int, out: int, r: int, w: int
) -> None:
    row = Price(
        None,
        "acme",
        "m",
        "manual",
        date(2026, 1, 1),
        input_usd_per_mtok=per_input,
        output_usd_per_mtok=per_output,
        cache_read_usd_per_mtok=per_read,
        cache_write_usd_per_mtok=per_write,
    )
    with localcontext(prec=60):
        exact = (plain * per_input + out * per_output + r * per_read + w * per_write) * 1000
        expected = int(exact.quantize(Decimal(1), ROUND_HALF_EVEN))
    assert cost_nusd(row, Usage(plain + r + w, out, r, w)) == expected


@pytest.mark.parametrize(("tokens_", "nusd"), [(1, 0), (3, 2), (5, 2), (7, 4)])
def test_half_a_nano_dollar_goes_to_the_even_side(tokens_: int, nusd: int) -> None:
    assert cost_nusd(price(usd="0.0005"), Usage(tokens_, 0)) == nusd


@given(usd, usd, tokens, tokens, tokens)
def test_a_cost_never_falls_when_output_tokens_rise(a: Decimal, b: Decimal, i: int, o: int, more: int) -> None:
    row = price(usd=a, output=b)
    less, greater = cost_nusd(row, Usage(i, o)), cost_nusd(row, Usage(i, o + more))
    assert less is not None
    assert greater is not None
    assert less <= greater


def test_cached_tokens_are_charged_at_their_own_rate_and_not_twice() -> None:
    row = price(usd=2, cache_read_usd_per_mtok=Decimal("0.5"), cache_write_usd_per_mtok=Decimal("2.5"))
    assert cost_nusd(row, Usage(1000, 0, 600, 100)) == 300 * 2000 + 600 * 500 + 100 * 2500


def test_without_a_rate_for_cached_tokens_they_cost_what_others_do() -> None:
    assert cost_nusd(price(usd=2), Usage(1000, 0, 600, 100)) == 1000 * 2000


def test_an_unknown_rate_makes_the_cost_unknown_only_where_it_is_needed() -> None:
    embedding = price(output=None)
    assert cost_nusd(embedding, Usage(1000, 0)) == 1_000_000
    assert cost_nusd(embedding, Usage(1000, 1)) is None
    assert book(embedding).list_cost(Usage(1000, 1), provider_name="acme", model="m", at_ms=at(2026, 2, 1)) is None


def test_rates_are_whole_numbers_over_one_divisor() -> None:
    known = rates(price(usd="0.15", output=Decimal("0.0375")))
    assert (known.input, known.output, known.cache_read, known.cache_write) == (300, 75, 300, 300)
    assert known.divisor == 2


def test_a_change_holds_from_the_utc_day_it_starts() -> None:
    dated = book(price(date(2026, 1, 1), usd=1), price(date(2026, 7, 1), usd=2))
    assert dated.find("acme", "m", at(2025, 12, 31, 23, 59)) is None
    assert input_usd(dated.find("acme", "m", at(2026, 1, 1))) == 1
    assert input_usd(dated.find("acme", "m", at(2026, 7, 1) - 1)) == 1
    assert input_usd(dated.find("acme", "m", at(2026, 7, 1))) == 2


def test_a_higher_layer_wins_whole_even_with_an_older_date() -> None:
    layered = book(
        price(date(2026, 6, 1), "catalogue", 1, cache_read_usd_per_mtok=Decimal("0.1")),
        price(date(2026, 3, 1), "contract", 2),
        price(date(2026, 5, 1), "manual", 3),
    )
    assert layered.find("acme", "m", at(2026, 2, 1)) is None
    assert input_usd(layered.find("acme", "m", at(2026, 4, 1))) == 2
    found = layered.find("acme", "m", at(2026, 7, 1))
    assert found is not None
    assert (found.input_usd_per_mtok, found.cache_read_usd_per_mtok) == (3, None)


def test_of_two_rows_alike_the_one_added_last_wins() -> None:
    assert input_usd(book(price(usd=1), price(usd=2)).find("acme", "m", at(2026, 2, 1))) == 2


def test_a_price_for_any_provider_gives_way_to_one_for_the_provider_named() -> None:
    both = book(price(date(2026, 2, 1), usd=1, provider_name=ANY_PROVIDER), price(usd=2))
    assert input_usd(both.find("acme", "m", at(2026, 3, 1))) == 2
    assert input_usd(both.find("other", "m", at(2026, 3, 1))) == 1


def test_a_long_context_price_holds_for_the_whole_call() -> None:
    stepped = book(price(usd=1), price(usd=2, min_input_tokens=200_001))
    for total, nusd in ((200_000, 200_000_000), (200_001, 400_002_000)):
        cost = stepped.list_cost(Usage(total, 0), provider_name="acme", model="m", at_ms=at(2026, 2, 1))
        assert cost is not None
        assert cost.nusd == nusd


def test_a_time_of_day_price_holds_in_its_utc_window_also_across_midnight() -> None:
    night = book(price(usd=2), price(usd=1, minute_from=22 * 60, minute_to=6 * 60))
    clock = {hour: input_usd(night.find("acme", "m", at(2026, 2, 1, hour))) for hour in (5, 6, 21, 22, 0)}
    assert clock == {5: 1, 6: 2, 21: 2, 22: 1, 0: 1}


def test_a_standard_price_set_by_hand_does_not_replace_the_batch_price() -> None:
    mixed = book(price(usd=2), price(usd=1, processing="batch"), price(usd=3, layer="manual"))
    assert input_usd(mixed.find("acme", "m", at(2026, 2, 1), processing="batch")) == 1
    assert input_usd(mixed.find("acme", "m", at(2026, 2, 1))) == 3


def test_a_later_sheet_without_a_long_context_price_ends_it() -> None:
    ended = book(price(usd=1), price(usd=2, min_input_tokens=200_001), price(date(2026, 3, 13), usd=1))
    assert input_usd(ended.find("acme", "m", at(2026, 3, 12), 300_000)) == 2
    assert input_usd(ended.find("acme", "m", at(2026, 3, 13), 300_000)) == 1


def test_further_prices_make_a_new_book_and_leave_the_old_one() -> None:
    old = book(price(usd=1))
    new = old.with_prices([price(date(2026, 2, 1), usd=2, layer="manual")])
    assert (len(old), len(new)) == (1, 2)
    assert input_usd(old.find("acme", "m", at(2026, 3, 1))) == 1
    assert input_usd(new.find("acme", "m", at(2026, 3, 1))) == 2
    assert [row.input_usd_per_mtok for row in new.history("acme", "m")] == [1, 2]
    assert new.models() == (("acme", "m"),)


@given(
    st.permutations([(layer, month, usd) for layer in LAYERS for month, usd in ((1, 1), (4, 2))]), st.integers(1, 12)
)
def test_the_winner_does_not_depend_on_the_order_rows_were_added(order: list[Any], month: int) -> None:
    rows = [price(date(2026, m, 1), layer, usd + 10 * LAYERS.index(layer)) for layer, m, usd in order]
    assert input_usd(book(*rows).find("acme", "m", at(2026, month, 15))) == (22 if month >= 4 else 21)


def test_names_asked_for_are_not_remembered_without_bound() -> None:
    small = book(price())
    for number in range(30_000):
        assert small.find("acme", f"made-up-{number}", at(2026, 2, 1)) is None
    assert len(small._ranked) <= 20_000


def test_a_book_of_the_whole_catalogue_is_made_and_asked_quickly() -> None:
    rows = catalogue() * 3
    began = time.perf_counter()
    full = PriceBook(rows)
    assert time.perf_counter() - began < 0.1  # it takes about 2 ms; the rest is for a busy machine
    began = time.perf_counter()
    for _ in range(1000):
        full.list_cost(Usage(1000, 100, 10), provider_name="openai", model="gpt-4.1", at_ms=at(2026, 2, 1))
    assert time.perf_counter() - began < 0.1
