"""What wants attention in a ledger now: every alert there is, gathered from its sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Final

from router_core.config import RoutingConfig
from router_core.ledger.days import date_of
from router_core.ledger.endpoints import resting
from router_core.ledger.health import freshness
from router_core.ledger.queries import SpendLine, Window, spend, window
from router_core.ledger.store import Ledger
from router_core.lifecycle import alerts
from router_core.lifecycle.alerts import Alert
from router_core.lifecycle.feedback import Labelled, drift
from router_core.lifecycle.forecast import MOST_DAYS, forecast

RECENT_DAYS: Final = 7  # that rates are compared of with those before
USUAL_DAYS: Final = 30  # that rates are looked at over
_MILLION: Final = 1_000_000


def gathered(ledger: Ledger, config: RoutingConfig, now_ms: int) -> list[Alert]:
    """Return all that wants attention, the worst first; ``now_ms`` is UTC epoch milliseconds.

    Rates are of the last ``USUAL_DAYS`` that have sums. Raises ``LedgerError`` where the ledger cannot be read.
    """
    found = window(ledger)
    if found.last_day is None:
        return alerts.stated(of_now(ledger, config, now_ms))
    since = found.last_day - timedelta(days=USUAL_DAYS - 1)
    today = first_open_day(found, date_of(ledger.days.of(now_ms)[0]))
    in_sums = of_sums(ledger, config, found, since, found.last_day, today)
    return alerts.stated([*in_sums, *of_now(ledger, config, now_ms)])


def of_sums(ledger: Ledger, config: RoutingConfig, known: Window, since: date, until: date, today: date) -> list[Alert]:
    """Judge budgets as of ``today``, and prices, fall-backs and quality from ``since`` to ``until``, all traffic."""
    assert known.first_day is not None
    found: list[Alert] = []
    for budget in config.budgets:
        period = alerts.period_of(budget, today, ledger.zone)
        kind, _, name = budget.scope.partition(":")
        where = {} if kind == "all" else {kind: (name,)}
        first = min(period.since, today - timedelta(days=MOST_DAYS))
        lines = spend(ledger, ("day",), first, today, where)
        by_day = {day: line.list_cost_nusd for line in lines if isinstance(day := line.keys[0], date)}
        whole = whole_days(by_day, known.first_day, period.since, today)
        found += alerts.of_budget(budget, period, forecast(whole, period.since, period.until, today))
    by_model = spend(ledger, ("model",), since, until)
    unknown = {str(line.keys[0]): line.unpriced_attempts for line in by_model if line.unpriced_attempts}
    calls = sum(line.priced_attempts + line.unpriced_attempts for line in by_model)
    found += alerts.of_coverage(unknown, calls)
    if (until - since).days + 1 >= 2 * RECENT_DAYS:
        recent = until - timedelta(days=RECENT_DAYS - 1)
        lines = spend(ledger, ("day", "tier"), since, until)
        before, after = ([line for line in lines if (_day(line) >= recent) == late] for late in (False, True))
        found += alerts.of_fallbacks(_rate(before), _rate(after), recent, until)
        labelled = [
            Labelled(_day(line), "", str(line.keys[1]), line.labelled, line.quality_ppm_sum / _MILLION)
            for line in lines
            if line.labelled
        ]
        found += alerts.of_drift(drift(labelled, config.tier_names, recent), until)
    return found


def of_now(ledger: Ledger, config: RoutingConfig, now_ms: int) -> list[Alert]:
    """Judge what changes from one second to the next: endpoints that are left alone, and sums that lag behind."""
    ill = resting(ledger, now_ms, config.cooldown_time)
    found = [
        alerts.of_resting(
            f"{one.model} at {one.provider_name}",
            one.failures,
            config.cooldown_time,
            date_of(ledger.days.of(one.failed_at_ms)[0]),
        )
        for one in ill
    ]
    return [*found, *alerts.of_rollup(freshness(ledger).dirty)]


def first_open_day(known: Window, today: date) -> date:
    """Return the first day that is not over: today, or the day after a ledger's last where nothing came since."""
    assert known.last_day is not None
    return today if today - known.last_day <= timedelta(days=1) else known.last_day + timedelta(days=1)


def whole_days(by_day: Mapping[date, int], first_day: date, since: date, now: date) -> dict[date, int]:
    """Return the nano-dollars of each day that a forecast needs; a day without traffic after the first costs nothing.

    The ledger's first day is left out where it began part way through a period: it was hardly whole.
    """
    start = first_day + timedelta(days=1)
    found = dict(by_day) | ({start: by_day.get(start, 0)} if start < now else {})
    return {day: nusd for day, nusd in found.items() if day >= min(start, now) or day >= since}


def _day(line: SpendLine) -> date:
    day = line.keys[0]
    assert isinstance(day, date)
    return day


def _rate(lines: Sequence[SpendLine]) -> tuple[int, int]:
    return sum(line.failovers for line in lines), sum(line.decisions for line in lines)
