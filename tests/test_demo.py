"""The demo is a plausible month of traffic, the same for the same seed and clock, and never mixed with real traffic."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from router_core.config import default_config
from router_core.decision import Kind, Reason, RoutingDecision, Status, Strategy, new_decision_id
from router_core.demo import DemoReport, fill, is_demo, is_empty, truth
from router_core.demo.world import DISCOUNTED, configs
from router_core.errors import InputError
from router_core.ledger.days import day_number
from router_core.ledger.latency import latency_bin
from router_core.ledger.price_rows import read_prices
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.lifecycle import versions
from router_core.lifecycle.attention import gathered
from router_core.policy import propensities, tier_for_score
from router_core.prices import PriceBook
from router_core.usage import Usage

NOW = round(datetime(2026, 11, 23, 15, 20, tzinfo=UTC).timestamp() * 1000)
DECISIONS = 12_000

Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, DemoReport]]:
    with open_ledger(tmp_path_factory.mktemp("demo") / "demo.db") as ledger:
        yield ledger, fill(ledger, decisions=DECISIONS, seed=7, now_ms=NOW)


def read(ledger: Ledger, table: str, order: str) -> Rows:
    with ledger.reading() as connection:
        rows = connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY {order}").mappings()
        return [dict(row) for row in rows]


@pytest.fixture(scope="module")
def decisions(filled: tuple[Ledger, DemoReport]) -> Rows:
    rows = read(filled[0], "decision", "id")
    names = {kind: filled[0].dimension_names(kind) for kind in ("feature", "tier", "team", "stage", "scorer")}
    return [{**row, **{kind: names[kind][row[f"{kind}_id"]] for kind in names}} for row in rows]


@pytest.fixture(scope="module")
def attempts(filled: tuple[Ledger, DemoReport]) -> Rows:
    rows = read(filled[0], "attempt", "decision_id, seq")
    names = {kind: filled[0].dimension_names(kind) for kind in ("model", "provider", "tier", "why")}
    return [{**row, **{kind: names[kind][row[f"{kind}_id"]] for kind in names}} for row in rows]


def test_the_report_says_what_was_written(filled: tuple[Ledger, DemoReport], decisions: Rows, attempts: Rows) -> None:
    ledger, report = filled
    assert (report.decisions, report.attempts) == (len(decisions), len(attempts)) == (DECISIONS, report.attempts)
    assert report.cost_nusd == sum(row["list_cost_nusd"] or 0 for row in attempts)
    assert report.labelled == sum(row["quality_ppm"] is not None for row in decisions)
    assert len({row["decision_id"] for row in read(ledger, "quality_label", "id")}) == report.labelled
    assert (report.first_day, report.last_day) == ("2026-10-25", "2026-11-23")
    assert is_demo(ledger)
    assert not is_empty(ledger)


def test_times_lie_in_the_window_and_days_are_those_of_the_reporting_zone(decisions: Rows) -> None:
    start = round(datetime(2026, 10, 25, tzinfo=UTC).timestamp() * 1000)
    for row in decisions:
        assert start <= row["decided_at_ms"] < NOW
        local = datetime.fromtimestamp(row["decided_at_ms"] / 1000, UTC)
        assert (row["day"], row["hour"]) == (day_number(local.date()), local.hour)
        assert bytes(row["id"][:6]) == row["decided_at_ms"].to_bytes(6, "big")


@pytest.mark.parametrize(
    ("zone", "now"),
    [("Europe/Zurich", (2026, 3, 30, 9)), ("Asia/Kolkata", (2026, 11, 23, 1)), ("America/St_Johns", (2026, 11, 3, 22))],
)
def test_zones_with_half_hours_and_days_of_23_or_25_hours_come_out_right(
    db_path: Path, zone: str, now: tuple[int, int, int, int]
) -> None:
    with open_ledger(db_path, timezone=zone) as ledger:
        report = fill(ledger, decisions=800, days=5, now_ms=round(datetime(*now, tzinfo=UTC).timestamp() * 1000))
        rows = read(ledger, "decision", "id")
    assert len(rows) == report.decisions == 800
    for row in rows:
        local = datetime.fromtimestamp(row["decided_at_ms"] / 1000, ZoneInfo(zone))
        assert (row["day"], row["hour"]) == (day_number(local.date()), local.hour)


def test_same_seed_and_clock_give_the_same_rows_and_another_seed_others(tmp_path: Path) -> None:
    def rows(name: str, seed: int) -> tuple[Rows, Rows]:
        with open_ledger(tmp_path / name) as ledger:
            fill(ledger, decisions=1_500, days=9, seed=seed, now_ms=NOW)
            return read(ledger, "decision", "id"), read(ledger, "attempt", "decision_id, seq")

    first = rows("a.db", 3)
    assert rows("b.db", 3) == first
    assert rows("c.db", 4) != first
    assert (tmp_path / "a.db.truth.npz").read_bytes() == (tmp_path / "b.db.truth.npz").read_bytes()


def test_every_call_costs_what_the_price_book_said_when_it_was_made(
    filled: tuple[Ledger, DemoReport], decisions: Rows, attempts: Rows
) -> None:
    prices = read_prices(filled[0])
    book = PriceBook(prices)
    decided_at = {row["id"]: row["decided_at_ms"] for row in decisions}
    for row in attempts:
        if row["input_tokens"] is None:
            assert (row["list_cost_nusd"], row["price_id"]) == (None, None)
            continue
        usage = Usage(
            row["input_tokens"],
            row["output_tokens"],
            row["cache_read_input_tokens"],
            row["cache_write_input_tokens"],
            row["reasoning_output_tokens"],
        )
        at_ms = decided_at[row["decision_id"]]
        cost = book.list_cost(usage, provider_name=row["provider"], model=row["model"], at_ms=at_ms)
        assert cost is not None
        assert (row["list_cost_nusd"], row["price_id"]) == (cost.nusd, cost.price.id)
    used = {price.layer for price in prices if price.id in {row["price_id"] for row in attempts}}
    assert used == {"catalogue", "contract"}
    assert len({row["price_id"] for row in attempts if row["model"] == DISCOUNTED[1] and row["price_id"]}) == 2


def test_a_decision_adds_up_its_attempts_and_one_of_them_is_final(decisions: Rows, attempts: Rows) -> None:
    calls: dict[bytes, Rows] = {}
    for row in attempts:
        calls.setdefault(row["decision_id"], []).append(row)
    for row in decisions:
        mine = calls.get(row["id"], [])
        assert row["attempts"] == len(mine)
        assert [call["seq"] for call in mine] == list(range(len(mine)))
        assert row["cost_nusd"] == sum(call["list_cost_nusd"] or 0 for call in mine)
        assert row["escalations"] == sum(call["kind"] == Kind.ESCALATION for call in mine)
        assert row["failovers"] == sum(call["kind"] == Kind.FAILOVER for call in mine)
        if row["strategy"] == Strategy.CACHE_EXACT:
            assert mine == []
            continue
        assert [call["final"] for call in mine] == [0] * (len(mine) - 1) + [1]
        assert mine[-1]["status"] == row["status"]
        assert sum(call["latency_ms"] for call in mine) <= row["latency_ms"]
        assert all(call["latency_bin"] == latency_bin(call["latency_ms"]) for call in mine)
        offsets = [call["offset_ms"] for call in mine]
        assert offsets == [sum(call["latency_ms"] for call in mine[:n]) for n in range(len(mine))]


def test_tiers_reasons_and_propensities_are_those_of_the_policy(decisions: Rows) -> None:
    by_version = dict(zip((2, 3), configs(), strict=True))
    assert {row["config_version"] for row in decisions} == {2, 3}
    for row in decisions:
        config = by_version[row["config_version"]]
        propensity = row["propensity_ppm"] / 1e6
        due = tier_for_score(config, row["feature"], row["score"])
        if row["reason"] == Reason.POLICY:
            assert (row["tier"], propensity) == (due, 0.95)
        elif row["reason"] == Reason.EXPLORE:
            assert row["tier"] != due
            assert propensity == pytest.approx(propensities(config, row["feature"], due)[row["tier"]], abs=1e-6)
        elif row["reason"] == Reason.PIN:
            assert row["tier"] == config.features[row["feature"]].pin
        elif row["reason"] == Reason.RULE:
            assert row["tier"] == "SIMPLE"
        else:
            assert row["reason"] == Reason.STICKY
        if row["reason"] not in (Reason.POLICY, Reason.EXPLORE):
            assert propensity == 1.0
    counts = Counter(row["reason"] for row in decisions)
    assert set(counts) == {Reason.POLICY, Reason.EXPLORE, Reason.RULE, Reason.PIN, Reason.STICKY}
    assert counts[Reason.EXPLORE] / (counts[Reason.EXPLORE] + counts[Reason.POLICY]) == pytest.approx(0.05, abs=0.01)


def test_a_warm_conversation_keeps_the_tier_of_its_turn_before(decisions: Rows) -> None:
    warm_ms = default_config().sticky.warm_seconds * 1000
    last: dict[int, tuple[int, str]] = {}
    sticky = 0
    for row in decisions:
        talk = row["conversation_hash"]
        if talk is None:
            assert row["reason"] != Reason.STICKY
            continue
        before = last.get(talk)
        warm = before is not None and row["decided_at_ms"] - before[0] <= warm_ms
        assert (row["reason"] == Reason.STICKY) == warm
        if before is not None and warm:
            assert row["tier"] == before[1]
            sticky += 1
        last[talk] = row["decided_at_ms"], row["tier"]
    assert sticky > DECISIONS // 20


def test_traffic_has_the_kinds_of_calls_and_outcomes_a_real_month_has(decisions: Rows, attempts: Rows) -> None:
    kinds = Counter(row["kind"] for row in attempts)
    assert {Kind.ANSWER, Kind.ESCALATION, Kind.FAILOVER, Kind.COMPRESS} == set(kinds)
    assert {Status.OK, Status.TIMEOUT, Status.RATE_LIMITED, Status.REFUSED, Status.ABORTED, Status.REJECTED} == {
        row["status"] for row in attempts
    }
    assert {row["feature"] for row in decisions if row["strategy"] == Strategy.CACHE_EXACT} == {"search_summaries"}
    assert {row["feature"] for row in decisions if row["strategy"] == Strategy.CASCADE} == {"data_extraction"}
    assert {row["feature"] for row in decisions if row["escalations"]} == {"data_extraction"}
    labelled = [row for row in decisions if row["quality_ppm"] is not None]
    assert 0.2 < len(labelled) / len(decisions) < 0.32
    assert {row["quality_source"] for row in labelled} == {1, 2, 3, 4}
    assert all(row["status"] == Status.OK for row in labelled)
    assert 0.9 < np.mean([row["quality_ppm"] / 1e6 for row in labelled]) < 0.96
    estimated = [row for row in attempts if row["usage_source"] == 1]
    assert {row["status"] for row in estimated} == {Status.TIMEOUT, Status.ABORTED}
    assert sum(row["cache_read_input_tokens"] or 0 for row in attempts) > 0.1 * sum(
        row["input_tokens"] or 0 for row in attempts
    )
    assert all(row["prompt_hash"] is not None for row in decisions)


def test_a_cached_answer_repeats_an_earlier_prompt(decisions: Rows) -> None:
    seen: set[int] = set()
    for row in decisions:
        if row["strategy"] == Strategy.CACHE_EXACT:
            assert row["prompt_hash"] in seen
        seen.add(row["prompt_hash"])


def test_days_and_weeks_have_a_rhythm_and_one_afternoon_a_provider_fails(decisions: Rows) -> None:
    by_day = Counter(row["day"] for row in decisions)
    weekend = [count for day, count in by_day.items() if (day + 3) % 7 > 4]
    week = [count for day, count in by_day.items() if (day + 3) % 7 < 5 and day != max(by_day)]
    assert np.mean(weekend) < 0.7 * np.mean(week)
    by_hour = Counter(row["hour"] for row in decisions)
    assert by_hour[11] > 4 * by_hour[3]
    failovers = Counter(row["day"] for row in decisions if row["failovers"])
    (worst, most), (_, second) = failovers.most_common(2)
    assert most > 10 * second
    assert (worst + 3) % 7 < 5
    hours = Counter(row["hour"] for row in decisions if row["failovers"] and row["day"] == worst)
    assert sum(hours[hour] for hour in (14, 15, 16)) > 0.95 * most


def test_the_bill_of_a_default_demo_is_of_a_size_finance_would_look_at(filled: tuple[Ledger, DemoReport]) -> None:
    a_month = filled[1].cost_nusd / 1e9 * 200_000 / DECISIONS
    assert 1_500 < a_month < 6_000


def test_the_score_has_the_skill_of_a_fitted_scorer(filled: tuple[Ledger, DemoReport]) -> None:
    known = truth(filled[1].truth or "")
    gain = known.quality[:, -1] - known.quality[:, 0]
    order = np.argsort(-(known.score + np.random.default_rng(0).random(len(known))))
    recovered = np.cumsum(gain[order]) / gain.sum()  # of the gap, sending ever more to the strongest tier
    assert 0.70 < recovered.mean() < 0.80
    assert abs(np.quantile(known.score, [0.25, 0.5, 0.75]) - [25, 50, 75]).max() < 6


def test_versions_are_dated_in_the_window_and_decisions_carry_the_one_that_was_live(
    filled: tuple[Ledger, DemoReport], decisions: Rows
) -> None:
    listed = versions.history(filled[0])
    assert [one.version for one in listed] == [1, 2, 3]
    assert [one.author for one in listed] == ["tierwise", "demo", "demo"]
    starts = [one.created_at_ms for one in listed]
    assert starts[0] <= starts[1] < decisions[0]["decided_at_ms"] < starts[2] < NOW
    for row in decisions:
        assert row["config_version"] == bisect_right(starts, row["decided_at_ms"])


@pytest.mark.parametrize(("count", "days"), [(1, 1), (3, 2), (40, 400), (50, 30)])
def test_the_smallest_demos_work_too(db_path: Path, count: int, days: int) -> None:
    told: list[tuple[int, int]] = []
    with open_ledger(db_path) as ledger:
        report = fill(
            ledger, decisions=count, days=days, now_ms=NOW, progress=lambda done, total: told.append((done, total))
        )
        assert len(read(ledger, "decision", "id")) == report.decisions == count
    assert told[-1] == (count, count)


def test_a_demo_is_never_mixed_with_anything(db_path: Path) -> None:
    real = RoutingDecision(
        new_decision_id(NOW), NOW, 1, "", "chat", "", 5, "rules", "SIMPLE", Reason.POLICY, 1.0, Strategy.DIRECT,
        Status.OK, 10, (),
    )  # fmt: skip
    with open_ledger(db_path) as ledger:
        ledger.write_decisions([real])
        with pytest.raises(InputError, match="holds decisions or a configuration of your own"):
            fill(ledger, decisions=10, now_ms=NOW)
        assert not is_demo(ledger)
        assert len(read(ledger, "decision", "id")) == 1


def test_a_configuration_pushed_by_a_person_is_not_buried_under_those_of_the_demo(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        versions.live(ledger)
        assert is_empty(ledger)
        versions.push(ledger, default_config(), author="ada", note="mine")
        with pytest.raises(InputError, match="a configuration of your own"):
            fill(ledger, decisions=10, now_ms=NOW)
        assert versions.live(ledger).version == 2


def test_its_budgets_are_set_from_what_was_spent_and_one_wants_attention(filled: tuple[Ledger, DemoReport]) -> None:
    ledger, _ = filled
    refresh(ledger)
    config = versions.live(ledger).config
    assert [budget.scope for budget in config.budgets] == ["all", "team:engineering", "feature:search_summaries"]
    (alert,) = gathered(ledger, config, NOW)
    assert (alert.kind in ("budget", "forecast"), alert.subject) == (True, "team:engineering")
