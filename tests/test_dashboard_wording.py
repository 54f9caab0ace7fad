"""Figures are written the same way everywhere, and the unknown is never written as zero."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import wording


@pytest.mark.parametrize(
    ("nusd", "text"),
    [
        (None, "–"),
        (0, "$0.00"),
        (3_420_000_000, "$3.42"),
        (15_952 * 10**9, "$15,952"),
        (12 * 10**15, "$12.0M"),
        (4_100_000, "$0.0041"),
        (-4_100_000, "-$0.0041"),
    ],
)
def test_money_shows_its_telling_digits(nusd: int | None, text: str) -> None:
    assert wording.usd(nusd) == text


def test_a_change_carries_its_sign_and_none_where_it_rounds_to_nothing() -> None:
    assert wording.usd(2 * 10**9, signed=True) == "+$2.00"
    assert wording.share(-0.021, signed=True) == "-2.1%"
    assert wording.points(0.004) == "+0.4 pp"
    assert wording.points(-0.00001) == "0.0 pp"
    assert wording.share(0.00001, signed=True) == "0.0%"


def test_unknown_shares_and_counts_are_dashes() -> None:
    assert {wording.share(None), wording.share(float("nan")), wording.points(None), wording.count(None)} == {"–"}


def test_counts_are_written_in_full_up_to_a_million() -> None:
    assert [wording.count(number) for number in (0, 200_000, 1_310_000, 2_500_000_000)] == [
        "0",
        "200,000",
        "1.31M",
        "2.50B",
    ]


def test_a_span_names_the_year_once_where_both_ends_share_it() -> None:
    assert wording.span(date(2026, 10, 25), date(2026, 11, 23)) == "25 Oct to 23 Nov 2026"
    assert wording.span(date(2025, 12, 30), date(2026, 1, 2)) == "30 Dec 2025 to 2 Jan 2026"
    assert wording.span(date(2026, 1, 2), date(2026, 1, 2)) == "2 Jan 2026"


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_money_never_loses_its_sign_nor_its_order_of_magnitude(nusd: int) -> None:
    text = wording.usd(nusd)
    scale = 1_000_000 if text.endswith("M") else 1
    value = float(text.replace("$", "").replace(",", "").rstrip("M")) * scale
    assert value == pytest.approx(nusd / 1e9, rel=0.06, abs=1e-9)
