"""Answers to review are drawn evenly over tiers, at random within each, and never twice once a person has spoken."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pytest
import sqlalchemy as sa

from router_core.decision import QualitySource
from router_core.demo import fill
from router_core.ledger.labels import label
from router_core.ledger.review import draw
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger

TIERS = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    opened = open_ledger(tmp_path_factory.mktemp("review") / "ledger.db")
    fill(opened, decisions=3_000, days=6, seed=5, now_ms=1_795_000_000_000)
    refresh(opened)
    return opened


def test_every_tier_gives_as_many_and_nothing_is_drawn_twice(ledger: Ledger) -> None:
    ids = draw(ledger, TIERS, each=12, seed=1)
    decisions = [ledger.read_decision(key) for key in ids]
    assert Counter(one.tier for one in decisions) == dict.fromkeys(TIERS, 12)
    assert len(set(ids)) == len(ids)
    assert all(one.attempts and one.quality_source is not QualitySource.PERSON for one in decisions)
    tiers = [one.tier for one in decisions]
    assert tiers != sorted(tiers, key=TIERS.index)  # the order does not give the tier away
    assert draw(ledger, TIERS, each=12, seed=1) == ids
    assert draw(ledger, TIERS, each=12, seed=2) != ids


def test_a_feature_and_days_narrow_the_draw(ledger: Ledger) -> None:
    since, until = date(2026, 11, 15), date(2026, 11, 16)
    ids = draw(ledger, TIERS[:2], each=5, seed=3, since=since, until=until, feature="support_chat")
    decisions = [ledger.read_decision(key) for key in ids]
    assert len(decisions) == 10
    assert {one.feature for one in decisions} == {"support_chat"}
    days = {ledger.days.of(one.decided_at_ms)[0] for one in decisions}
    assert days <= {(day - date(1970, 1, 1)).days for day in (since, until)}
    assert draw(ledger, TIERS, each=5, seed=3, feature="none such") == []


def test_the_draw_is_close_to_even_over_requests(ledger: Ledger) -> None:
    with ledger.reading() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT day, COUNT(*) FROM decision d JOIN dimension t ON t.id = tier_id AND t.name = 'SIMPLE' "
                "WHERE status = 0 AND attempts > 0 GROUP BY day"
            )
        ).all()
    expected = {row[0]: row[1] for row in rows}
    drawn = Counter(
        ledger.days.of(ledger.read_decision(key).decided_at_ms)[0]
        for seed in range(12)
        for key in draw(ledger, ["SIMPLE"], each=25, seed=seed)
    )
    whole = sum(expected.values())
    for day, count in expected.items():
        assert abs(drawn[day] / 300 - count / whole) < 0.08


def test_what_a_person_has_labelled_is_not_drawn_again(tmp_path: Path) -> None:
    with open_ledger(tmp_path / "few.db") as few:
        fill(few, decisions=40, days=1, seed=2, now_ms=1_795_000_000_000)
        refresh(few)
        first = draw(few, ["SIMPLE"], each=100, seed=1)
        assert 0 < len(first) <= 40
        for key in first:
            label(few, key, 1.0, QualitySource.PERSON, needed_tier="SIMPLE")
        assert not set(draw(few, ["SIMPLE"], each=100, seed=2)) & set(first)


def test_an_empty_ledger_has_nothing_to_review(db_path: Path) -> None:
    with open_ledger(db_path) as empty:
        assert draw(empty, TIERS, each=5, seed=1) == []
