"""Alerts: each stated once for its threshold and period, worst first, and nothing where there is nothing to say."""

from __future__ import annotations

from datetime import date
from zoneinfo import ZoneInfo

import pytest

from router_core.config import Budget
from router_core.lifecycle import alerts
from router_core.lifecycle.alerts import Alert, Period, stated
from router_core.lifecycle.feedback import Labelled, drift
from router_core.lifecycle.forecast import Forecast

DAY = date(2026, 11, 18)
UTC = ZoneInfo("UTC")
MONTH = Period("2026-11-01/month", date(2026, 11, 1), date(2026, 11, 30))


def ahead(spent: float, expected: float | None = None, spread: float = 0.1) -> Forecast:
    ends = (None, None, None) if expected is None else (expected, expected * (1 - spread), expected * (1 + spread))
    nusd = [None if end is None else round(end * 1e9) for end in ends]
    return Forecast(MONTH.since, MONTH.until, round(spent * 1e9), 13, 40, *nusd)


@pytest.mark.parametrize(
    ("duration", "since", "until"),
    [
        ("month", date(2026, 11, 1), date(2026, 11, 30)),
        ("7d", date(2026, 11, 16), date(2026, 11, 22)),
        ("1d", DAY, DAY),
    ],
)
def test_a_budget_is_judged_by_its_own_period(duration: str, since: date, until: date) -> None:
    period = alerts.period_of(Budget(max_budget=5, budget_duration=duration), DAY, UTC)  # type: ignore[arg-type]
    assert (period.since, period.until) == (since, until)
    assert period.name == f"{since}/{duration}"


def test_a_budget_with_room_says_nothing() -> None:
    assert alerts.of_budget(Budget(max_budget=1000), MONTH, ahead(500, 900)) == []


def test_a_budget_near_its_end_is_said_once_whatever_else_is_crossed() -> None:
    budget = Budget(scope="team:support", max_budget=1000, soft_budget=700)
    found = stated([*alerts.of_budget(budget, MONTH, ahead(750, 1100, 0.02))] * 2)
    assert [(one.kind, one.severity) for one in found] == [("forecast", "bad")]
    assert found[0].sentence == (
        "Team support will pass the budget of $1,000: $1,100 is foretold by 30 Nov ($1,078 to $1,122), "
        "$750.00 is spent."
    )
    (near,) = stated(alerts.of_budget(budget, MONTH, ahead(750, 900, 0.02)))
    assert near.sentence == (
        "75% of the budget of $1,000 for team support is spent, $750.00, with 13 of its days left (1 Nov to 30 Nov)."
    )


def test_a_forecast_whose_interval_reaches_below_the_budget_only_warns() -> None:
    (one,) = alerts.of_budget(Budget(max_budget=1000), MONTH, ahead(500, 1050, 0.2))
    assert (one.kind, one.severity) == ("forecast", "watch")
    assert one.sentence.startswith("All traffic may pass")


def test_a_spent_budget_is_said_and_no_forecast_beside_it() -> None:
    budget = Budget(max_budget=100, mode="downgrade")
    (one,) = stated(alerts.of_budget(budget, MONTH, ahead(130, 190, 0.01)))
    assert (one.kind, one.severity) == ("budget", "bad")
    assert "is spent: $130.00, 130%" in one.sentence
    assert "one tier down" in one.sentence


def test_two_budgets_of_one_scope_and_period_state_the_highest_crossed() -> None:
    small, large = Budget(max_budget=100), Budget(max_budget=1000)
    found = stated([*alerts.of_budget(large, MONTH, ahead(850)), *alerts.of_budget(small, MONTH, ahead(850))])
    assert len(found) == 1
    assert found[0].severity == "bad"


def test_the_next_period_states_it_anew() -> None:
    later = Period("2026-12-01/month", date(2026, 12, 1), date(2026, 12, 31))
    keys = {alerts.of_budget(Budget(max_budget=1), period, ahead(2))[0].key for period in (MONTH, later)}
    assert len(keys) == 2


def test_calls_without_a_price_are_named_by_their_models() -> None:
    assert alerts.of_coverage({}, 100) == []
    (few,) = alerts.of_coverage({"new-model": 2}, 1000)
    (many,) = alerts.of_coverage({"a": 10, "b": 50, "c": 5, "d": 1}, 1000)
    assert (few.severity, many.severity) == ("watch", "bad")
    assert "0.2% of calls have no known price (new-model)" in few.sentence
    assert "(b, a, c and 1 more)" in many.sentence


def test_an_alert_is_another_where_its_cause_is() -> None:
    def key(*models: str) -> str:
        (one,) = alerts.of_coverage(dict.fromkeys(models, 1), 1000)
        return one.key

    assert key("a", "b") == key("b", "a") != key("a", "b", "c")
    may, will = (alerts.of_budget(Budget(max_budget=1000), MONTH, ahead(500, 1050, by))[0] for by in (0.2, 0.01))
    assert may.key != will.key
    days = [date(2026, 11, day) for day in (16, 22, 23)]  # Monday, Sunday, Monday
    monday, sunday, next_week = (alerts.of_fallbacks((90, 10_000), (300, 10_000), DAY, day)[0].key for day in days)
    assert monday == sunday != next_week
    assert alerts.of_resting("m at p", 1, 30, DAY).key == alerts.of_resting("m at p", 7, 30, DAY).key
    older, newer = ([date(2026, 11, day) for day in range(3, last)] for last in (6, 9))
    assert alerts.of_rollup(older)[0].key == alerts.of_rollup(newer)[0].key


def test_a_jump_of_the_fallback_rate_is_more_than_chance() -> None:
    since = date(2026, 11, 12)
    assert alerts.of_fallbacks((9, 1000), (12, 1000), since, DAY) == []
    assert alerts.of_fallbacks((0, 0), (12, 1000), since, DAY) == []
    assert alerts.of_fallbacks((10, 10_000), (15, 10_000), since, DAY) == []  # certain one day, but hardly anything
    (one,) = alerts.of_fallbacks((90, 10_000), (300, 10_000), since, DAY)
    assert one.sentence == "The fall-back rate rose to 3.0% since 12 Nov, from 0.9% before."


def test_only_a_certain_fall_in_quality_is_drift() -> None:
    lines = [
        Labelled(day, "chat", tier, 500, 500 * quality)
        for tier, before, after in (("SMALL", 0.95, 0.8), ("LARGE", 0.9, 0.97), ("MIDDLE", 0.9, 0.895))
        for day, quality in ((date(2026, 11, 1), before), (DAY, after))
    ]
    (one,) = alerts.of_drift(drift(lines, ("SMALL", "MIDDLE", "LARGE"), DAY), DAY)
    assert (one.subject, one.severity) == ("SMALL", "bad")
    assert "fell by 15.0 points since 18 Nov, to 80.0%" in one.sentence


def test_sums_that_lag_are_said_and_fresh_days_are_not() -> None:
    assert alerts.of_rollup([DAY]) == []
    (one,) = alerts.of_rollup([date(2026, 11, day) for day in (3, 4, 5)])
    assert one.sentence == "3 days wait to be summed, the oldest 3 Nov 2026, so figures lag behind."


def test_the_worst_come_first() -> None:
    def one(kind: str, severity: str, weight: float) -> Alert:
        return Alert(kind, kind, "t", "p", severity, weight, "", "")  # type: ignore[arg-type]

    found = stated(
        [one("rollup", "watch", 0), one("drift", "bad", 0.1), one("budget", "bad", 2), one("resting", "watch", 1)]
    )
    assert [alert.kind for alert in found] == ["budget", "drift", "resting", "rollup"]
