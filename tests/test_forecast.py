"""Spend foretold to a period's end: days gone count as they were, and the interval holds as often as it says."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path

import apps
import numpy as np
import pytest

from router_core.ledger.queries import spend
from router_core.ledger.store import open_ledger
from router_core.lifecycle.forecast import LEAST_DAYS, Forecast, forecast

MONTH = date(2026, 11, 1), date(2026, 11, 30)
TODAY = date(2026, 11, 18)
demo_source = apps.demo_source


def days(count: int, until: date = TODAY, cost: int = 1_000_000_000) -> dict[date, int]:
    return {until - timedelta(days=back): cost for back in range(1, count + 1)}


def test_what_is_spent_counts_and_the_same_every_day_is_foretold_to_go_on() -> None:
    found = forecast(days(40), *MONTH, TODAY)
    assert (found.spent_nusd, found.days_left, found.learnt_from) == (17_000_000_000, 13, 40)
    assert found.expected_nusd == pytest.approx(30_000_000_000, rel=1e-3)


def test_weekends_that_are_quiet_are_foretold_to_be_quiet() -> None:
    week = {day: 0 if day.weekday() >= 5 else 10**9 for day in days(42)}
    found = forecast(week, TODAY, TODAY + timedelta(days=6), TODAY)
    assert found.expected_nusd == pytest.approx(5 * 10**9, rel=0.05)
    saturday = date(2026, 11, 21)
    quiet = forecast(week, saturday, saturday, TODAY)
    assert quiet.expected_nusd is not None
    assert quiet.expected_nusd < 0.1 * 10**9


def test_a_day_that_already_cost_more_than_usual_is_not_foretold_to_cost_less() -> None:
    found = forecast({**days(40), TODAY: 7 * 10**9}, TODAY, TODAY, TODAY)
    assert found.spent_nusd == 7 * 10**9
    assert found.low_nusd is not None
    assert found.low_nusd >= 7 * 10**9


def test_too_few_days_foretell_nothing() -> None:
    found = forecast(days(LEAST_DAYS - 1), *MONTH, TODAY)
    assert (found.expected_nusd, found.low_nusd, found.high_nusd) == (None, None, None)
    assert found.spent_nusd == 13 * 10**9
    assert forecast({}, *MONTH, TODAY).expected_nusd is None
    assert forecast(days(40, cost=0), *MONTH, TODAY).expected_nusd is None


def test_a_period_that_is_over_is_what_it_cost() -> None:
    over = forecast(days(60), date(2026, 10, 1), date(2026, 10, 31), TODAY)
    assert over == Forecast(date(2026, 10, 1), date(2026, 10, 31), 31 * 10**9, 0, 60, *[31 * 10**9] * 3)


def test_the_same_days_foretell_the_same() -> None:
    random = np.random.default_rng(1)
    spent = {day: int(cost) for day, cost in zip(days(50), random.gamma(9, 1e8, 50), strict=True)}
    assert forecast(spent, *MONTH, TODAY) == forecast(spent, *MONTH, TODAY)


def test_a_level_that_moved_is_followed() -> None:
    spent = {day: 10**9 * (3 if day > TODAY - timedelta(days=15) else 1) for day in days(56)}
    found = forecast(spent, TODAY, TODAY + timedelta(days=9), TODAY)
    assert found.expected_nusd == pytest.approx(30 * 10**9, rel=0.1)


@pytest.fixture(scope="module")
def demo_days(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[date, int]]:
    """Two months of demo spend by feature and in all, whole days only."""
    from router_core.demo import fill
    from router_core.ledger.rollup import refresh

    path: Path = tmp_path_factory.mktemp("forecast") / "ledger.db"
    found: dict[str, dict[date, int]] = defaultdict(dict)
    with open_ledger(path) as ledger:
        fill(ledger, decisions=20_000, days=64, seed=11, now_ms=apps.NOW_MS)
        refresh(ledger)
        for line in spend(ledger, ("day", "feature")):
            day, feature = line.keys
            assert isinstance(day, date)
            found[str(feature)][day] = line.list_cost_nusd
            found["all"][day] = found["all"].get(day, 0) + line.list_cost_nusd
    whole = sorted(found["all"])[1:-1]
    return {name: {day: by_day.get(day, 0) for day in whole} for name, by_day in found.items()}


def test_intervals_hold_on_demo_days_and_beat_carrying_the_run_rate_on(demo_days: dict[str, dict[date, int]]) -> None:
    held, ours, naive, widths = [], [], [], []
    for name, by_day in demo_days.items():
        last = max(by_day)
        for back in range(10, 40, 3):
            today = last - timedelta(days=back)
            for ahead in (5, 10, 20):
                until = today + timedelta(days=ahead - 1)
                if until > last:
                    continue
                known = {day: cost for day, cost in by_day.items() if day < today}
                truth = sum(by_day[today + timedelta(days=place)] for place in range(ahead))
                found = forecast(known, today, until, today)
                assert found.expected_nusd is not None
                assert found.low_nusd is not None
                assert found.high_nusd is not None
                held.append(found.low_nusd <= truth <= found.high_nusd)
                ours.append(abs(found.expected_nusd / truth - 1))
                recent = [known[today - timedelta(days=place)] for place in range(1, 11)]
                naive.append(abs(sum(recent) / 10 * ahead / truth - 1))
                if name == "all":
                    widths.append((found.high_nusd - found.low_nusd) / truth)
    assert np.mean(held) >= 0.93
    assert np.mean(ours) < 0.8 * np.mean(naive)
    assert np.median(widths) < 0.6
