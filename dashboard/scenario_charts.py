"""The figure of scenarios: what each would cost and how good it would be, side by side, one a row, today first."""

from __future__ import annotations

import math
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from dashboard import charts, wording

_TODAY: Final = "today"
_SPLIT: Final = (0.57, 0.64)  # where cost ends and quality begins, of the figure's width
_LONGEST: Final = 24


def side_by_side(frame: pd.DataFrame) -> go.Figure:
    """Cost as bars at the left, quality as points at the right, each with its interval; a dotted line is today.

    ``frame`` has ``name``, ``usd``, ``low``, ``high``, ``quality``, ``quality_low`` and ``quality_high``, today first;
    where only the range of a quality is known, only that is drawn.
    """
    rows = frame.iloc[::-1].reset_index(drop=True)
    names = [_short(name) for name in rows["name"]]
    places = list(range(len(rows)))
    colours = [charts.LIVE if name == _TODAY else charts.DRAFT for name in rows["name"]]
    at = rows["quality"].fillna((rows["quality_low"] + rows["quality_high"]) / 2)
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": places,
        "x": rows["usd"].tolist(),
        "marker": {"color": colours, "opacity": 0.6, "cornerradius": 2},
        "hovertemplate": [
            f"{name}: {wording.dollars(value)}<extra></extra>"
            for name, value in zip(rows["name"], rows["usd"], strict=True)
        ],
        "showlegend": False,
    }
    dots = {
        "type": "scatter",
        "xaxis": "x2",
        "y": places,
        "x": [None if pd.isna(value) else float(value) for value in at],
        "mode": "markers",
        "marker": {
            "size": 11,
            "symbol": ["circle" if name == _TODAY else "diamond" for name in rows["name"]],
            "color": colours,
            "opacity": [0 if pd.isna(value) else 1 for value in rows["quality"]],
        },
        "cliponaxis": False,
        "hovertemplate": [f"{row['name']}: {_told(row)}<extra></extra>" for row in rows.to_dict("records")],
        "showlegend": False,
    }
    shapes = [
        {
            "type": "line",
            "xref": axis,
            "yref": "paper",
            "y0": 0,
            "y1": 1,
            "x0": float(value),
            "x1": float(value),
            "line": {"color": charts.LIVE, "width": 1, "dash": "dot"},
        }
        for axis, column in (("x", "usd"), ("x2", "quality"))
        for value in rows.loc[rows["name"] == _TODAY, column].dropna()
    ]
    largest = float(rows[["usd", "high"]].max().max()) if len(rows) else 0.0
    return charts.figure(
        [
            bars,
            dots,
            _whiskers(rows["usd"], rows["low"], rows["high"], "x"),
            _whiskers(at, rows["quality_low"], rows["quality_high"], "x2"),
        ],
        height=36 * len(rows) + 58,
        margin={**charts.room_for(names), "t": 26, "r": 16},
        bargap=0.45,
        hovermode="closest",
        shapes=shapes,
        xaxis={"domain": [0, _SPLIT[0]], "showgrid": True, "tickangle": 0, **_cost_axis(largest)},
        xaxis2={
            "domain": [_SPLIT[1], 1],
            "anchor": "y",
            "zeroline": False,
            "fixedrange": True,
            "automargin": False,
            "ticks": "",
            "showgrid": True,
            **_quality_axis(pd.concat([at, rows["quality_low"], rows["quality_high"]]).dropna()),
        },
        yaxis={
            "tickvals": places,
            "ticktext": names,
            "range": [-0.6, len(rows) - 0.4],
            "showgrid": False,
            "ticklabelstandoff": 6,
        },
        annotations=[
            {
                "text": text,
                "xref": "paper",
                "yref": "paper",
                "x": x,
                "y": 1,
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 11},
            }
            for text, x in (("Cost", 0), ("Quality", _SPLIT[1]))
        ],
    )


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _told(row: dict[Any, Any]) -> str:
    if pd.notna(row["quality"]):
        return wording.share(row["quality"])
    return f"{wording.share(row['quality_low'])} to {wording.share(row['quality_high'])}"


def _cost_axis(largest: float) -> dict[str, Any]:
    marks = _marks(0.0, largest * 1.05)
    texts = [wording.dollars(mark).removesuffix(".00") for mark in marks]
    return {"range": [0, max(largest * 1.05, 1e-9)], "tickvals": marks, "ticktext": texts}


def _quality_axis(ends: pd.Series) -> dict[str, Any]:
    low, high = (float(ends.min()), float(ends.max())) if len(ends) else (0.0, 1.0)
    room = max((high - low) * 0.15, 0.006)
    least, most = max(low - room, 0.0), min(high + room, 1.03)
    marks = _marks(least, most)
    whole = all(abs(100 * mark - round(100 * mark)) < 1e-6 for mark in marks)
    texts = [wording.share(mark, digits=0 if whole else 1) for mark in marks]
    return {"range": [least, most], "tickvals": marks, "ticktext": texts, "tickangle": 0}


def _marks(low: float, high: float) -> list[float]:
    """Return two or three round marks: on a phone there is room for no more."""
    span = max(high - low, 1e-9)
    power = 10.0 ** math.floor(math.log10(span))
    step = next(one * power for one in (0.5, 1, 2, 5) if span / (one * power) <= 2.6)
    first = math.ceil(low / step - 1e-9)
    return [round(place * step, 10) for place in range(first, math.floor(high / step + 1e-9) + 1)]


def _whiskers(at: pd.Series, low: pd.Series, high: pd.Series, axis: str) -> dict[str, Any]:
    """Draw the intervals that have any width; what is exact has none."""
    wide = high > low
    return {
        "type": "scatter",
        "xaxis": axis,
        "x": at[wide].tolist(),
        "y": at.index[wide].tolist(),
        "mode": "markers",
        "marker": {"size": 1, "color": charts.DRAFT},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": (high - at)[wide].clip(lower=0).tolist(),
            "arrayminus": (at - low)[wide].clip(lower=0).tolist(),
            "thickness": 1.5,
            "width": 4,
            "color": charts.DRAFT,
        },
        "cliponaxis": False,
        "hoverinfo": "skip",
        "showlegend": False,
    }
