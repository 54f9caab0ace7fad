"""Figures of quality: pure functions from small frames, with the colours and manners of ``charts``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go
from streamlit.elements.lib import streamlit_plotly_theme as theme

from dashboard import charts, wording

# The more a source counts, the stronger its colour: checks, feedback, judge, people.
SOURCES: Final = {
    "check": theme.SEQUENTIAL_2,
    "feedback": theme.SEQUENTIAL_4,
    "judge": theme.SEQUENTIAL_6,
    "person": theme.SEQUENTIAL_8,
}
SAID_BY: Final = {"check": "checks", "feedback": "user feedback", "judge": "judge model", "person": "people"}
_BAND: Final = "40"


def tier_quality(
    frame: pd.DataFrame,
    colour: str,
    *,
    within: tuple[float, float],
    marks: Sequence[float] = (),
    drift_since: date | None = None,
) -> go.Figure:
    """One tier's quality over time with its interval as a band.

    ``frame`` has ``day``, ``labels``, ``quality``, ``low`` and ``high``; ``within`` is the range of the axis, the same
    for all tiers; ``marks`` are drawn as dotted lines, and a drift as a shaded week.
    """
    rows = frame.tail(charts.MOST_POINTS)
    days = rows["day"].tolist()
    band = {
        "type": "scatter",
        "x": [*days, *days[::-1]],
        "y": [*rows["high"], *rows["low"][::-1]],
        "fill": "toself",
        "fillcolor": colour + _BAND,
        "line": {"width": 0},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    line = {
        "type": "scatter",
        "x": days,
        "y": rows["quality"].tolist(),
        "mode": "lines" if len(rows) > 1 else "markers",
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "size": 8},
        "customdata": rows[["low", "high", "labels"]].to_numpy().tolist(),
        "hovertemplate": "%{y:.1%} (%{customdata[0]:.1%} to %{customdata[1]:.1%}), %{customdata[2]:,} judged"
        "<extra></extra>",
        "showlegend": False,
    }
    shapes: list[dict[str, Any]] = [
        {
            "type": "line",
            "xref": "paper",
            "x0": 0,
            "x1": 1,
            "y0": mark,
            "y1": mark,
            "opacity": 0.8,
            "line": {"color": charts.BASELINE, "width": 1, "dash": "dot"},
        }
        for mark in marks
        if within[0] < mark < within[1]
    ]
    if drift_since is not None and days:
        ends = {"x0": drift_since, "x1": days[-1], "y0": 0, "y1": 1}
        look = {"fillcolor": theme.DECREASING, "opacity": 0.09, "line": {"width": 0}}
        shapes.append({"type": "rect", "yref": "paper", **ends, **look})
    return charts.figure(
        [band, line],
        height=170,
        margin={"t": 6},
        hovermode="x unified",
        shapes=shapes,
        xaxis={"tickformat": "%-d %b", "hoverformat": "%a %-d %b %Y", "nticks": 4},
        yaxis={"range": list(within), "tickformat": ".0%", "nticks": 5},
    )


def coverage(frame: pd.DataFrame) -> go.Figure:
    """Share of requests judged, stacked by who judged; ``frame`` has ``day``, ``source`` and ``share``."""
    traces = []
    for source, colour in SOURCES.items():
        rows = frame[frame["source"] == source].sort_values("day").tail(charts.MOST_POINTS)
        if rows.empty:
            continue
        traces.append(
            {
                "type": "bar",
                "x": rows["day"].tolist(),
                "y": rows["share"].tolist(),
                "name": SAID_BY[source],
                "marker": {"color": colour},
                "hovertemplate": "%{y:.1%}",
            }
        )
    return charts.figure(
        traces,
        height=charts.HEIGHT,
        barmode="stack",
        bargap=0.22,
        hovermode="x unified",
        xaxis={"tickformat": "%-d %b", "hoverformat": "%a %-d %b %Y", "nticks": 8},
        yaxis={"tickformat": ".0%", "rangemode": "tozero", "nticks": 5},
    )


def needed(table: pd.DataFrame) -> go.Figure:
    """Assigned tiers against those people say were needed, as shares of each assigned tier.

    ``table`` has a row for each assigned tier and a column for each needed one, cheapest first, with counts.
    """
    table = table.iloc[::-1]  # axes count from below
    totals = table.sum(axis=1)
    shares = table.div(totals.where(totals > 0), axis=0)
    written = [
        [
            f"<b>{wording.share(share, digits=0)}</b><br>{count:,}" if pd.notna(share) else ""
            for share, count in zip(row, counts, strict=True)
        ]
        for row, counts in zip(shares.to_numpy(), table.to_numpy(), strict=True)
    ]
    cells = {
        "type": "heatmap",
        "x": list(table.columns),
        "y": list(table.index),
        "z": shares.fillna(0).to_numpy().tolist(),
        "zmin": 0,
        "zmax": 1,
        "text": written,
        "texttemplate": "%{text}",
        "textfont": {"size": 11},
        "colorscale": [[0, theme.SEQUENTIAL_0], [1, theme.SEQUENTIAL_5]],
        "opacity": 0.75,
        "showscale": False,
        "xgap": 3,
        "ygap": 3,
        "hovertemplate": "assigned %{y}: %{z:.1%} needed %{x}<extra></extra>",
    }
    right = [
        {
            "type": "rect",
            "x0": place - 0.485,
            "x1": place + 0.485,
            "y0": len(table) - 1 - place - 0.475,
            "y1": len(table) - 1 - place + 0.475,
            "line": {"color": charts.DRAFT, "width": 2},
        }
        for place in range(len(table))
    ]
    return charts.figure(
        [cells],
        height=charts.HEIGHT - 40,
        margin={**charts.room_for(table.index), "t": 6},
        hovermode="closest",
        shapes=right,
        xaxis={"ticklabelstandoff": 4},
        yaxis={"showgrid": False, "ticklabelstandoff": 6},
    )
