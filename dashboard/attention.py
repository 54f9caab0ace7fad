"""What wants attention now: every alert of the ledger, gathered, and shown as one list with a way to its page."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final
from urllib.parse import parse_qsl

import pandas as pd
import streamlit as st

from dashboard import condition, data, judgements, outlook, ui, wording
from dashboard.data import Stamp
from dashboard.filters import View
from router_core.lifecycle import alerts
from router_core.lifecycle.alerts import Alert

SHOWN: Final = 4
PAGES: Final = {
    "tiers": ("Tiers", ":material/alt_route:"),
    "quality": ("Quality", ":material/verified:"),
    "prices": ("Prices", ":material/sell:"),
    "health": ("Health", ":material/monitor_heart:"),
}
_MARKS: Final = {"bad": ":red[:material/error:]", "watch": ":orange[:material/warning:]"}


def found(stamp: Stamp, view: View) -> list[Alert]:
    """Return all that wants attention, the worst first; ``view`` is where rates are looked at, for all traffic."""
    config = data.live(stamp).config
    now = outlook.today(data.window(stamp))
    every = View(view.since, view.until)
    lines = data.spend(stamp, every, ("day", "tier"))
    gathered: list[Alert] = []
    for budget in config.budgets:
        period = alerts.period_of(budget, now, data.zone(stamp))
        kind, _, name = budget.scope.partition(":")
        team, feature = (name if kind == which else "" for which in ("team", "feature"))
        ahead = outlook.ahead(stamp, period.since, period.until, now, team, feature)
        gathered += alerts.of_budget(budget, period, ahead)
    by_model = data.spend(stamp, every, ("model",))
    unpriced = by_model[by_model["unpriced_attempts"] > 0]
    calls = int((by_model["priced_attempts"] + by_model["unpriced_attempts"]).sum())
    unknown = dict(zip(unpriced["model"], unpriced["unpriced_attempts"].astype(int), strict=True))
    gathered += alerts.of_coverage(unknown, calls, view.until.isoformat())
    gathered += _fallbacks(lines, every)
    gathered += alerts.of_drift(judgements.drifted(lines, config.tier_names, every), view.until)
    for one in condition.resting_now(stamp.url, config.cooldown_time):
        endpoint = f"{one.model} at {one.provider_name}"
        gathered.append(alerts.of_resting(endpoint, one.failures, config.cooldown_time, str(one.failed_at_ms)))
    gathered += alerts.of_rollup(condition.lag(stamp.url).dirty)
    return alerts.stated(gathered)


def _fallbacks(lines: pd.DataFrame, view: View) -> list[Alert]:
    if view.days < 2 * judgements.RECENT_DAYS:
        return []
    since = view.until - timedelta(days=judgements.RECENT_DAYS - 1)
    return alerts.of_fallbacks(_rate(lines, None, since), _rate(lines, since, None), since, view.until)


def _rate(lines: pd.DataFrame, since: date | None, before: date | None) -> tuple[int, int]:
    rows = lines[lines["day"] >= since] if since is not None else lines[lines["day"] < before]
    return int(rows["failovers"].sum()), int(rows["decisions"].sum())


def show(listed: list[Alert]) -> None:
    """Show alerts as one list, or say that there are none."""
    if not listed:
        st.caption(
            ":material/check: Nothing needs attention: budgets, forecast, prices, fall-backs, quality, endpoints and "
            "sums were looked at."
        )
        return
    with ui.card("Needs attention", "each stated once for its threshold and period", key="attention", tall=False):
        for alert in listed[:SHOWN]:
            _line(alert)
        if len(listed) > SHOWN:
            with st.expander(f"{wording.plural(len(listed) - SHOWN, 'more', 'more')}"):
                for alert in listed[SHOWN:]:
                    _line(alert)


def _line(alert: Alert) -> None:
    page, _, query = alert.page.partition("?")
    label, icon = PAGES[page]
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown(f"{_MARKS[alert.severity]} {alert.sentence}".replace("$", "\\$"), width="stretch")
        st.page_link(
            f"app_pages/{page}.py", label=label, icon=icon, query_params=dict(parse_qsl(query)) or None, width="content"
        )
