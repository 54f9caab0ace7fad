"""Why spend changed: parts that sum to the change to the nano-dollar, each of what its name says and nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal

import numpy as np
import pytest
from decisions import a_decision
from hypothesis import given, settings
from hypothesis import strategies as st

from router_core.decision import Attempt, Kind
from router_core.ledger.call_sums import CallSums, call_sums
from router_core.ledger.price_rows import add_prices, read_prices
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger
from router_core.prices import Price, PriceBook
from router_core.projection.spend_change import PARTS, spend_change
from router_core.usage import Usage

FEATURES, TIERS, MODELS = ("chat", "code"), ("SMALL", "LARGE"), ("mini", "maxi")


def price(number: int, model: str, start: date, rate: str, processing: str = "standard") -> Price:
    usd = Decimal(rate)
    return Price(
        number, "lab", model, "catalogue", start, processing, input_usd_per_mtok=usd, output_usd_per_mtok=4 * usd
    )


BOOK = PriceBook(
    [
        price(1, "mini", date(2026, 1, 1), "1"),
        price(2, "maxi", date(2026, 1, 1), "10"),
        price(3, "maxi", date(2026, 6, 1), "7"),
        price(4, "maxi", date(2026, 1, 1), "5", "batch"),
    ]
)
RATES = {0: 0, 1: 1000, 2: 10_000, 3: 7000, 4: 5000}  # nano-dollars a token of input; four times that for output

Line = tuple[int, int, int, int, int, int, int, int]  # feature, tier, kind, model, price, requests, calls, tokens


def sums(lines: list[Line]) -> CallSums:
    columns = np.array(lines, dtype=np.int64).reshape(-1, 8).T
    feature, tier, kind, model, priced, requests, calls, tokens = columns
    nothing = np.zeros_like(tokens)
    rate = np.array([RATES[int(number)] for number in priced], dtype=np.int64)
    return CallSums(
        features=FEATURES,
        tiers=TIERS,
        models=MODELS,
        feature=feature,
        tier=tier,
        strategy=nothing,
        kind=kind,
        model=model,
        price_id=priced,
        decisions=requests,
        attempts=calls,
        metered_attempts=calls,
        input_tokens=tokens * calls,
        output_tokens=tokens * calls,
        cache_read_input_tokens=nothing,
        cache_write_input_tokens=nothing,
        list_cost_nusd=tokens * calls * 5 * rate,
    )


def only(before: list[Line], after: list[Line]) -> dict[str, int]:
    found = spend_change(sums(before), sums(after), BOOK)
    assert sum(found.parts.values()) == found.change_nusd
    return {part: nusd for part, nusd in found.parts.items() if nusd}


USUAL: list[Line] = [(0, 0, 0, 0, 1, 70, 70, 300), (0, 1, 0, 1, 2, 30, 30, 900), (1, 1, 0, 1, 2, 50, 50, 500)]


def cost(lines: list[Line]) -> int:
    return int(sums(lines).list_cost_nusd.sum())


def test_the_same_traffic_again_changes_nothing() -> None:
    assert only(USUAL, USUAL) == {}


def test_twice_the_traffic_is_volume_alone() -> None:
    twice = [(*line[:5], 2 * line[5], 2 * line[6], line[7]) for line in USUAL]
    assert only(USUAL, twice) == {"volume": cost(USUAL)}


def test_another_feature_asking_more_is_its_mix() -> None:
    # As many requests in all, but thirty of chat's went to code instead, spread over tiers as chat's always were.
    moved = [(0, 0, 0, 0, 1, 49, 49, 300), (0, 1, 0, 1, 2, 21, 21, 900), (1, 1, 0, 1, 2, 80, 80, 500)]
    assert only(USUAL, moved) == {"feature_mix": cost(moved) - cost(USUAL)}


def test_another_tier_is_its_mix_and_its_model_with_it() -> None:
    moved = [(0, 0, 0, 0, 1, 90, 90, 300), (0, 1, 0, 1, 2, 10, 10, 900), (1, 1, 0, 1, 2, 50, 50, 500)]
    assert only(USUAL, moved) == {"tier_mix": cost(moved) - cost(USUAL)}


def test_another_model_or_more_calls_for_a_request_is_calls() -> None:
    escalated = [*USUAL, (0, 0, int(Kind.ESCALATION), 1, 2, 0, 12, 900)]
    assert only(USUAL, escalated) == {"calls": 12 * 900 * 5 * 10_000}
    batched = [*USUAL[:2], (1, 1, 0, 1, 4, 50, 50, 500)]
    assert only(USUAL, batched) == {"calls": -50 * 500 * 5 * 5000}


def test_longer_calls_are_tokens() -> None:
    longer = [*USUAL[:2], (1, 1, 0, 1, 2, 50, 50, 640)]
    assert only(USUAL, longer) == {"tokens": 50 * 140 * 5 * 10_000}


def test_another_rate_is_price_by_model_and_feature() -> None:
    cheaper = [USUAL[0], *((*line[:4], 3, *line[5:]) for line in USUAL[1:])]
    found = spend_change(sums(USUAL), sums(cheaper), BOOK)
    saved = -(30 * 900 + 50 * 500) * 5 * 3000
    assert {part: nusd for part, nusd in found.parts.items() if nusd} == {"price": saved}
    assert found.price_by_model == {"maxi": saved}
    assert found.by_feature["price"] == {"chat": -30 * 900 * 5 * 3000, "code": -50 * 500 * 5 * 3000}


def test_a_price_that_became_known_is_no_change_of_traffic() -> None:
    unknown = [USUAL[0], *((*line[:4], 0, *line[5:]) for line in USUAL[1:])]
    found = only(unknown, USUAL)
    assert found == {"coverage": cost(USUAL[1:])}
    assert only(USUAL, unknown) == {"coverage": -cost(USUAL[1:])}


def test_from_nothing_all_is_volume_and_to_nothing_too() -> None:
    assert only([], USUAL) == {"volume": cost(USUAL)}
    assert only(USUAL, []) == {"volume": -cost(USUAL)}


WINDOWS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 1),
        st.sampled_from([0, 1, 2, 6]),
        st.integers(0, 1),
        st.sampled_from([0, 1, 2, 3, 4]),
        st.integers(0, 10**6),
        st.integers(1, 10**6),
        st.integers(0, 10**4),
    ),
    max_size=12,
    unique_by=lambda line: line[:5],
)


@settings(max_examples=100, deadline=None)
@given(WINDOWS, WINDOWS)
def test_parts_sum_to_the_change_in_all_and_by_feature(before: list[Line], after: list[Line]) -> None:
    old, new = sums(before), sums(after)
    found = spend_change(old, new, BOOK)
    assert list(found.parts) == list(PARTS)
    assert found.change_nusd == int(new.list_cost_nusd.sum() - old.list_cost_nusd.sum())
    assert sum(found.parts.values()) == found.change_nusd
    for place, feature in enumerate(FEATURES):
        change = sum(int(one.list_cost_nusd[one.feature == place].sum()) * sign for one, sign in ((new, 1), (old, -1)))
        parts = [found.by_feature[part].get(feature, 0) for part in PARTS]
        # Where there was nothing before, all of it is volume, whichever feature it is.
        assert sum(parts) == change
    assert sum(found.price_by_model.values()) == found.parts["price"]


@settings(max_examples=60, deadline=None)
@given(WINDOWS, st.integers(2, 9))
def test_more_of_the_same_is_always_volume_alone(before: list[Line], times: int) -> None:
    # Every call was made for a request of its feature and tier, so some request stands beside it.
    before = [(*line[:5], line[5] + 1, *line[6:]) for line in before]
    after = [(*line[:5], times * line[5], times * line[6], line[7]) for line in before]
    assert set(only(before, after)) <= {"volume"}


def test_two_windows_of_a_ledger_are_split_from_its_cells(tmp_path_factory: pytest.TempPathFactory) -> None:
    day_ms = 86_400_000
    with open_ledger(tmp_path_factory.mktemp("change") / "ledger.db") as ledger:
        add_prices(ledger, [replace(one, id=None) for one in BOOK])
        ids = {(row.model, row.effective_from): row.id for row in read_prices(ledger) if row.provider_name == "lab"}
        start = date(2026, 1, 1)
        for at_ms, count in ((1_795_000_000_000, 3), (1_795_000_000_000 + day_ms, 4)):
            call = Attempt(
                Kind.ANSWER,
                "LARGE",
                "lab",
                "maxi",
                usage=Usage(1000, 100),
                list_cost_nusd=14_000_000,
                price_id=ids["maxi", start],
            )
            ledger.write_decisions([a_decision(at_ms=at_ms + n, attempts=(call,)) for n in range(count)])
        refresh(ledger)
        days = [call_sums(ledger, day, day) for day in (date(2026, 11, 18), date(2026, 11, 19))]
        found = spend_change(days[0], days[1], PriceBook(read_prices(ledger)))
    assert (found.before_nusd, found.after_nusd) == (42_000_000, 56_000_000)
    assert (found.requests_before, found.requests_after) == (3, 4)
    assert {part: nusd for part, nusd in found.parts.items() if nusd} == {"volume": 14_000_000}
