"""Where policies stand: the figure of cost against quality, with intervals, ranges and names that stay apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from dashboard import charts, labels, wording

Point = Mapping[str, Any]

_FIELDS: Final = ("name", "role", "usd", "quality", "usd_low", "usd_high", "quality_low", "quality_high")
_FAR_APART: Final = 6
_LOOKS: Final = {
    "control": ("circle", 9, charts.BASELINE),
    "live": ("circle", 14, charts.LIVE),
    "draft": ("diamond", 13, charts.DRAFT),
}
_ASIDE: Final = "\N{NO-BREAK SPACE}" * 3  # room for a marker between a point and its name


def cost_and_quality(
    points: pd.DataFrame, frontier: pd.DataFrame | None = None, *, height: int = charts.HEIGHT
) -> go.Figure:
    """Where policies stand: cost to the right, quality upwards.

    ``points`` has ``name``, ``role`` (``live``, ``draft`` or ``control``), ``usd``, ``quality`` and, where known, the
    ends of the intervals in ``usd_low``, ``usd_high``, ``quality_low`` and ``quality_high``; where ``quality`` is
    unknown, only its range is drawn. ``frontier`` has ``usd`` and ``quality`` of the best settings found.
    """
    shown = [point for point in map(_read, points.to_dict("records")) if None not in (point["usd"], point["at"])]
    traces: list[Mapping[str, Any]] = []
    if frontier is not None and not frontier.empty:
        traces.append(_line(frontier.sort_values("usd").tail(charts.MOST_POINTS)))
    for role in _LOOKS:
        same = [point for point in shown if point["role"] == role]
        if same:
            traces.append(_markers(role, same))
    xaxis: dict[str, Any] = {"title": {"text": "Cost", "font": {"size": 11}}}
    yaxis: dict[str, Any] = {"title": {"text": "Quality", "font": {"size": 11}}, "nticks": 6}
    if shown:
        best = frontier if frontier is not None else pd.DataFrame({"usd": [], "quality": []})
        xaxis |= _cost_axis([*_ends(shown, "usd", "usd_low", "usd_high"), *best["usd"].tolist()])
        yaxis |= _quality_axis([*_ends(shown, "at", "quality_low", "quality_high"), *best["quality"].tolist()])
        names = [point["name"] for point in shown]
        ground = labels.Ground(xaxis["range"], yaxis["range"], xaxis.get("type") == "log", height - 60)
        lines = [list(zip(best.sort_values("usd")["usd"], best.sort_values("usd")["quality"], strict=True))]
        lines += [line for point in shown for line in _spread(point)]
        traces.append(_names(shown, ground.sides(names, [_at(point) for point in shown], _wanted(shown), lines)))
    return charts.figure(
        traces,
        height=height,
        hovermode="closest",
        showlegend=False,
        margin={"t": 10, "l": 58, "b": 46},
        xaxis=xaxis,
        yaxis=yaxis,
    )


def _read(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Take what is known of a point; ``at`` is where it stands: its quality, or the middle of its range."""
    given = {name: row.get(name) for name in _FIELDS}
    point = {name: None if value is None or value != value else value for name, value in given.items()}
    low, high = point["quality_low"], point["quality_high"]
    middle = None if low is None or high is None else (low + high) / 2
    return {**point, "at": middle if point["quality"] is None else point["quality"]}


def _line(frontier: pd.DataFrame) -> dict[str, Any]:
    return {
        "type": "scatter",
        "x": frontier["usd"].tolist(),
        "y": frontier["quality"].tolist(),
        "mode": "lines",
        "name": "best found",
        "line": {"color": charts.DRAFT, "width": 1.5, "dash": "dot", "shape": "spline", "smoothing": 0.5},
        "hovertemplate": "%{x:$,.2f}, quality %{y:.1%}<extra>Best setting</extra>",
    }


def _markers(role: str, points: Sequence[Point]) -> dict[str, Any]:
    symbol, size, colour = _LOOKS[role]
    return {
        "type": "scatter",
        "x": [point["usd"] for point in points],
        "y": [point["at"] for point in points],
        "mode": "markers",
        "name": role,
        "marker": {
            "size": [0 if point["quality"] is None else size for point in points],
            "symbol": symbol,
            "color": colour,
            "opacity": 1,
            "line": {"width": 1.5, "color": charts.GROUND},
        },
        "error_x": _whiskers(points, "usd", "usd", colour),
        "error_y": _whiskers(points, "at", "quality", colour),
        "cliponaxis": False,
        "hovertemplate": [_told(point) for point in points],
    }


def _names(points: Sequence[Point], sides: Sequence[str]) -> dict[str, Any]:
    """Write names below ranges and beside points, so that they cover neither each other nor a line."""
    places = [_at(point) for point in points]
    return {
        "type": "scatter",
        "x": [x for x, _ in places],
        "y": [y for _, y in places],
        "mode": "text",
        "text": [f"{_ASIDE}{point['name']}{_ASIDE}" for point in points],
        "textposition": list(sides),
        "textfont": {"size": 11},
        "cliponaxis": False,
        "hoverinfo": "skip",
    }


def _at(point: Point) -> tuple[float, float]:
    return point["usd"], point["quality_low"] if point["quality"] is None else point["at"]


def _spread(point: Point) -> list[list[tuple[float, float]]]:
    """Return the whiskers of a point as lines."""
    found = []
    if point["usd_low"] is not None and point["usd_high"] is not None:
        found.append([(point["usd_low"], point["at"]), (point["usd_high"], point["at"])])
    if point["quality_low"] is not None and point["quality_high"] is not None:
        found.append([(point["usd"], point["quality_low"]), (point["usd"], point["quality_high"])])
    return found


def _wanted(points: Sequence[Point]) -> list[str]:
    """Return where each name goes if nothing is in the way: today and draft on opposite sides, controls to the right,
    where no best setting lies, ranges below."""
    pair = [point["usd"] for point in points if point["role"] != "control"]
    between = sum(pair) / 2 if len(pair) == 2 else -math.inf
    return [
        "bottom center"
        if point["quality"] is None
        else "middle left"
        if point["role"] != "control" and point["usd"] < between
        else "middle right"
        for point in points
    ]


def _whiskers(points: Sequence[Point], at: str, name: str, colour: str) -> dict[str, Any] | None:
    low, high = f"{name}_low", f"{name}_high"
    if all(point[low] is None for point in points):
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": [0 if point[high] is None else point[high] - point[at] for point in points],
        "arrayminus": [0 if point[low] is None else point[at] - point[low] for point in points],
        "thickness": 1.5,
        "width": 5,
        "color": colour,
    }


def _told(point: Point) -> str:
    quality = wording.share(point["quality"])
    if point["quality"] is None:
        quality = f"{wording.share(point['quality_low'])} to {wording.share(point['quality_high'])}"
    return f"{point['name']}: {wording.dollars(point['usd'])}, quality {quality}<extra></extra>"


def _ends(points: Iterable[Point], *names: str) -> list[float]:
    return [float(point[name]) for point in points for name in names if point[name] is not None]


def _cost_axis(values: Sequence[float]) -> dict[str, Any]:
    """Return a cost axis from the cheapest to the dearest, in ratios where they lie far apart."""
    low, high = min(values), max(values)
    if low > 0 and high / low >= _FAR_APART:
        edges = [math.log10(low), math.log10(high)]
        room = (edges[1] - edges[0]) * 0.13
        steps = [mark * 10.0**power for power in range(-9, 10) for mark in (1, 2, 5)]
        shown = [step for step in steps if edges[0] - room <= math.log10(step) <= edges[1] + room]
        names = [wording.dollars(step).removesuffix(".00") for step in shown]
        return {"type": "log", "range": [edges[0] - room, edges[1] + room], "tickvals": shown, "ticktext": names}
    room = max((high - low) * 0.14, high * 0.02, 1e-9)
    return {"range": [low - room, high + room], "nticks": 6, **charts.dollars(high)}


def _quality_axis(values: Sequence[float]) -> dict[str, Any]:
    low, high = min(values), max(values)
    room = 0.12 * max(high - low, 0.04)
    middle = (low + high) / 2
    bottom, top = min(low - room, middle - 0.02), min(max(high + room, middle + 0.02), 1.03)
    return {"range": [bottom, top], "tickformat": ".0%" if top - bottom > 0.06 else ".1%"}
