"""How often requests repeat is read from the log itself, as a cache that keeps answers for a while would see it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_core.decision import Attempt, Kind, Reason, RoutingDecision, Status, Strategy, new_decision_id
from router_core.ledger.repeats import Asked, read_repeats
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.usage import Usage

START = round(datetime(2026, 3, 1, tzinfo=UTC).timestamp() * 1000)
MINUTE = 60_000


def asked(times: list[tuple[int, int]], *, cached: set[int] = frozenset()) -> Asked:  # type: ignore[assignment]
    """Return requests given as (prompt, minute), those at the places in ``cached`` answered by a cache."""
    ordered = sorted((prompt, minute, place in cached) for place, (prompt, minute) in enumerate(times))
    table = np.array(ordered, dtype=np.int64).reshape(-1, 3)
    return Asked(table[:, 0], START + table[:, 1] * MINUTE, table[:, 2].astype(bool), START)


def plain(times: list[tuple[int, int]], ttl_minutes: int) -> list[bool]:
    """Walk through time with a cache that keeps each answer from when a model gave it."""
    kept: dict[int, int] = {}
    hits = []
    for prompt, minute in sorted(times, key=lambda pair: (pair[0], pair[1])):
        fresh = prompt in kept and minute < kept[prompt] + ttl_minutes
        hits.append(fresh)
        if not fresh:
            kept[prompt] = minute
    return hits


def test_an_answer_serves_until_it_expires_however_often_it_is_used() -> None:
    every_four = asked([(1, minute) for minute in range(0, 41, 4)])
    assert every_four.hit_share(10 * 60, 0) == pytest.approx(5 / 8)  # from minute 12 on: all but 12, 24 and 36
    assert every_four.hit_share(4 * 60, 0) == 0.0  # the answer is just gone
    assert every_four.hit_share(4 * 60 + 1, 0) == pytest.approx(4 / 9)  # every second one


def test_kept_longer_what_was_served_from_the_cache_stays_and_kept_shorter_nothing_new_is() -> None:
    far = asked([(1, 0), (1, 100), (2, 0), (2, 5)], cached={1})  # prompt 1 was answered alike, by meaning perhaps
    assert far.logged_share == 0.25
    assert far.hit_share(3600, 3600) == 0.25
    assert far.hit_share(6000, 3600) == 0.5
    assert far.hit_share(60, 3600) == 0.0
    assert far.hit_share(0, 3600) == 0.0


def test_nothing_asked_is_nothing_served() -> None:
    assert asked([]).hit_share(60, 0) == 0.0
    assert asked([]).logged_share == 0.0


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 200)), min_size=1, max_size=60, unique=True),
    st.integers(1, 150),
)
def test_the_share_is_that_of_a_plain_walk_through_time(times: list[tuple[int, int]], ttl: int) -> None:
    hits = plain(times, ttl)
    minutes = [minute for _, minute in sorted(times, key=lambda pair: (pair[0], pair[1]))]
    from_minute = ttl if max(minutes) >= 2 * ttl else 0
    counted = [hit for hit, minute in zip(hits, minutes, strict=True) if minute >= from_minute]
    found = asked(times).hit_share(ttl * 60, 0)
    assert found == pytest.approx(sum(counted) / len(counted) if counted else 0.0)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), min_size=1, max_size=40, unique=True))
def test_seen_from_the_start_a_longer_life_never_serves_less(times: list[tuple[int, int]]) -> None:
    shares = [asked(times).hit_share(minutes * 60, 0) for minutes in (60, 120, 600)]  # all longer than half of it
    assert shares == sorted(shares)


def decision(minute: int, feature: str, team: str, prompt: int | None, *, cached: bool = False) -> RoutingDecision:
    at_ms = START + minute * MINUTE
    call = Attempt(Kind.ANSWER, "LOW", "p", "m", usage=Usage(10, 5), list_cost_nusd=100)
    return RoutingDecision(
        new_decision_id(at_ms),
        at_ms,
        1,
        "s",
        feature,
        team,
        50,
        "rules",
        "LOW",
        Reason.POLICY,
        1.0,
        Strategy.CACHE_EXACT if cached else Strategy.DIRECT,
        Status.OK,
        5,
        () if cached else (call,),
        prompt_hash=prompt,
    )


@pytest.fixture
def ledger(db_path: Path) -> Iterator[Ledger]:
    with open_ledger(db_path) as opened:
        opened.write_decisions(
            [
                decision(0, "chat", "red", 7),
                decision(5, "chat", "red", 7, cached=True),
                decision(6, "chat", "blue", 7),
                decision(7, "search", "red", 7),
                decision(8, "search", "red", -7),
                decision(9, "search", "red", -7),
                decision(10, "search", "red", None),
                decision(3 * 1440, "chat", "red", 9),
                decision(3 * 1440 + 1, "chat", "red", 9),
            ]
        )
        refresh(opened)
        yield opened


def test_a_prompt_is_the_same_within_one_team_and_feature_only(ledger: Ledger) -> None:
    found = read_repeats(ledger, date(2026, 3, 1), date(2026, 3, 4))
    assert (found.days, found.every) == (4, 1)
    chat, search = found.by_feature["chat"], found.by_feature["search"]
    assert len(chat.at_ms) == 5
    assert chat.logged_share == 0.2
    assert sum(chat._hits(60 * MINUTE)) == 2
    assert len(search.at_ms) == 3  # a request without a hash is not known again
    assert sum(search._hits(60 * MINUTE)) == 1


def test_of_a_long_window_the_last_days_are_read(ledger: Ledger) -> None:
    found = read_repeats(ledger, date(2026, 3, 1), date(2026, 3, 4), most_looked_at=3)
    assert found.days == 3
    assert set(found.by_feature) == {"chat"}
    assert len(found.by_feature["chat"].at_ms) == 2
    earlier = read_repeats(ledger, date(2026, 3, 1), date(2026, 3, 2))
    assert set(earlier.by_feature) == {"chat", "search"}
    assert read_repeats(ledger, date(2027, 3, 1), date(2027, 3, 2)).by_feature == {}


def test_of_many_requests_all_of_some_prompts_are_read(db_path: Path) -> None:
    with open_ledger(db_path) as opened:
        opened.write_decisions(
            [decision(minute, "chat", "", prompt) for prompt in range(1, 41) for minute in (0, 1 + prompt, 60 + prompt)]
        )
        refresh(opened)
        found = read_repeats(opened, date(2026, 3, 1), date(2026, 3, 1), most_read=30)
    assert found.every == 4
    chat = found.by_feature["chat"]
    assert len(chat.at_ms) == 30
    assert np.bincount(chat.prompt).tolist() == [3] * 10
