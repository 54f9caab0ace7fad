"""Questions are answered from cells, and the answers add up, in every zone and by every dimension."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from decisions import DAY_MS, NOON_MS, a_decision, an_attempt, traffic

from router_core.decision import Kind, RoutingDecision
from router_core.errors import InputError
from router_core.ledger import queries
from router_core.ledger.cells import EVIDENCE_SUMS, SPEND_SUMS
from router_core.ledger.days import date_of
from router_core.ledger.evidence import evidence
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 11)


@pytest.fixture(scope="module")
def decisions() -> list[RoutingDecision]:
    return list(traffic(3000, seed=11))


@pytest.fixture(scope="module", params=["UTC", "America/New_York", "Asia/Kathmandu"])
def ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, decisions: list[RoutingDecision]
) -> Iterator[Ledger]:
    # The window holds the day on which clocks change in New York.
    with open_ledger(tmp_path_factory.mktemp("ledger") / "ledger.db", timezone=request.param) as opened:
        opened.write_decisions(decisions)
        refresh(opened)
        yield opened


def sums(lines: list[queries.SpendLine]) -> dict[str, int]:
    return {name: sum(getattr(line, name) for line in lines) for name in SPEND_SUMS}


def test_the_window_says_what_the_cells_hold(ledger: Ledger, decisions: list[RoutingDecision]) -> None:
    window = queries.window(ledger)
    days = [date_of(ledger.days.of(one.decided_at_ms)[0]) for one in decisions]
    assert (window.first_day, window.last_day, window.decisions) == (min(days), max(days), 3000)
    assert (window.timezone, window.is_demo) == (ledger.zone.key, False)


def test_an_empty_ledger_has_an_empty_window_and_no_lines(db_path: Path) -> None:
    with open_ledger(db_path) as empty:
        assert queries.window(empty).first_day is None
        assert queries.spend(empty, ["tier"]) == []
        assert queries.spend(empty, []) == []
        assert queries.latency(empty, ["tier"]) == []
        found = evidence(empty)
        assert (len(found.decisions), found.features, found.days, found.since) == (0, (), 0, None)


def test_spend_by_anything_adds_up_to_the_whole(ledger: Ledger) -> None:
    whole = sums(queries.spend(ledger, []))
    for size in (1, 2, 3):
        for by in combinations(queries.SPEND_BY, size):
            lines = queries.spend(ledger, by)
            assert sums(lines) == whole
            assert len({line.keys for line in lines}) == len(lines)
            assert [line.keys for line in lines] == sorted(line.keys for line in lines)


def test_the_days_of_a_range_add_up_to_the_range(ledger: Ledger) -> None:
    for since, until in ((FIRST, LAST), (date(2026, 3, 7), date(2026, 3, 9)), (date(2026, 3, 8), date(2026, 3, 8))):
        days = [since + timedelta(days=place) for place in range((until - since).days + 1)]
        each = [line for day in days for line in queries.spend(ledger, [], day, day)]
        assert sums(each) == sums(queries.spend(ledger, [], since, until))
        assert sums(queries.spend(ledger, ["day", "hour"], since, until)) == sums(each)


def test_spend_by_tier_is_the_sum_over_its_decisions(ledger: Ledger, decisions: list[RoutingDecision]) -> None:
    for line in queries.spend(ledger, ["tier"]):
        mine = [one for one in decisions if one.tier == line.keys[0]]
        labelled = [one.quality for one in mine if one.quality is not None]
        assert line.decisions == len(mine)
        assert line.list_cost_nusd == sum(call.list_cost_nusd or 0 for one in mine for call in one.attempts)
        assert line.quality == pytest.approx(sum(labelled) / len(labelled))
        assert 0.9 < (line.priced_share or 0) < 1


def test_filters_keep_what_they_name(ledger: Ledger, decisions: list[RoutingDecision]) -> None:
    where = {"feature": ["chat", "code"], "team": {"support"}, "status": ["ok"], "kind": ["answer"]}
    (line,) = queries.spend(ledger, [], where=where)
    mine = [
        one
        for one in decisions
        if one.feature in ("chat", "code") and one.team == "support" and one.status.name == "OK"
    ]
    assert line.decisions == sum(
        1 for one in mine if not one.attempts or any(call.final and call.kind == Kind.ANSWER for call in one.attempts)
    )
    assert queries.spend(ledger, ["tier"], where={"feature": ["nobody"]}) == []
    assert queries.spend(ledger, ["tier"], where={"feature": []}) == []
    assert sums(queries.spend(ledger, [], where={"hour": ["3", "4"]})) == sums(
        [line for line in queries.spend(ledger, ["hour"]) if line.keys[0] in (3, 4)]
    )


def test_decisions_that_called_no_model_are_counted_under_none(
    ledger: Ledger, decisions: list[RoutingDecision]
) -> None:
    (line,) = queries.spend(ledger, ["model"], where={"model": [""]})
    assert (line.keys, line.decisions, line.attempts) == (("",), sum(not one.attempts for one in decisions), 0)
    assert line.cache_hits == line.decisions
    assert line.priced_share is None


@pytest.mark.parametrize("by", [["teir"], ["tier", "tier"], ["scorer"]])
def test_an_unknown_or_repeated_dimension_is_one_sentence(ledger: Ledger, by: list[str]) -> None:
    with pytest.raises(InputError):
        queries.spend(ledger, by)
    with pytest.raises(InputError):
        queries.spend(ledger, [], where={"status": ["fine"]})


def test_latencies_are_within_2_percent_over_any_slice(ledger: Ledger, decisions: list[RoutingDecision]) -> None:
    calls = [(ledger.days.of(one.decided_at_ms)[0], call) for one in decisions for call in one.attempts]
    for line in queries.latency(ledger, ["tier", "kind"], date(2026, 3, 3), date(2026, 3, 8)):
        mine = [
            call.latency_ms
            for day, call in calls
            if (call.tier, call.kind.name.lower()) == line.keys and date(2026, 3, 3) <= date_of(day) <= date(2026, 3, 8)
        ]
        assert line.attempts == len(mine)
        for share, found in ((0.5, line.p50_ms), (0.95, line.p95_ms), (0.99, line.p99_ms)):
            assert found == pytest.approx(np.quantile(mine, share, method="inverted_cdf"), rel=0.02)
    (whole,) = queries.latency(ledger, [])
    assert whole.attempts == len(calls)


def test_evidence_is_the_cells_summed_over_days(ledger: Ledger, decisions: list[RoutingDecision]) -> None:
    found = evidence(ledger)
    with ledger.reading() as connection:
        for name in EVIDENCE_SUMS:
            total = connection.execute(sa.text(f"SELECT SUM({name}) FROM evidence_cell")).scalar_one()
            assert getattr(found, name).sum() == total
            assert getattr(found, name).dtype == np.int64
    assert found.decisions.sum() == 3000
    assert sorted(found.features) == ["chat", "code", "search"]
    assert found.days == len({ledger.days.of(one.decided_at_ms)[0] for one in decisions})
    keys = (found.scorer, found.feature, found.score, found.tier, found.strategy, found.reason, found.kind, found.model)
    assert len(set(zip(*(key.tolist() for key in (*keys, found.price_id)), strict=True))) == len(found.score)
    unscored = found.score == -1
    assert found.decisions[unscored].sum() == sum(one.score is None for one in decisions)
    for place, feature in enumerate(found.features):
        for tier_place, tier in enumerate(found.tiers):
            here = (found.feature == place) & (found.tier == tier_place)
            mine = [one for one in decisions if (one.feature, one.tier) == (feature, tier)]
            assert found.decisions[here].sum() == len(mine)
            assert found.labelled[here].sum() == sum(one.quality is not None for one in mine)


def test_evidence_of_a_window_and_of_a_feature_is_a_part_of_all(ledger: Ledger) -> None:
    since, until = date(2026, 3, 4), date(2026, 3, 6)
    part = evidence(ledger, since, until)
    (spent,) = queries.spend(ledger, [], since, until)
    assert (part.since, part.until, part.days) == (since, until, 3)
    assert (part.decisions.sum(), part.list_cost_nusd.sum()) == (spent.decisions, spent.list_cost_nusd)
    chat = evidence(ledger, since, until, {"feature": ["chat"]})
    assert chat.features == ("chat",)
    assert chat.decisions.sum() == part.decisions[part.feature == part.features.index("chat")].sum()


def test_questions_never_read_decisions(ledger: Ledger) -> None:
    asked: list[str] = []

    def listen(_c: object, _k: object, statement: str, *_: object) -> None:
        asked.append(statement)

    sa.event.listen(ledger.engine, "before_cursor_execute", listen)
    queries.window(ledger)
    queries.watermark(ledger)
    queries.spend(ledger, ["day", "tier"], where={"feature": ["chat"]})
    queries.spend(ledger, ["hour"])
    queries.latency(ledger, ["tier"])
    evidence(ledger)
    sa.event.remove(ledger.engine, "before_cursor_execute", listen)
    assert asked
    assert not [statement for statement in asked if "FROM decision" in statement or "attempt a" in statement]


def test_clocks_that_go_back_give_a_day_of_25_hours_and_lose_nothing(db_path: Path) -> None:
    autumn = 1_792_886_400_000  # 2026-10-25 00:00 UTC; in Zurich the day began at 22:00 UTC the day before
    with open_ledger(db_path, timezone="Europe/Zurich") as ledger:
        ledger.write_decisions([a_decision(autumn + hour * 3_600_000 // 2) for hour in range(-8, 60)])
        refresh(ledger)
        lines = queries.spend(ledger, ["day", "hour"])
        found = {line.keys: line.decisions for line in lines}
        assert found[(date(2026, 10, 25), 2)] == 4  # that hour came twice
        (day,) = queries.spend(ledger, [], date(2026, 10, 25), date(2026, 10, 25))
        assert day.decisions == 50


def test_the_turn_of_the_year_falls_where_the_zone_says(db_path: Path) -> None:
    midnight = 1_798_741_800_000  # 2026-12-31 18:30 UTC
    with open_ledger(db_path, timezone="Asia/Kolkata") as ledger:
        ledger.write_decisions([a_decision(midnight - 1), a_decision(midnight), a_decision(midnight + DAY_MS)])
        refresh(ledger)
        days = {line.keys[0]: line.decisions for line in queries.spend(ledger, ["day"])}
    assert days == {date(2026, 12, 31): 1, date(2027, 1, 1): 1, date(2027, 1, 2): 1}


def test_an_unpriced_call_is_never_a_free_one(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        free = an_attempt(list_cost_nusd=0)
        unknown = an_attempt(list_cost_nusd=None, price_id=None)
        failed = an_attempt(usage=None, list_cost_nusd=None, price_id=None)
        ledger.write_decisions([a_decision(NOON_MS, attempts=(call,)) for call in (free, unknown, failed)])
        refresh(ledger)
        (line,) = queries.spend(ledger, [])
    assert (line.attempts, line.priced_attempts, line.unpriced_attempts, line.priced_share) == (3, 1, 1, 0.5)
