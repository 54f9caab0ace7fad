"""Decisions are looked up page by page without scanning: every match once, newest first, whatever is asked."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from router_core.decision import Reason, Status
from router_core.demo import fill
from router_core.errors import InputError
from router_core.ledger.days import Days, id_floor
from router_core.ledger.explorer import Found, Search, count, find, parse_id
from router_core.ledger.hours import hour_ranges
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger

NOW_MS = 1_795_000_000_000


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    opened = open_ledger(tmp_path_factory.mktemp("explorer") / "ledger.db", timezone="Australia/Lord_Howe")
    fill(opened, decisions=4_000, days=9, seed=5, now_ms=NOW_MS)
    refresh(opened)
    return opened


def every_page(ledger: Ledger, search: Search, *, size: int, most: int) -> list[bytes]:
    found: list[bytes] = []
    page = find(ledger, search, size=size, most=most)
    while True:
        found += [line.id for line in page.lines]
        if not page.older:
            return found
        before = page.resume or page.lines[-1].id
        page = find(ledger, search, before=before, size=size, most=most)


def scanned(ledger: Ledger, search: Search) -> list[bytes]:
    """What a plain scan finds."""
    names = {
        kind: {name: number for number, name in ledger.dimension_names(kind).items()}
        for kind in ("feature", "team", "tier")
    }
    with ledger.reading() as connection:
        rows = connection.execute(sa.text("SELECT * FROM decision ORDER BY id DESC")).mappings().all()
    return [
        bytes(row["id"])
        for row in rows
        if all(
            not getattr(search, kind) or row[f"{kind}_id"] == names[kind].get(getattr(search, kind)) for kind in names
        )
        and (not search.status or row["status"] == Status[search.status.upper()])
        and (not search.reason or row["reason"] == Reason[search.reason.upper()])
        and (search.since is None or row["day"] >= (search.since - date(1970, 1, 1)).days)
        and (search.until is None or row["day"] <= (search.until - date(1970, 1, 1)).days)
    ]


searches = some.builds(
    Search,
    since=some.sampled_from([None, date(2026, 11, 12), date(2026, 11, 16)]),
    until=some.sampled_from([None, date(2026, 11, 16), date(2026, 11, 18)]),
    feature=some.sampled_from(["", "support_chat", "contract_review", "none such"]),
    team=some.sampled_from(["", "support", "legal"]),
    tier=some.sampled_from(["", "SIMPLE", "REASONING"]),
    status=some.sampled_from(["", "ok", "aborted", "refused"]),
    reason=some.sampled_from(["", "policy", "explore", "sticky"]),
)


@given(search=searches, size=some.sampled_from([3, 20, 500]), most=some.sampled_from([1, 300, 200_000]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_all_pages_together_are_what_a_scan_finds(ledger: Ledger, search: Search, size: int, most: int) -> None:
    expected = scanned(ledger, search)
    if len(expected) / size > 200:
        size = 500
    assert every_page(ledger, search, size=size, most=most) == expected
    counted = count(ledger, search)
    assert counted == (None if search.reason else len(expected))


def test_a_page_is_reached_from_either_side(ledger: Ledger) -> None:
    search = Search(feature="support_chat")
    first = find(ledger, search)
    second = find(ledger, search, before=first.lines[-1].id)
    third = find(ledger, search, before=second.lines[-1].id)
    back = find(ledger, search, after=third.lines[0].id)
    assert back.lines == second.lines
    assert (first.newer, first.older, back.newer, back.older) == (False, True, True, True)
    top = find(ledger, search, after=second.lines[0].id)
    assert (top.lines, top.newer) == (first.lines, False)


def test_the_beginning_of_an_id_finds_it_whatever_the_days(ledger: Ledger) -> None:
    wanted = find(ledger, Search()).lines[7].id
    long_ago = Search(until=date(2020, 1, 1), id_start=f" {wanted.hex()[:8]}-{wanted.hex()[8:12].upper()}")
    assert wanted in [line.id for line in find(ledger, long_ago).lines]
    assert [line.id for line in find(ledger, Search(id_start=wanted.hex())).lines] == [wanted]
    assert find(ledger, Search(id_start="f" * 32)) == Found((), newer=False, older=False)
    assert len(find(ledger, Search(id_start="0")).lines) == 20


@pytest.mark.parametrize("text", ["zz", "1_0", "0" * 33, "-", "०१"])
def test_what_is_no_beginning_of_an_id_is_refused_or_ignored_in_a_sentence(text: str, ledger: Ledger) -> None:
    if text == "-":  # nothing but dashes is nothing
        assert find(ledger, Search(id_start=text)).lines
    else:
        with pytest.raises(InputError, match="hexadecimal digits"):
            find(ledger, Search(id_start=text))


def test_an_id_is_read_with_dashes_and_without() -> None:
    assert parse_id("0192a3b4-c5d6-7e8f-9a0b-1c2d3e4f5a6b") == parse_id("0192a3b4c5d67e8f9a0b1c2d3e4f5a6b")
    with pytest.raises(InputError, match="32 hexadecimal digits"):
        parse_id("'; DROP TABLE decision")


def test_an_unknown_status_is_refused_and_an_unknown_name_finds_nothing(ledger: Ledger) -> None:
    with pytest.raises(InputError, match="there is no status 'fine'"):
        find(ledger, Search(status="fine"))
    assert find(ledger, Search(team="nobody")).lines == ()


def test_rows_that_are_not_summed_yet_are_found_too(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "new.db") as fresh:
        fill(fresh, decisions=300, days=2, seed=1, now_ms=NOW_MS)
        assert len(every_page(fresh, Search(tier="MEDIUM"), size=20, most=10)) == len(
            scanned(fresh, Search(tier="MEDIUM"))
        )


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"])
@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 4, 5), date(2026, 10, 4), date(2026, 11, 1)])
def test_hours_cover_their_day_without_a_gap_and_hold_the_instants_they_should(zone: str, day: date) -> None:
    days = Days(ZoneInfo(zone))
    number = (day - date(1970, 1, 1)).days
    parts = hour_ranges(days, number)
    assert parts[0][1][0] == id_floor(days.start_ms(number))
    assert parts[-1][1][1] == id_floor(days.start_ms(number + 1))
    assert all(one[1][1] == other[1][0] for one, other in pairwise(parts))
    for at_ms in range(days.start_ms(number), days.start_ms(number + 1), 7 * 60_000):
        (hour,) = [hour for hour, (low, high) in parts if low <= id_floor(at_ms) < high]
        assert days.of(at_ms) == (number, hour)
