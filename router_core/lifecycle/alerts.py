"""Alerts: what wants attention now, each stated once for its threshold and period, the worst first."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from router_core.config import Budget
from router_core.ledger.budgets import period_start
from router_core.lifecycle.feedback import Drift, Mean, mean
from router_core.lifecycle.forecast import Forecast

Kind = Literal["budget", "forecast", "coverage", "fallbacks", "drift", "resting", "rollup"]
Severity = Literal["bad", "watch"]

NEAR: Final = 0.8  # of a budget, where it names no soft limit of its own
_NANO: Final = 1_000_000_000
_MUCH_UNPRICED: Final = 0.05
_JUMP: Final = 1.5  # times the rate before
_LEAST_JUMP: Final = 0.005  # and so many more of all requests
_DAYS: Final = {"1d": 1, "7d": 7, "30d": 30}


@dataclass(frozen=True)
class Alert:
    """One thing that wants attention, in a sentence.

    ``subject`` is what it is about, ``threshold`` what was crossed, and ``period`` when that starts to count anew;
    together with ``kind`` they say whether two alerts are one. ``weight`` orders those of one severity, and of one
    subject and period tells which threshold is the highest; ``page`` is the dashboard page that shows more.
    """

    kind: Kind
    subject: str
    threshold: str
    period: str
    severity: Severity
    weight: float
    sentence: str
    page: str

    @property
    def key(self) -> str:
        """What it is known by: the same alert, stated again, has the same key, until its cause is another."""
        return "/".join((self.kind, self.subject, self.threshold, self.period))

    @property
    def id(self) -> str:
        """A short name for its key, for people to type."""
        return _digest(self.key)


def stated(alerts: Iterable[Alert]) -> list[Alert]:
    """Return the alerts to show, the worst first: of each subject and period the highest threshold alone.

    What a budget has spent and is foretold to spend are thresholds of one thing: spent, foretold, near.
    """
    highest: dict[tuple[str, str, str], Alert] = {}
    for alert in alerts:
        place = ("budget" if alert.kind == "forecast" else alert.kind, alert.subject, alert.period)
        other = highest.get(place)
        if other is None or (alert.severity, -alert.weight) < (other.severity, -other.weight):
            highest[place] = alert
    return sorted(highest.values(), key=lambda one: (one.severity, -one.weight, one.key))


@dataclass(frozen=True)
class Period:
    """The days of a budget's period, both ends included, and the name under which the ledger keeps it."""

    name: str
    since: date
    until: date


def period_of(budget: Budget, day: date, zone: ZoneInfo) -> Period:
    """Return the period of a budget that a day falls in."""
    noon = datetime.combine(day, time(12), zone)
    name = period_start(budget, round(noon.timestamp() * 1000), zone)
    since = date.fromisoformat(name.partition("/")[0])
    if budget.budget_duration == "month":
        after = (since.replace(day=1) + timedelta(days=32)).replace(day=1)
    else:
        after = since + timedelta(days=_DAYS[budget.budget_duration])
    return Period(name, since, after - timedelta(days=1))


def of_budget(budget: Budget, period: Period, ahead: Forecast) -> list[Alert]:
    """Judge one budget by what its period has cost and is foretold to cost."""
    spent = ahead.spent_nusd / _NANO
    used = spent / budget.max_budget
    soft = budget.max_budget * NEAR if budget.soft_budget is None else budget.soft_budget
    about = (_scope(budget), f"{period.since:%-d %b} to {period.until:%-d %b}")
    found = []
    if spent >= budget.max_budget:
        what = {"alert": "it only alerts", "downgrade": "requests go one tier down", "block": "requests are refused"}
        found.append(
            _of(
                budget,
                period,
                "budget",
                "spent",
                "bad",
                4 + used,
                f"The budget of {_usd(budget.max_budget)} for {about[0]} is spent: {_usd(spent)}, {used:.0%}, "
                f"from {about[1]}; {what[budget.mode]}.",
            )
        )
    elif spent >= soft:
        found.append(
            _of(
                budget,
                period,
                "budget",
                f"{soft:g}",
                "watch",
                1 + used,
                f"{used:.0%} of the budget of {_usd(budget.max_budget)} for {about[0]} is spent, {_usd(spent)}, "
                f"with {ahead.days_left} of its days left ({about[1]}).",
            )
        )
    if ahead.expected_nusd is not None and ahead.low_nusd is not None and ahead.high_nusd is not None:
        expected, low, high = (end / _NANO for end in (ahead.expected_nusd, ahead.low_nusd, ahead.high_nusd))
        if ahead.days_left and expected > budget.max_budget:
            sure = low > budget.max_budget
            found.append(
                _of(
                    budget,
                    period,
                    "forecast",
                    "foretold" if sure else "may be foretold",
                    "bad" if sure else "watch",
                    3 - budget.max_budget / expected,  # below what is spent, above what is near
                    f"{about[0].capitalize()} {'will' if sure else 'may'} pass the budget of "
                    f"{_usd(budget.max_budget)}: {_usd(expected)} is foretold by {period.until:%-d %b} "
                    f"({_usd(low)} to {_usd(high)}), {_usd(spent)} is spent.",
                )
            )
    return found


def of_coverage(unpriced: Mapping[str, int], calls: int) -> list[Alert]:
    """Judge calls that used tokens and have no price: ``unpriced`` calls by model, of ``calls`` in all.

    It counts anew with another model that has no price.
    """
    missing = sum(unpriced.values())
    if not missing or not calls:
        return []
    share = missing / calls
    much = share >= _MUCH_UNPRICED
    first = sorted(unpriced, key=lambda model: -unpriced[model])
    named = ", ".join(first[:3]) + (f" and {len(first) - 3} more" if len(first) > 3 else "")
    sentence = (
        f"{_share(share)} of calls have no known price ({named}), so every dollar figure here is too low by their cost."
    )
    return [
        Alert(
            "coverage",
            "prices",
            f"{_MUCH_UNPRICED:.0%}" if much else "any",
            _digest("\n".join(sorted(unpriced))),
            "bad" if much else "watch",
            share,
            sentence,
            "prices",
        )
    ]


def of_fallbacks(before: tuple[int, int], after: tuple[int, int], since: date, until: date) -> list[Alert]:
    """Judge the fall-back rate since a day against before, each as (fall-backs, requests).

    A jump is half as many again and half a point more, at the least, and more than chance: the intervals do not meet.
    """
    was, now = (mean(requests, float(fallbacks)) for fallbacks, requests in (before, after))
    if was is None or now is None:
        return []
    if now.low <= was.high or now.value < was.value * _JUMP or now.value - was.value < _LEAST_JUMP:
        return []
    return [
        Alert(
            "fallbacks",
            "fallbacks",
            f"{_JUMP:g}x",
            _week(until),
            "bad" if now.value >= 0.05 else "watch",
            now.value,
            f"The fall-back rate rose to {_share(now.value)} since {since:%-d %b}, from {_share(was.value)} before.",
            "tiers",
        )
    ]


def of_drift(drifts: Sequence[Drift], until: date) -> list[Alert]:
    """Judge tiers whose quality fell by more than chance."""
    return [
        Alert(
            "drift",
            one.tier,
            "certain",
            _week(until),
            "bad" if one.high <= -0.02 else "watch",
            -one.change,
            f"Quality of {one.tier} fell by {-one.change * 100:.1f} points since {one.since:%-d %b}, to "
            f"{_interval(one.after)}, which is more than chance.",
            "quality",
        )
        for one in drifts
        if one.certain and one.change < 0
    ]


def of_resting(endpoint: str, failures: int, cooldown_s: float, day: date) -> Alert:
    """State that an endpoint failed and is left alone for a while: once a day, however often it is tried again."""
    times = "its last call" if failures == 1 else f"its last {failures} calls"
    return Alert(
        "resting",
        endpoint,
        "resting",
        day.isoformat(),
        "watch",
        min(failures / 100, 1.0),
        f"{endpoint} is left alone for {cooldown_s:g} s: {times} failed, and others answer in its place.",
        "health",
    )


def of_rollup(waiting: Sequence[date]) -> list[Alert]:
    """Judge days whose sums are behind their rows; the newest two are summed within seconds of a visit."""
    if len(waiting) <= 2:
        return []
    return [
        Alert(
            "rollup",
            "sums",
            "days",
            min(waiting).isoformat(),
            "watch",
            0.0,
            f"{len(waiting)} days wait to be summed, the oldest {min(waiting):%-d %b %Y}, so figures lag behind.",
            "health",
        )
    ]


def _of(
    budget: Budget, period: Period, kind: Kind, threshold: str, severity: Severity, weight: float, sentence: str
) -> Alert:
    named = f"{budget.max_budget:g} {threshold}"
    return Alert(kind, budget.scope, named, period.name, severity, weight, sentence, "tiers")


def _week(day: date) -> str:
    """Return the week of a day, in which a change of rates is stated once."""
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _scope(budget: Budget) -> str:
    kind, _, name = budget.scope.partition(":")
    return "all traffic" if kind == "all" else f"{kind} {name}"


def _usd(amount: float) -> str:
    return f"${amount:,.0f}" if amount >= 1000 else f"${amount:,.2f}"


def _share(value: float) -> str:
    return f"{value:.1%}" if value >= 0.001 else f"{value:.2%}"


def _interval(found: Mean) -> str:
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
