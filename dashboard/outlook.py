"""Where spend is heading: what the month under way comes to, read from days and drawn beside the month before."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final

import plotly.graph_objects as go
import streamlit as st

from dashboard import charts, data, wording
from dashboard.data import Stamp
from dashboard.filters import View
from router_core.ledger.queries import Window
from router_core.lifecycle.attention import first_open_day, whole_days
from router_core.lifecycle.forecast import LEAST_DAYS, MOST_DAYS, Forecast, forecast

NANO: Final = wording.NANO
_BAND: Final = "33"
_LOOK_BACK: Final = timedelta(days=MOST_DAYS)


def today(window: Window) -> date:
    """Return the first day that is not over: today, or the day after a ledger's last where nothing came since."""
    return first_open_day(window, datetime.now(data.zone_of(window)).date())


@st.cache_data(max_entries=60, show_spinner=False)
def ahead(stamp: Stamp, since: date, until: date, now: date, team: str = "", feature: str = "") -> Forecast:
    """Return what a period comes to, for all traffic or a team's or feature's."""
    return forecast(by_day(stamp, since, now, team, feature), since, until, now)


def by_day(stamp: Stamp, since: date, now: date, team: str = "", feature: str = "") -> Mapping[date, int]:
    """Return the nano-dollars of each day that a forecast needs, as ``attention.whole_days`` does."""
    window = data.window(stamp)
    assert window.first_day is not None
    view = View(min(since, now - _LOOK_BACK), now, team, feature)
    lines = data.spend(stamp, view, ("day",))
    found = dict(zip(lines["day"], lines["list_cost_nusd"].astype(int), strict=True))
    return whole_days(found, window.first_day, since, now)


def month_of(window: Window) -> tuple[date, date]:
    """Return the first and last day of the month the ledger's newest traffic is in."""
    assert window.last_day is not None
    first = window.last_day.replace(day=1)
    return first, (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)


def told(found: Forecast) -> tuple[str, str]:
    """Return the headline of a forecast, and what it rests on."""
    name = f"{found.since:%B}"
    if not found.days_left:
        return f"**{wording.usd(found.expected_nusd)}** in {name}", "the month is over"
    end = f"{found.until.day} {found.until:%b}"
    if found.expected_nusd is None:
        return (
            f"**{wording.usd(found.spent_nusd)}** spent in {name} so far",
            f"A forecast needs {LEAST_DAYS} whole days with traffic; there are {found.learnt_from}.",
        )
    between = f"{wording.usd(found.low_nusd)} to {wording.usd(found.high_nusd)}"
    return (
        f"**{wording.usd(found.expected_nusd)}** by {end} ({between}, 95%) · {wording.usd(found.spent_nusd)} spent",
        f"From the weekdays, level and noise of the last {wording.plural(found.learnt_from, 'day')}. It "
        "knows no holidays, growth or changes to come.",
    )


def month(found: Forecast, spent: Mapping[date, int], *, budget_usd: float | None = None) -> go.Figure:
    """Draw a month's spend adding up: as it was, as it is foretold with its interval, and as the month before did."""
    traces: list[dict[str, Any]] = []
    earlier = _month_before(found, spent)
    if earlier:
        traces.append(_line([*earlier], [*earlier.values()], f"{found.since - timedelta(days=1):%B}", charts.BASELINE))
        traces[-1]["line"] |= {"width": 1.5}
    days = [day for day in sorted(spent) if found.since <= day <= found.until]
    sums, total = [], 0.0
    for day in days:
        total += spent[day] / NANO
        sums.append(total)
    if found.path:
        # From the last whole day on, so that the two lines meet.
        whole = [place for place, day in enumerate(days) if day < found.path[0][0]]
        met = sums[whole[-1]] if whole else 0.0
        first = [(days[whole[-1]], met, met, met)] if whole else []
        path = [*first, *((day, mean / NANO, low / NANO, high / NANO) for day, mean, low, high in found.path)]
        x = [day for day, _, _, _ in path]
        traces.append(
            {
                "type": "scatter",
                "x": [*x, *x[::-1]],
                "y": [*(high for *_, high in path), *(low for _, _, low, _ in path[::-1])],
                "mode": "lines",
                "fill": "toself",
                "fillcolor": charts.DRAFT + _BAND,
                "line": {"width": 0},
                "hoverinfo": "skip",
                "showlegend": False,
            }
        )
        ahead = _line(x, [expected for _, expected, _, _ in path], "foretold", charts.DRAFT)
        ahead["line"] |= {"dash": "dot"}
        ahead["customdata"] = [[low, high] for _, _, low, high in path]
        ahead["hovertemplate"] = "%{y:$,.2f} (%{customdata[0]:$,.2f} to %{customdata[1]:$,.2f})"
        traces.append(ahead)
        days, sums = days[: len(whole)], sums[: len(whole)]
    traces.append(_line(days, sums, f"{found.since:%B}", charts.DRAFT))
    highest = max([0.0, *sums, *(high / NANO for *_, high in found.path), budget_usd or 0.0, *earlier.values()])
    shapes, notes = ([], []) if budget_usd is None else ([_budget(budget_usd)], [_named(budget_usd)])
    return charts.figure(
        traces,
        height=charts.HEIGHT - 38,
        hovermode="x unified",
        shapes=shapes,
        annotations=notes,
        xaxis={"tickformat": "%-d %b", "hoverformat": "%a %-d %b", "nticks": 6, "range": [found.since, found.until]},
        yaxis={**charts.dollars(highest), "rangemode": "tozero", "nticks": 5},
    )


def _month_before(found: Forecast, spent: Mapping[date, int]) -> dict[date, float]:
    """Return the sums of the month before, day for day beside this one's; nothing where it is not all known."""
    last = found.since - timedelta(days=1)
    first = last.replace(day=1)
    if not spent or min(spent) > first:
        return {}
    sums, total = {}, 0.0
    for place in range(min((last - first).days, (found.until - found.since).days) + 1):
        total += spent.get(first + timedelta(days=place), 0) / NANO
        sums[found.since + timedelta(days=place)] = total
    return sums


def _line(x: list[date], y: list[float], name: str, colour: str) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": x,
        "y": y,
        "name": name,
        "mode": "lines" if len(x) > 1 else "markers",
        "line": {"color": colour, "width": 2.5},
        "marker": {"color": colour, "size": 8},
        "hovertemplate": "%{y:$,.2f}",
    }


def _budget(usd: float) -> dict[str, Any]:
    line = {"color": charts.BASELINE, "width": 1, "dash": "dash"}
    return {"type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": usd, "y1": usd, "line": line}


def _named(usd: float) -> dict[str, Any]:
    place = {"xref": "paper", "x": 0, "xanchor": "left", "y": usd, "yanchor": "bottom", "showarrow": False}
    return {**place, "text": f"budget {wording.dollars(usd)}", "font": {"size": 11}}
