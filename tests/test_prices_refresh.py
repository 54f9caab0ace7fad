"""A newer price list is set beside the old prices: what changes, what looks wrong, who disagrees, what stays."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from price_lists import litellm, models_dev

from router_core.errors import InputError
from router_core.prices import FIRST_KNOWN, Price, PriceBook
from router_core.prices.lists import PriceList, parse_price_list
from router_core.prices.refresh import Change, changes, chosen

TODAY = date(2026, 11, 23)


def price(model: str = "gpt-9", **given: Any) -> Price:
    usd = {name: Decimal(given.pop(name)) for name in ("input", "output", "cache_read", "cache_write") if name in given}
    rates = {f"{name}_usd_per_mtok": rate for name, rate in usd.items()}
    return Price(
        None, "openai", model, given.pop("layer", "catalogue"), given.pop("start", FIRST_KNOWN), **given, **rates
    )


def book(*prices: Price) -> PriceBook:
    return PriceBook([replace(row, id=number) for number, row in enumerate(prices, 1)], resolve=lambda *name: None)


def told(**models: dict[str, Any]) -> PriceList:
    """What LiteLLM would say, in US dollars per million tokens."""
    keys = {
        "input": "input_cost_per_token",
        "output": "output_cost_per_token",
        "cache_read": "cache_read_input_token_cost",
        "cache_write": "cache_creation_input_token_cost",
        "batch_input": "input_cost_per_token_batches",
        "batch_output": "output_cost_per_token_batches",
        "long_input": "input_cost_per_token_above_200k_tokens",
    }
    return parse_price_list(
        litellm(**{name: {keys[key]: usd / 1e6 for key, usd in given.items()} for name, given in models.items()}), "map"
    )


def dated(*prices: Price) -> PriceList:
    rows: dict[tuple[str, str], tuple[Price, ...]] = {}
    for row in prices:
        rows[row.provider_name, row.model] = (*rows.get((row.provider_name, row.model), ()), row)
    return PriceList("genai-prices 9", rows, dated=True)


def only(found: list[Change]) -> Change:
    (change,) = found
    return change


def at(day: date) -> int:
    return round(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 1000


def test_a_changed_rate_starts_today_and_yesterday_keeps_its_own() -> None:
    known = book(price(input="0.4", output="1.6"))
    change = only(changes(known, told(**{"gpt-9": {"input": 0.3, "output": 1.6}}), TODAY))
    assert [row.input_usd_per_mtok for row in change.old] == [Decimal("0.4")]
    assert [(row.input_usd_per_mtok, row.effective_from) for row in change.new] == [(Decimal("0.3"), TODAY)]
    assert not change.suspicious
    later = known.with_prices(change.new)
    for day, rate in ((date(2026, 11, 22), "0.4"), (TODAY, "0.3")):
        found = later.find("openai", "gpt-9", at(day))
        assert found is not None
        assert found.input_usd_per_mtok == Decimal(rate)
    assert changes(later, told(**{"gpt-9": {"input": 0.3, "output": 1.6}}), TODAY) == []


def test_a_list_that_says_the_same_or_less_changes_nothing() -> None:
    known = book(
        price(input="0.4", output="1.6", cache_read="0.1"),
        price(input="0.8", output="1.6", min_input_tokens=200_001),
        price(input="0.2", output="0.8", processing="batch"),
    )
    assert changes(known, told(**{"gpt-9": {"input": 0.4, "output": 1.6}}), TODAY) == []


def test_contract_and_manual_prices_stand_above_and_go_on_to_win() -> None:
    known = book(price(input="0.4", output="1.6"), price(input="0.1", output="1", layer="contract"))
    change = only(changes(known, told(**{"gpt-9": {"input": 0.3, "output": 1.6}}), TODAY))
    assert [row.layer for row in change.above] == ["contract"]
    found = known.with_prices(change.new).find("openai", "gpt-9", at(TODAY))
    assert found is not None
    assert found.layer == "contract"


@pytest.mark.parametrize(
    ("now", "mark"),
    [
        ({"input": 0.9, "output": 1.6}, "input would be 2.2 times higher"),
        ({"input": 0.4, "output": 0.7}, "output would be 2.3 times lower"),
        ({"input": 0.0, "output": 1.6}, "input would be free"),
        ({"input": 400.0, "output": 1.6}, "input is off by a thousand, which looks like another unit"),
        ({"input": 0.4, "output": 0.0000016}, "output is off by a million, which looks like another unit"),
        ({"input": 0.3, "output": 1.6, "cache_read": 0.35}, "tokens read from a cache would cost more than others"),
        (
            {"input": 0.3, "output": 1.6},
            "names no cache read any more, so such tokens would cost as much as other input",
        ),
        ({"input": 0.3, "output": 1.6, "cache_read": 0.1, "cache_write": 0.0}, "cache write would be free"),
    ],
)
def test_what_looks_wrong_is_marked_and_left_out_of_all(now: dict[str, Any], mark: str) -> None:
    known = book(price(input="0.4", output="1.6", cache_read="0.1"))
    change = only(changes(known, told(**{"gpt-9": now}), TODAY))
    assert mark in change.marks
    assert change.suspicious
    assert chosen([change], "all") == []
    assert chosen([change], "all", even_suspicious=True) == [change]
    assert chosen([change], "gpt-9") == chosen([change], "openai/gpt-9") == [change]


@pytest.mark.parametrize(
    ("model", "mark"),
    [
        ({"input": 3200.0, "output": 9700.0}, "looks like another unit"),
        ({"input": 0.0000004, "output": 0.0000016}, "looks like another unit"),
        ({"input": 0.0, "output": 0.0}, "input would be free"),
    ],
)
def test_a_new_model_is_looked_at_too(model: dict[str, Any], mark: str) -> None:
    change = only(changes(book(price()), told(**{"gpt-10": model}), TODAY))
    assert change.old == ()
    assert any(mark in one for one in change.marks)


def test_a_new_price_that_would_end_others_is_marked() -> None:
    known = book(
        price(input="0.4", output="1.6"),
        price(input="0.8", output="2", min_input_tokens=200_001),
        price(input="0.2", output="1", minute_from=0, minute_to=480),
        price(input="0.2", output="0.8", processing="batch"),
    )
    change = only(changes(known, told(**{"gpt-9": {"input": 0.3, "output": 1.6}}), TODAY))
    assert change.marks == (
        "would end the price for 00:00–08:00 UTC, of which the list says nothing",
        "would end the price for 200,001 input tokens or more, of which the list says nothing",
    )


def test_a_longer_context_that_stays_is_stated_again_beside_a_changed_price() -> None:
    known = book(price(input="0.4", output="1.6"), price(input="0.8", output="1.6", min_input_tokens=200_000))
    change = only(changes(known, told(**{"gpt-9": {"input": 0.3, "output": 1.6, "long_input": 0.8}}), TODAY))
    assert [(row.min_input_tokens, str(row.input_usd_per_mtok)) for row in change.new] == [(0, "0.3"), (200_000, "0.8")]
    assert not change.suspicious
    found = known.with_prices(change.new).find("openai", "gpt-9", at(TODAY), 300_000)
    assert found is not None
    assert found.input_usd_per_mtok == Decimal("0.8")


def test_a_batch_price_is_a_row_of_its_own_and_leaves_the_standard_one() -> None:
    known = book(price(input="0.4", output="1.6"))
    offered = told(**{"gpt-9": {"input": 0.4, "output": 1.6, "batch_input": 0.2, "batch_output": 0.8}})
    change = only(changes(known, offered, TODAY))
    assert [(row.processing, row.effective_from) for row in change.new] == [("batch", TODAY)]
    assert not change.suspicious


def test_another_source_that_disagrees_is_named_and_asked_to_be_looked_at() -> None:
    known = book(price(input="0.4", output="1.6", source="LiteLLM, of old"))
    offered = told(**{"gpt-9": {"input": 0.3, "output": 1.6}})
    agrees = parse_price_list(models_dev("openai", **{"gpt-9": {"input": 0.3, "output": 1.6}}), "api.json")
    differs = parse_price_list(models_dev("openai", **{"gpt-9": {"input": 0.4, "output": 1.6}}), "api.json")
    assert only(changes(known, offered, TODAY, others=[agrees])).disagreeing == ()
    change = only(changes(known, offered, TODAY, others=[differs]))
    assert [(other.title, str(other.rows[0].input_usd_per_mtok)) for other in change.disagreeing] == [
        ("models.dev", "0.4")
    ]
    assert chosen([change], "all") == []


def test_the_list_our_prices_came_from_is_no_second_opinion() -> None:
    own = price(input="0.4", output="1.6", source="genai-prices 9")
    change = only(changes(book(own), told(**{"gpt-9": {"input": 0.3, "output": 1.6}}), TODAY, others=[dated(own)]))
    assert [other.title for other in change.disagreeing] == ["genai-prices 9"]
    assert chosen([change], "all") == [change]


def test_dates_that_a_list_knows_are_kept_and_what_held_before_is_not_rewritten() -> None:
    known = book(price(input="10", output="40"), price(input="5", output="20", start=date(2026, 3, 1)))
    offered = dated(
        price(input="11", output="40"),  # a correction of the past, which is not taken
        price(input="5", output="20", start=date(2026, 3, 1)),
        price(input="4", output="16", start=date(2026, 10, 1)),
        price(input="3", output="12", start=date(2026, 12, 24)),
    )
    change = only(changes(known, offered, TODAY))
    assert [(row.effective_from, str(row.input_usd_per_mtok)) for row in change.new] == [
        (date(2026, 10, 1), "4"),
        (date(2026, 12, 24), "3"),
    ]
    assert changes(known.with_prices(change.new), offered, TODAY) == []


def test_a_dated_list_may_end_a_long_context_price() -> None:
    known = book(price(input="3", output="15"), price(input="6", output="22", min_input_tokens=200_001))
    change = only(changes(known, dated(price(input="3", output="15")), TODAY))
    assert [(row.min_input_tokens, row.effective_from) for row in change.new] == [(0, TODAY)]
    found = known.with_prices(change.new).find("openai", "gpt-9", at(TODAY), 300_000)
    assert found is not None
    assert found.input_usd_per_mtok == 3


def test_models_in_use_come_first_and_names_not_on_offer_are_told() -> None:
    offered = told(a={"input": 1.0, "output": 2.0}, b={"input": 1.0, "output": 2.0})
    found = changes(book(price()), offered, TODAY, used={("openai", "b")})
    assert [(change.model, change.used) for change in found] == [("b", True), ("a", False)]
    with pytest.raises(InputError, match=r"no change of 'openai/aa' is on offer; did you mean 'openai/a'"):
        chosen(found, "b, openai/aa")


def test_an_alias_of_a_priced_model_is_no_new_model() -> None:
    known = PriceBook([price("gpt-4.1-mini", input="0.4", output="1.6")])
    offered = told(**{"gpt-4.1-mini-2025-04-14": {"input": 0.4, "output": 1.6}})
    assert changes(known, offered, TODAY) == []
    assert len(changes(known, offered, TODAY, used={("openai", "gpt-4.1-mini-2025-04-14")})) == 1
