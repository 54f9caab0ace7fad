"""Figures: pure functions from a small frame to a Plotly figure, one look and one meaning a colour.

Colours are roles, not values. Streamlit swaps its chart colour names for those of the theme in the browser, so a
figure fits the reader's light or dark theme, whichever the server believes it to be. The order of the roles is that of
``chartCategoricalColors`` in .streamlit/config.toml.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go
from streamlit.elements.lib import streamlit_plotly_theme as theme

from dashboard import wording
from dashboard.drawn import Drawn

TIERS: Final = (
    theme.CATEGORY_0,
    theme.CATEGORY_1,
    theme.CATEGORY_2,
    theme.CATEGORY_3,
    theme.CATEGORY_4,
    theme.CATEGORY_5,
)
LIVE: Final = theme.CATEGORY_6
DRAFT: Final = theme.CATEGORY_7
BASELINE: Final = theme.CATEGORY_8
OTHER: Final = theme.CATEGORY_9
GROUND: Final = theme.BG_COLOR
GOOD: Final = "#0f9d6b"  # Streamlit swaps no name for the theme's own green and red; these two suit both themes
BAD: Final = "#d6405a"

CONFIG: Final[dict[str, Any]] = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False}
MOST_POINTS: Final = 500
HEIGHT: Final = 310
_FAINT: Final = "59"  # alpha of a link, written behind its colour


def tier_colours(tiers: Sequence[str]) -> dict[str, str]:
    """Return the colour role of each tier, cheapest first; tiers beyond the sixth share the last one."""
    return {tier: TIERS[min(index, len(TIERS) - 1)] for index, tier in enumerate(tiers)}


def spend_by_tier(frame: pd.DataFrame, tiers: Sequence[str]) -> go.Figure:
    """Stacked daily spend; ``frame`` has ``day``, ``tier`` and ``usd``."""
    colours = tier_colours(tiers)
    present = set(frame["tier"])
    traces = []
    for tier in [*(name for name in tiers if name in present), *sorted(present - set(tiers))]:
        rows = frame[frame["tier"] == tier].sort_values("day").tail(MOST_POINTS)
        traces.append(
            {
                "type": "bar",
                "x": rows["day"].tolist(),
                "y": rows["usd"].tolist(),
                "name": tier or "no tier",
                "marker": {"color": colours.get(tier, BASELINE), "cornerradius": 2},
                "hovertemplate": "%{y:$,.2f}",
            }
        )
    tallest = float(frame.groupby("day")["usd"].sum().max()) if len(frame) else 0.0
    return figure(
        traces,
        barmode="stack",
        bargap=0.22,
        hovermode="x unified",
        xaxis={"tickformat": "%-d %b", "hoverformat": "%a %-d %b %Y", "nticks": 8},
        yaxis={**dollars(tallest), "rangemode": "tozero", "nticks": 6},
    )


def traffic_by_score(frame: pd.DataFrame, tiers: Sequence[str], live: Sequence[int], draft: Sequence[int]) -> go.Figure:
    """Share of requests at each score, coloured by the tier the draft gives it.

    ``frame`` has ``score`` (0..100), a column of requests for each tier, and ``fixed`` for those no boundary moves;
    ``live`` and ``draft`` are ``score_min`` of each tier, cheapest first.
    """
    total = float(sum(frame[tier].sum() for tier in (*tiers, "fixed"))) or 1.0
    # Areas, not bars: a hundred bars a tier would be drawn anew with every move of a slider. The two scores beyond the
    # ends, where nothing is, give the first and the last score their whole width.
    scores = [-1, *frame["score"].tolist(), 101]
    colours = tier_colours(tiers)
    traces: list[dict[str, Any]] = []
    for tier in (*tiers, "fixed"):
        shares = frame[tier].to_numpy() / total
        own = tier != "fixed"
        traces.append(
            {
                "type": "scatter",
                "x": scores,
                "y": [0.0, *shares.tolist(), 0.0],
                "name": f"{tier} {wording.share(float(shares.sum()), digits=0)}",
                "showlegend": own,
                "mode": "lines",
                "stackgroup": "requests",
                "line": {"shape": "hvh", "width": 0},
                "fillcolor": colours[tier] if own else BASELINE + _FAINT,
                "hovertemplate": "%{y:.2%}" if own else "%{y:.2%} pinned, by rule or warm",
            }
        )
    marks = []
    for now, then in zip(live[1:], draft[1:], strict=True):
        marks += [_mark(now, LIVE, "dot")] if now != then else []
        marks.append(_mark(then, DRAFT, "solid"))
    return figure(
        traces,
        height=250,
        hovermode="x unified",
        shapes=marks,
        xaxis={"range": [-0.75, 100.75], "tickvals": list(range(0, 101, 10))},
        yaxis={"tickformat": ".1~%", "rangemode": "tozero", "nticks": 4},
    )


def effect_by(frame: pd.DataFrame, *, most: int = 12) -> go.Figure:
    """Change in cost by feature or team, with its interval; ``frame`` has ``name``, ``usd``, ``low`` and ``high``."""
    rows = frame.reindex(frame["usd"].abs().sort_values(ascending=False).index).head(most).iloc[::-1]
    widest = float(rows[["low", "high"]].abs().max().max()) if len(rows) else 0.0
    bars = {
        "type": "bar",
        "x": rows["usd"].tolist(),
        "y": rows["name"].tolist(),
        "orientation": "h",
        "marker": {"color": DRAFT, "opacity": 0.5, "cornerradius": 2},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": (rows["high"] - rows["usd"]).tolist(),
            "arrayminus": (rows["usd"] - rows["low"]).tolist(),
            "thickness": 1.5,
            "width": 5,
            "color": DRAFT,
        },
        "hovertemplate": "%{y}: %{x:+$,.2f}<extra></extra>",
        "showlegend": False,
    }
    return figure(
        [bars],
        height=_rows_height(len(rows)) - 20,
        bargap=0.45,
        hovermode="closest",
        xaxis={**dollars(widest), "showgrid": True, "zeroline": True, "zerolinewidth": 1, "nticks": 6},
        margin={**room_for(rows["name"]), "t": 10},
        yaxis={"showgrid": False, "ticklabelstandoff": 6},
    )


def tier_mix(frame: pd.DataFrame, tiers: Sequence[str], *, most: int = 12) -> go.Figure:
    """Shares of each tier by feature, as bars; ``frame`` has ``name``, ``requests`` and a column for each tier."""
    rows = frame.nlargest(most, "requests").iloc[::-1]
    colours = tier_colours(tiers)
    names = rows["name"].tolist()
    traces = [
        {
            "type": "bar",
            "x": rows[tier].tolist(),
            "y": names,
            "orientation": "h",
            "name": tier,
            "marker": {"color": colours[tier]},
            "hovertemplate": f"%{{y}}: %{{x:.1%}} on {tier}<extra></extra>",
        }
        for tier in tiers
    ]
    return figure(
        traces,
        height=_rows_height(len(rows)),
        barmode="stack",
        bargap=0.45,
        hovermode="closest",
        xaxis={"tickformat": ".0%", "range": [0, 1], "nticks": 6},
        margin=room_for(rows["name"]),
        yaxis={"showgrid": False, "ticklabelstandoff": 6},
    )


def price_history(frame: pd.DataFrame) -> go.Figure:
    """Rates of one model over time as steps; ``frame`` has ``from``, ``rate`` (its name) and ``usd_per_mtok``."""
    roles = {"input": TIERS[1], "output": TIERS[2], "cache read": TIERS[0], "cache write": TIERS[5]}
    present = set(frame["rate"])
    traces = []
    for name in [rate for rate in roles if rate in present]:
        rows = frame[frame["rate"] == name].sort_values("from").tail(MOST_POINTS)
        traces.append(
            {
                "type": "scatter",
                "x": rows["from"].tolist(),
                "y": rows["usd_per_mtok"].tolist(),
                "name": name,
                "mode": "lines+markers",
                "line": {"shape": "hv", "width": 2, "color": roles[name]},
                "marker": {"size": 5},
                "hovertemplate": "%{y:$,.4~f}",
            }
        )
    return figure(
        traces,
        height=230,
        hovermode="x unified",
        xaxis={"tickformat": "%-d %b %Y", "hoverformat": "%-d %b %Y", "nticks": 4},
        yaxis={"tickprefix": "$", "rangemode": "tozero", "nticks": 5},
    )


def flow(frame: pd.DataFrame, tiers: Sequence[str], *, most: int = 8) -> go.Figure:
    """Where requests go: feature, assigned tier, tier that answered.

    ``frame`` has ``feature``, ``tier``, ``answered`` and ``decisions``; features beyond the ``most`` busiest are one.
    """
    busiest = frame.groupby("feature")["decisions"].sum().nlargest(most).index
    rows = frame.assign(feature=frame["feature"].where(frame["feature"].isin(busiest), "other features"))
    colours = tier_colours(tiers)
    present, ends = set(rows["tier"]), set(rows["answered"])
    columns = {
        "feature": rows.groupby("feature")["decisions"].sum().sort_values(ascending=False).index.tolist(),
        "tier": [*(tier for tier in tiers if tier in present), *sorted(present - set(tiers))],
        "answered": [*(tier for tier in tiers if tier in ends), *sorted(ends - set(tiers))],
    }
    nodes = [(kind, name) for kind, names in columns.items() for name in names]
    place = {node: index for index, node in enumerate(nodes)}
    first = rows.groupby(["feature", "tier"], as_index=False)["decisions"].sum()
    second = rows.groupby(["tier", "answered"], as_index=False)["decisions"].sum()
    sankey = {
        "type": "sankey",
        "arrangement": "snap",
        "node": {
            "label": [name or f"no {kind}" for kind, name in nodes],
            "color": [BASELINE if kind == "feature" else colours.get(name, BASELINE) for kind, name in nodes],
            "pad": 14,
            "thickness": 10,
            "line": {"width": 0},
            "hovertemplate": "%{label}: %{value:,} requests<extra></extra>",
        },
        "link": {
            "source": [place["feature", f] for f in first["feature"]] + [place["tier", t] for t in second["tier"]],
            "target": [place["tier", t] for t in first["tier"]] + [place["answered", a] for a in second["answered"]],
            "value": [*first["decisions"].tolist(), *second["decisions"].tolist()],
            "color": [colours.get(tier, BASELINE) + _FAINT for tier in (*first["tier"], *second["tier"])],
            "hovertemplate": "%{source.label} to %{target.label}: %{value:,} requests<extra></extra>",
        },
        "textfont": {"size": 11, "shadow": "none"},
    }
    return figure([sankey], height=380, margin={"l": 8, "t": 10, "b": 12})


def figure(
    traces: Sequence[Mapping[str, Any]],
    *,
    height: int = HEIGHT,
    xaxis: Mapping[str, Any] | None = None,
    yaxis: Mapping[str, Any] | None = None,
    margin: Mapping[str, Any] | None = None,
    **layout: Any,
) -> go.Figure:
    """Lay traces out in the one look, unchecked: Plotly's checks take most of the time, so the tests make them."""
    # Margins are given: to find them out by itself Plotly draws a figure twice.
    axis = {"zeroline": False, "fixedrange": True, "automargin": False, "ticks": ""}
    whole = {
        "height": height,
        "margin": {"l": 42, "r": 8, "t": 30, "b": 26, "pad": 2, **(margin or {})},
        "legend": {
            "orientation": "h",
            "x": 0,
            "xanchor": "left",
            "y": 1.02,
            "yanchor": "bottom",
            "title": {"text": ""},
            "itemclick": False,
            "itemdoubleclick": False,
            "traceorder": "normal",
            "font": {"size": 11},
        },
        "dragmode": False,
        "xaxis": {**axis, "showgrid": False, **(xaxis or {})},
        "yaxis": {**axis, **(yaxis or {})},
        **layout,
    }
    return Drawn([dict(trace) for trace in traces], whole)


def room_for(names: Iterable[str]) -> dict[str, int]:
    """Return a left margin wide enough for names beside their bars."""
    return {"l": 22 + int(6.1 * max((len(str(name)) for name in names), default=0))}


def _rows_height(rows: int) -> int:
    return max(170, 34 * rows + 56)


def _mark(at: float, colour: str, dash: str) -> dict[str, Any]:
    # Half a score to the left: the boundary's own score is the first of the upper tier.
    line = {"color": colour, "width": 2 if dash == "solid" else 1.5, "dash": dash}
    return {
        "type": "line",
        "xref": "x",
        "yref": "paper",
        "x0": at - 0.5,
        "x1": at - 0.5,
        "y0": 0,
        "y1": 1,
        "line": line,
    }


def dollars(largest: float) -> dict[str, Any]:
    """Return the tick format of a money axis: whole dollars where they tell, cents and less where they do not."""
    if largest >= 10_000:
        return {"tickformat": "$~s"}
    digits = 0 if largest >= 10 else 2 if largest >= 0.1 else 4
    return {"tickformat": f"$,.{digits}f"}
