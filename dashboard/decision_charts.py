"""Figures of one decision: where its score fell among the boundaries, and when its calls were made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from streamlit.elements.lib import streamlit_plotly_theme as theme

from dashboard import charts
from router_core.decision import Attempt, Status

_INK = "#10131c"  # readable on every tier's colour in both themes
_NAME = 7  # scores: half of what a tier's name takes


def boundaries(
    rows: Sequence[tuple[str, Sequence[str], Sequence[int]]], score: int | None, order: Sequence[str]
) -> go.Figure:
    """The scale from 0 to 100 cut into tiers, a bar for each configuration, with the score as a line through all.

    ``rows`` are (name, tiers, ``score_min`` of each), the first on top; ``order`` is the ladder that colours follow.
    """
    colours = charts.tier_colours(order)
    traces: list[dict[str, Any]] = []
    for name, tiers, starts in reversed(rows):
        for tier, start, end in zip(tiers, starts, [*starts[1:], 100], strict=True):
            if end <= start:
                continue
            traces.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "y": [name],
                    "x": [end - start],
                    "base": [start],
                    "text": [tier],
                    "textposition": "inside",
                    # The score's line would strike out a name in the middle of its bar.
                    "insidetextanchor": "start"
                    if score is not None and abs(score - (start + end) / 2) < _NAME
                    else "middle",
                    "constraintext": "inside",
                    "textangle": 0,
                    "textfont": {"size": 11, "color": _INK},
                    "marker": {"color": colours.get(tier, charts.BASELINE), "opacity": 0.75, "cornerradius": 3},
                    "hovertemplate": f"{tier}: score {start} to {end - 1 if end < 100 else 100}<extra>{name}</extra>",
                    "showlegend": False,
                }
            )
    marks = []
    if score is not None:
        line = {"color": theme.GRAY_90, "width": 2}
        marks.append({"type": "line", "x0": score, "x1": score, "yref": "paper", "y0": -0.02, "y1": 1.04, "line": line})
    written = [] if score is None else [_written(score)]
    return charts.figure(
        traces,
        height=44 * len(rows) + 62,
        margin={**charts.room_for(name for name, _, _ in rows), "t": 22},
        barmode="overlay",
        bargap=0.35,
        hovermode="closest",
        shapes=marks,
        annotations=written,
        uniformtext={"mode": "hide", "minsize": 9},
        xaxis={"range": [0, 100], "tickvals": list(range(0, 101, 10))},
        yaxis={"showgrid": False, "ticklabelstandoff": 6},
    )


def _written(score: int) -> dict[str, Any]:
    side = "left" if score < 12 else "right" if score > 88 else "center"
    return {
        "x": score,
        "y": 1.03,
        "yref": "paper",
        "yanchor": "bottom",
        "xanchor": side,
        "text": f"<b>score {score}</b>",
        "showarrow": False,
        "font": {"size": 11},
    }


def timeline(calls: Sequence[Attempt], order: Sequence[str]) -> go.Figure:
    """When each call was made and how long it took, in seconds from the start of the request.

    Colours are those of the calls' tiers, hatched where one failed; what is fainter came before the first token.
    """
    colours = charts.tier_colours(order)
    traces: list[dict[str, Any]] = []
    for place, call in reversed(list(enumerate(calls, start=1))):
        failed = call.status is not Status.OK
        waited = call.latency_ms if call.ttft_ms is None else min(call.ttft_ms, call.latency_ms)
        told = f"{call.kind.name.lower()}, {call.status.name.lower()}, {call.latency_ms / 1000:,.2f} s"
        parts = (
            (call.offset_ms, waited, 0.85 if call.ttft_ms is None else 0.4),
            (call.offset_ms + waited, call.latency_ms - waited, 0.85),
        )
        for start, length, opacity in parts:
            traces.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "y": [f"{place}. {call.model}"],
                    "base": [start / 1000],
                    "x": [length / 1000],
                    "marker": {
                        "color": colours.get(call.tier, charts.BASELINE),
                        "opacity": opacity,
                        "pattern": {"shape": "/" if failed else "", "size": 5, "solidity": 0.35},
                    },
                    "hovertemplate": f"{told}<extra></extra>",
                    "showlegend": False,
                }
            )
    return charts.figure(
        traces,
        height=34 * len(calls) + 52,
        margin={**charts.room_for(f"{len(calls)}. {call.model}" for call in calls), "t": 6},
        barmode="overlay",
        bargap=0.4,
        hovermode="closest",
        xaxis={"rangemode": "tozero", "ticksuffix": " s", "showgrid": True, "nticks": 7},
        yaxis={"showgrid": False, "ticklabelstandoff": 6},
    )
