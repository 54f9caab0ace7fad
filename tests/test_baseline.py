"""Savings against one model: every request answered once, by any model with a price, without what routing costs."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import numpy as np
import pytest

from router_core.config import default_config
from router_core.decision import Kind
from router_core.errors import UnpricedModelError
from router_core.ledger.call_sums import CallSums
from router_core.prices import Price, PriceBook
from router_core.projection.baseline import OneModel, find_model, on_one_model, overheads

AT_MS = 1_795_000_000_000


def price(provider: str, model: str, rate: str | None, read: str | None = None, above: int = 0) -> Price:
    usd = None if rate is None else Decimal(rate)
    out = None if usd is None else 4 * usd
    return Price(
        None,
        provider,
        model,
        "catalogue",
        date(2026, 1, 1),
        min_input_tokens=above,
        input_usd_per_mtok=usd,
        output_usd_per_mtok=out,
        cache_read_usd_per_mtok=None if read is None else Decimal(read),
    )


BOOK = PriceBook(
    [
        price("lab", "maxi", "10"),
        price("lab", "long", "1"),
        price("lab", "long", "2", above=1500),
        price("lab", "cached", "10", read="1"),
        price("shop", "maxi", "11"),
        price("lab", "unknown", None),
    ]
)


def sums(**columns: list[int]) -> CallSums:
    """Two features: answers of the first, a cache hit of it, a refused draft and its escalation, and a classifier."""
    given = {
        "feature": [0, 0, 0, 0, 0, 1],
        "kind": [Kind.ANSWER, Kind.ANSWER, Kind.ANSWER, Kind.ESCALATION, Kind.CLASSIFIER, Kind.ANSWER],
        "decisions": [8, 2, 0, 2, 0, 5],
        "attempts": [8, 0, 2, 2, 12, 5],
        "metered_attempts": [8, 0, 2, 2, 12, 5],
        "input_tokens": [8000, 0, 2000, 2000, 1200, 10_000],
        "output_tokens": [800, 0, 200, 200, 12, 500],
        "cache_read_input_tokens": [0, 0, 0, 0, 0, 5000],
        "list_cost_nusd": [80, 0, 20, 200, 7, 50],
        **columns,
    }
    zeros = np.zeros(6, dtype=np.int64)
    arrays = {name: np.array(values, dtype=np.int64) for name, values in given.items()}
    return CallSums(
        features=("chat", "code"),
        tiers=("SMALL",),
        models=("mini",),
        tier=zeros,
        strategy=zeros,
        model=zeros,
        price_id=zeros + 1,
        cache_write_input_tokens=zeros,
        **arrays,
    )


def test_each_request_is_answered_once_with_the_tokens_of_the_calls_that_answered() -> None:
    found = on_one_model(sums(), "lab", "maxi", BOOK, AT_MS)
    # 12 requests of chat, the two from the cache among them, at 1,000 tokens in and 100 out each; 5 of code.
    sent, answered = 12 * 1000 * 10_000, 12 * 100 * 40_000
    assert found["chat"] == OneModel(12, sent + answered, sent + 0.5 * answered, sent + 3 * answered)
    assert found["code"].nusd == 5 * (2000 * 10_000 + 100 * 40_000)


def test_cached_input_costs_what_the_model_charges_for_it_or_for_input() -> None:
    found = on_one_model(sums(), "lab", "cached", BOOK, AT_MS)
    assert found["code"].nusd == 5 * (1000 * 10_000 + 1000 * 1000 + 100 * 40_000)


def test_long_prompts_cost_what_long_prompts_cost() -> None:
    found = on_one_model(sums(), "lab", "long", BOOK, AT_MS)
    assert found["chat"].nusd == 12 * (1000 * 1000 + 100 * 4000)
    assert found["code"].nusd == 5 * (2000 * 2000 + 100 * 8000)


def test_a_feature_that_nobody_answered_is_left_out() -> None:
    assert "code" not in on_one_model(sums(metered_attempts=[8, 0, 2, 2, 12, 0]), "lab", "maxi", BOOK, AT_MS)


def test_what_routing_itself_costs_is_told_apart() -> None:
    assert overheads(sums()) == {"chat": 7, "code": 0}


@pytest.mark.parametrize(
    ("name", "pair"), [("shop/maxi", ("shop", "maxi")), ("maxi", ("lab", "maxi")), ("lab/long", ("lab", "long"))]
)
def test_a_model_is_found_by_its_name_or_its_providers_and_its(name: str, pair: tuple[str, str]) -> None:
    assert find_model(name, default_config(), BOOK, AT_MS) == pair


@pytest.mark.parametrize("name", ["nothing", "lab/nothing", "unknown", "", "/", "gpt-4.1-nano"])
def test_a_model_without_a_price_is_refused(name: str) -> None:
    with pytest.raises(UnpricedModelError):
        find_model(name, default_config(), BOOK, AT_MS)
