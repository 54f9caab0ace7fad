"""What changed most and why: the waterfall between two windows of spend, and its largest parts in sentences."""

from __future__ import annotations

from typing import Any, Final

import plotly.graph_objects as go
import streamlit as st

from dashboard import charts, data, wording
from dashboard.data import Stamp
from dashboard.filters import View
from router_core.projection.spend_change import Part, SpendChange, spend_change

NAMES: Final[dict[Part, str]] = {
    "volume": "Volume",
    "feature_mix": "Feature mix",
    "tier_mix": "Tier mix",
    "calls": "Calls",
    "tokens": "Tokens",
    "price": "Prices",
    "coverage": "Newly priced",
}
MEANS: Final[dict[Part, str]] = {
    "volume": "the same traffic, more or less of it",
    "feature_mix": "other features asked",
    "tier_mix": "requests went to other tiers",
    "calls": "other models, fail-overs, escalations and cache hits",
    "tokens": "longer or shorter calls",
    "price": "the same tokens at other rates",
    "coverage": "models whose price was unknown in one of the windows",
}
_WORTH_SAYING: Final = 0.02  # of the larger window's spend
_MOST_SAID: Final = 3
_TRUNCATED: Final = 0.6  # lowest level, as a share of the highest, from which the axis does not begin at zero


@st.cache_data(max_entries=24, show_spinner=False)
def between(stamp: Stamp, view: View) -> SpendChange:
    """Return why a view's spend differs from that of as many days before; teams are not kept apart."""
    feature = View(view.since, view.until, feature=view.feature)
    return spend_change(data.calls(stamp, feature.before()), data.calls(stamp, feature), data.prices(stamp))


def waterfall(found: SpendChange, before: str, after: str) -> go.Figure:
    """Draw what two windows cost and the steps between them; ``before`` and ``after`` name them."""
    steps = [(NAMES[part], nusd / wording.NANO) for part, nusd in found.parts.items() if nusd or part != "coverage"]
    start, end = found.before_nusd / wording.NANO, found.after_nusd / wording.NANO
    levels = [start]
    for _, change in steps:
        levels.append(levels[-1] + change)
    low, high = min(levels), max(levels)
    floor = 0.0
    if high > 0 and low > _TRUNCATED * high:
        floor = max(0.0, low - 1.2 * (high - low) - 0.02 * high)
    bars = [
        _bar(before, start - floor, floor, charts.BASELINE, wording.dollars(start), start),
        *(
            _bar(
                name,
                abs(change),
                min(level, level + change),
                charts.BAD if change > 0 else charts.GOOD,
                wording.dollars(change, signed=True) if change else "$0",
                change,
            )
            for (name, change), level in zip(steps, levels, strict=False)
        ),
        _bar(after, end - floor, floor, charts.DRAFT, wording.dollars(end), end),
    ]
    names = [str(bar["y"][0]) for bar in bars]
    return charts.figure(
        bars,
        height=32 * len(bars) + 46,
        barmode="overlay",
        bargap=0.3,
        hovermode="closest",
        showlegend=False,
        margin={**charts.room_for(names), "t": 4, "r": 62},
        xaxis={**charts.dollars(high), "range": [floor, high], "nticks": 5, "showgrid": True},
        yaxis={"showgrid": False, "autorange": "reversed", "ticklabelstandoff": 6},
    )


def begins_at(chart: go.Figure) -> float:
    """Return where a waterfall's axis begins."""
    return float(chart.to_dict()["layout"]["xaxis"]["range"][0])


def said(found: SpendChange) -> list[str]:
    """Say the largest parts of a change, the largest first, with what made each; none where nothing much changed."""
    whole = max(found.before_nusd, found.after_nusd, 1)
    largest = sorted(found.parts, key=lambda part: -abs(found.parts[part]))
    return [
        f"**{NAMES[part]} {wording.usd(found.parts[part], signed=True)}**: {_why(found, part)}"
        for part in largest[:_MOST_SAID]
        if abs(found.parts[part]) >= _WORTH_SAYING * whole
    ]


def _why(found: SpendChange, part: Part) -> str:
    if part == "volume" and found.requests_before:
        share = found.requests_after / found.requests_before - 1
        return (
            f"{wording.share(abs(share))} {'more' if share > 0 else 'fewer'} requests, "
            f"{wording.count(found.requests_after)} after {wording.count(found.requests_before)}."
        )
    by = found.price_by_model if part == "price" else found.by_feature[part]
    way = 1 if found.parts[part] > 0 else -1
    makers = sorted((name for name in by if by[name] * way > 0), key=lambda name: -by[name] * way)
    named = ", ".join(f"{name or 'no feature'} {wording.usd(by[name], signed=True)}" for name in makers[:2])
    return f"{MEANS[part]}; {'mostly ' if len(by) > 1 else ''}{named}." if named else f"{MEANS[part]}."


def _bar(name: str, length: float, base: float, colour: str, text: str, told: float) -> dict[str, Any]:
    return {
        "type": "bar",
        "orientation": "h",
        "y": [name],
        "x": [length],
        "base": [base],
        "marker": {"color": colour, "cornerradius": 2},
        "text": [text],
        "textposition": "outside",
        "textfont": {"size": 11},
        "cliponaxis": False,
        "customdata": [told],
        "hovertemplate": "%{y}: %{customdata:$,.2f}<extra></extra>",
    }
