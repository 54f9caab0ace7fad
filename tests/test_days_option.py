"""Days on the command line: a date, a word, or a number of days up to today, in the ledger's reporting zone."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from router_core.cli.days import read_days
from router_core.errors import InputError

AHEAD, BEHIND = ZoneInfo("Pacific/Kiritimati"), ZoneInfo("Pacific/Pago_Pago")  # 25 hours apart: never the same day


def test_dates_and_words_are_days_of_the_zone() -> None:
    assert read_days("2026-01-31", "2026-02-28", AHEAD) == (date(2026, 1, 31), date(2026, 2, 28))
    before = datetime.now(AHEAD).date()
    first, last = read_days("yesterday", "today", AHEAD)
    assert first is not None
    assert last is not None
    assert last - first == timedelta(days=1)
    assert last - before in (timedelta(0), timedelta(days=1))
    assert read_days(None, "today", BEHIND)[1] != read_days(None, "today", AHEAD)[1]
    assert read_days(None, None, AHEAD) == (None, None)


def test_seven_days_end_today() -> None:
    first, last = read_days("7d", "today", AHEAD)
    assert first is not None
    assert last is not None
    assert (last - first).days + 1 == 7


@pytest.mark.parametrize(
    ("since", "until", "sentence"),
    [
        ("last week", None, "--since 'last week' is not a day; write 2026-01-31, today, yesterday or 7d"),
        ("0d", None, "--since '0d' is not a day"),
        (None, "2026-02-30", "--until '2026-02-30' is not a day"),
        ("2026-02-02", "2026-02-01", "--since 2026-02-02 is after --until 2026-02-01"),
    ],
)
def test_what_is_no_day_is_one_sentence(since: str | None, until: str | None, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_days(since, until, AHEAD)
