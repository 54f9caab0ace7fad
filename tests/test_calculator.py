"""The calculator prices a plan exactly, counts what routing itself costs, and refuses what does not add up."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_core.errors import InputError, UnpricedModelError
from router_core.prices import Price, PriceBook
from router_core.projection.calculator import Bill, Extra, Traffic, bill, prices_at, split

D = Decimal


def price(name: str, sent: str | None, received: str | None, read: str | None = None) -> Price:
    rates = [None if rate is None else D(rate) for rate in (sent, received, read)]
    return Price(
        None,
        "p",
        name,
        "manual",
        date(2026, 1, 1),
        input_usd_per_mtok=rates[0],
        output_usd_per_mtok=rates[1],
        cache_read_usd_per_mtok=rates[2],
    )


PRICES = {"small": price("small", "0.15", "0.60", "0.03"), "large": price("large", "2.50", "10")}
MONTH = Traffic(D(1_000_000), D(500), D(200))


def planned(shares: dict[str, str], extras: tuple[Extra, ...] = (), traffic: Traffic = MONTH) -> Bill:
    return bill(traffic, split(traffic, {name: D(share) for name, share in shares.items()}), PRICES, extras)


def test_a_plan_costs_its_requests_times_tokens_times_prices() -> None:
    assert planned({"large": "1"}).cost == D("3250")
    mixed = planned({"small": "0.8", "large": "0.2"})
    assert mixed.by_model == {"small": D("156"), "large": D("650")}
    assert mixed.saving(planned({"large": "1"})) == D("0.752")


def test_a_classifier_and_rejected_drafts_are_part_of_the_cost_and_can_eat_the_saving() -> None:
    judged = Extra("classifier", "small", input_tokens=D(500), output_tokens=D(1))
    rejected = Extra("rejected drafts", "small", calls=D("0.2"))
    plan = planned({"small": "0.8", "large": "0.2"}, (judged, rejected))
    assert plan.extras == {"classifier": D("75.6"), "rejected drafts": D("39")}
    assert plan.cost == D("806") + D("114.6")
    dear = Extra("classifier", "large")
    saving = planned({"small": "0.1", "large": "0.9"}, (dear,)).saving(planned({"large": "1"}))
    assert saving is not None
    assert saving < 0


def test_cached_input_is_priced_as_such_and_as_plain_input_where_no_such_price_is_known() -> None:
    warm = replace(MONTH, cached_share=D("0.5"))
    assert planned({"small": "1"}, traffic=warm).cost == D("120") + D(250) * D("0.15") + D(250) * D("0.03")
    assert planned({"large": "1"}, traffic=warm).cost == planned({"large": "1"}).cost


def test_a_month_is_thirty_days_and_periods_without_a_length_have_none() -> None:
    assert planned({"large": "1"}, traffic=replace(MONTH, per="day")).cost_per_month == 30 * D("3250")
    with pytest.raises(InputError, match="a sprint has no fixed length; the periods that do are day, week, month"):
        _ = planned({"large": "1"}, traffic=replace(MONTH, per="sprint")).cost_per_month
    with pytest.raises(InputError, match="costs each day cannot be compared with costs each month"):
        planned({"large": "1"}, traffic=replace(MONTH, per="day")).saving(planned({"large": "1"}))


def test_nothing_is_saved_of_nothing() -> None:
    nothing = planned({"large": "1"}, traffic=replace(MONTH, requests=D(0)))
    assert nothing.cost == 0
    assert nothing.saving(nothing) is None


def test_prices_come_from_a_book_at_a_date() -> None:
    later = replace(PRICES["large"], effective_from=date(2026, 6, 1), input_usd_per_mtok=D("1.25"))
    book = PriceBook([PRICES["large"], later], resolve=lambda provider, model: None)
    names = {"big": ("p", "large")}
    may, june = 1_780_000_000_000, 1_781_000_000_000
    assert prices_at(book, names, may)["big"] == PRICES["large"]
    assert prices_at(book, names, june)["big"] == later
    with pytest.raises(UnpricedModelError, match="no price is known for 'large' at 'p'"):
        prices_at(book, names, 0)


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ({"small": "0.5"}, "sum to 0.5, not to 1"),
        ({"small": "1.5", "large": "-0.5"}, "the share of 'small' is 1.5; it must be from 0 to 1"),
        ({"small": "0.5", "huge": "0.5"}, "no price is given for 'huge'"),
        ({"small": "NaN"}, "the share of 'small' is NaN"),
    ],
)
def test_a_mix_that_cannot_be_is_refused(shares: dict[str, str], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        planned(shares)


def test_counts_that_cannot_be_are_refused() -> None:
    with pytest.raises(InputError, match="requests is -1; give a number that is not negative"):
        Traffic(D(-1), D(1), D(1))
    with pytest.raises(InputError, match="cached_share is 2"):
        Traffic(D(1), D(1), D(1), D(2))
    with pytest.raises(InputError, match="the models are given 3 requests, but there are 1000000"):
        bill(MONTH, {"small": D(3)}, PRICES)
    with pytest.raises(InputError, match="'classifier' makes -1 calls a request"):
        planned({"small": "1"}, (Extra("classifier", "small", calls=D(-1)),))


def test_an_unknown_rate_is_not_free() -> None:
    half = {"half": price("half", "1", None)}
    with pytest.raises(UnpricedModelError, match="no price is known for 'half'"):
        bill(MONTH, {"half": MONTH.requests}, half)
    assert bill(replace(MONTH, output_tokens=D(0)), {"half": MONTH.requests}, half).cost == 500


money = st.decimals(0, 1000, places=6)
tokens = st.integers(0, 10_000_000).map(D)


@given(st.integers(0, 10**12), tokens, tokens, st.decimals(0, 1, places=4), st.decimals(0, 1, places=4), money, money)
def test_every_bill_equals_exact_fractions(
    requests: int, sent: D, received: D, share: D, cached: D, first: D, second: D
) -> None:
    prices = {"a": price("a", str(first), str(second), "0.01"), "b": price("b", str(second), str(first))}
    traffic = Traffic(D(requests), sent, received, cached)
    found = bill(traffic, split(traffic, {"a": share, "b": 1 - share}), prices)

    def each(plain: D, read: D, output: D) -> Fraction:
        part = Fraction(cached)
        return (
            Fraction(sent) * ((1 - part) * Fraction(plain) + part * Fraction(read)) + Fraction(received * output)
        ) / 10**6

    expected = requests * (
        Fraction(share) * each(first, D("0.01"), second) + (1 - Fraction(share)) * each(second, second, first)
    )
    assert Fraction(found.cost) == expected
    baseline = bill(traffic, {"b": D(requests)}, prices)
    saved = found.saving(baseline)
    if saved is not None:
        assert abs(Fraction(saved) * Fraction(baseline.cost) - (Fraction(baseline.cost) - expected)) < Fraction(
            1, 10**20
        )
