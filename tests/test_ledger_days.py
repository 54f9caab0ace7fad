"""Days of the reporting zone: every instant is in exactly one, whatever the clocks do."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_core.decision import new_decision_id
from router_core.ledger.days import Days, date_of, day_number, id_time_ms

ZONES = (
    "UTC",
    "Europe/Zurich",
    "America/New_York",
    "Asia/Kolkata",  # half an hour
    "Asia/Kathmandu",  # a quarter
    "Australia/Lord_Howe",  # summer time of half an hour
    "America/Havana",  # clocks change at midnight
    "America/St_Johns",  # once changed a minute after midnight
    "Africa/Cairo",
    "Pacific/Apia",  # skipped a whole day in 2011
    "Pacific/Kiritimati",
)
HOUR_MS = 3_600_000
_EARLIEST, _LATEST = 946_684_800_000, 1_893_456_000_000  # the years 2000 to 2029


def ms(*when: int, zone: str = "UTC") -> int:
    return int(datetime(*when, tzinfo=ZoneInfo(zone)).timestamp()) * 1000  # type: ignore[arg-type,misc]


@given(zone=st.sampled_from(ZONES), at_ms=st.integers(_EARLIEST, _LATEST))
@settings(max_examples=400, deadline=None)
def test_every_instant_is_within_its_day_and_the_days_range_of_ids(zone: str, at_ms: int) -> None:
    days = Days(ZoneInfo(zone))
    day, hour = days.of(at_ms)
    assert days.start_ms(day) <= at_ms < days.start_ms(day + 1)
    assert hour == datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).hour
    low, high = days.id_range(day, day)
    assert low <= new_decision_id(at_ms) < high
    assert id_time_ms(new_decision_id(at_ms)) == at_ms


@given(zone=st.sampled_from(ZONES), first=st.integers(10_957, 21_900), length=st.integers(0, 400))
@settings(max_examples=150, deadline=None)
def test_the_days_of_a_range_follow_one_another_without_gap_or_overlap(zone: str, first: int, length: int) -> None:
    days = Days(ZoneInfo(zone))
    ranges = [days.id_range(day, day) for day in range(first, first + length + 1)]
    assert all(before[1] == after[0] for before, after in pairwise(ranges))
    assert (ranges[0][0], ranges[-1][1]) == days.id_range(first, first + length)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("Europe/Zurich", date(2026, 3, 29), 23),
        ("Europe/Zurich", date(2026, 10, 25), 25),
        ("Europe/Zurich", date(2026, 10, 26), 24),
        ("America/New_York", date(2026, 3, 8), 23),
        ("America/New_York", date(2026, 11, 1), 25),
        ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
        ("America/Havana", date(2026, 3, 8), 23),
        ("America/Havana", date(2026, 11, 1), 25),
        ("Asia/Kolkata", date(2026, 6, 1), 24),
        ("Pacific/Apia", date(2011, 12, 30), 0),
    ],
)
def test_a_day_lasts_as_long_as_its_clocks_say(zone: str, day: date, hours: float) -> None:
    days, number = Days(ZoneInfo(zone)), day_number(day)
    assert days.start_ms(number + 1) - days.start_ms(number) == hours * HOUR_MS


def test_midnight_belongs_to_the_day_that_begins() -> None:
    days = Days(ZoneInfo("Asia/Kolkata"))
    midnight = ms(2026, 1, 1, zone="Asia/Kolkata")
    assert days.of(midnight) == (day_number(date(2026, 1, 1)), 0)
    assert days.of(midnight - 1) == (day_number(date(2025, 12, 31)), 23)
    assert midnight == ms(2025, 12, 31, 18, 30)


def test_an_hour_that_comes_twice_is_the_same_hour_of_the_same_day() -> None:
    days = Days(ZoneInfo("Europe/Zurich"))
    first, second = ms(2026, 10, 25, 0, 30), ms(2026, 10, 25, 1, 30)
    assert days.of(first) == days.of(second) == (day_number(date(2026, 10, 25)), 2)


@given(day=st.dates(date(1970, 1, 1), date(2200, 1, 1)))
def test_a_day_and_its_number_are_the_same_thing(day: date) -> None:
    assert date_of(day_number(day)) == day
    assert day_number(day + timedelta(days=1)) == day_number(day) + 1
    assert Days(ZoneInfo("UTC")).start_ms(day_number(day)) == int(
        datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000
    )
