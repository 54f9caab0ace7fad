"""Figures: pure functions from a small frame to a Plotly figure, one look and one meaning a colour.

Colours are roles, not values. Streamlit swaps its chart colour names for those of the theme in the browser, so a
figure follows the reader's light or dark theme at once, without being drawn again. The order of the roles is that of
``chartCategoricalColors`` in .streamlit/config.toml.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go
from streamlit.elements.lib import streamlit_plotly_theme as theme

from dashboard import wording

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
FAINT: Final = theme.FADED_TEXT_05

CONFIG: Final[dict[str, Any]] = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False}
MOST_POINTS: Final = 500
HEIGHT: Final = 310
_FAR_APART: Final = 6
_ASIDE: Final = "\N{NO-BREAK SPACE}" * 3  # room for a marker between a point and its name
_POINT: Final = ["name", "role", "usd", "quality", "usd_low", "usd_high", "quality_low", "quality_high"]


def tier_colours(tiers: Sequence[str]) -> dict[str, str]:
    """Return the colour role of each tier, cheapest first; tiers beyond the sixth share the last one."""
    return {tier: TIERS[min(index, len(TIERS) - 1)] for index, tier in enumerate(tiers)}


def spend_by_tier(frame: pd.DataFrame, tiers: Sequence[str]) -> go.Figure:
    """Stacked daily spend; ``frame`` has ``day``, ``tier`` and ``usd``."""
    figure = _figure(height=HEIGHT)
    colours = tier_colours(tiers)
    known = [tier for tier in tiers if tier in set(frame["tier"])]
    others = sorted(set(frame["tier"]) - set(tiers))
    for tier in (*known, *others):
        rows = frame[frame["tier"] == tier].sort_values("day").tail(MOST_POINTS)
        figure.add_bar(
            x=rows["day"],
            y=rows["usd"],
            name=tier or "no tier",
            marker={"color": colours.get(tier, BASELINE), "cornerradius": 2},
            hovertemplate="%{y:$,.2f}",
        )
    figure.update_layout(barmode="stack", bargap=0.22, hovermode="x unified", legend={"traceorder": "normal"})
    figure.update_xaxes(tickformat="%-d %b", hoverformat="%a %-d %b %Y", nticks=8)
    tallest = float(frame.groupby("day")["usd"].sum().max()) if len(frame) else 0.0
    figure.update_yaxes(**_dollars(tallest), rangemode="tozero", nticks=6)
    return figure


def cost_and_quality(points: pd.DataFrame, frontier: pd.DataFrame | None = None) -> go.Figure:
    """Where policies stand: cost to the right, quality upwards.

    ``points`` has ``name``, ``role`` (``live``, ``draft`` or ``control``), ``usd``, ``quality`` and, where known, the
    ends of the intervals in ``usd_low``, ``usd_high``, ``quality_low`` and ``quality_high``; where ``quality`` is
    unknown, only its range is drawn. ``frontier`` has ``usd`` and ``quality`` of the best settings found.
    """
    figure = _figure(height=HEIGHT)
    points = points.reindex(columns=_POINT)
    middle = (points["quality_low"] + points["quality_high"]) / 2
    shown = points.assign(at=points["quality"].fillna(middle))
    shown = shown[shown["at"].notna() & shown["usd"].notna()]
    if frontier is not None and not frontier.empty:
        line = frontier.sort_values("usd").tail(MOST_POINTS)
        figure.add_scatter(
            x=line["usd"],
            y=line["quality"],
            mode="lines",
            name="Best found",
            line={"color": DRAFT, "width": 1.5, "dash": "dot", "shape": "spline", "smoothing": 0.5},
            hovertemplate="%{x:$,.2f}, quality %{y:.1%}<extra>Best setting</extra>",
        )
    looks = {"control": ("circle", 9, BASELINE), "live": ("circle", 14, LIVE), "draft": ("diamond", 13, DRAFT)}
    for role, (symbol, size, colour) in looks.items():
        rows = shown[shown["role"] == role]
        if rows.empty:
            continue
        figure.add_scatter(
            x=rows["usd"],
            y=rows["at"],
            mode="markers",
            name=role,
            marker={
                "size": rows["quality"].notna() * size,
                "symbol": symbol,
                "color": colour,
                "opacity": 1,
                "line": {"width": 1.5, "color": theme.BG_COLOR},
            },
            error_x=_whiskers(rows, "usd", "usd", colour),
            error_y=_whiskers(rows, "at", "quality", colour),
            cliponaxis=False,
            hovertemplate=[_told(row) for row in rows.to_dict("records")],
        )
    # Names of ranges stand below them, names of points beside them, so that neighbours do not cover each other.
    known = shown["quality"].notna()
    figure.add_scatter(
        x=shown["usd"],
        y=shown["at"].where(known, shown["quality_low"]),
        mode="text",
        text=_ASIDE + shown["name"] + _ASIDE,
        textposition=[side if point else "bottom center" for side, point in zip(_sides(shown), known, strict=True)],
        textfont={"size": 11},
        cliponaxis=False,
        hoverinfo="skip",
    )
    figure.update_layout(hovermode="closest", showlegend=False, margin={"t": 10})
    if not shown.empty:
        quality = _padded(shown, ["at", "quality_low", "quality_high"], most=1.03, room=0.12, least_span=0.04)
        figure.update_yaxes(range=quality, tickformat=".0%" if quality[1] - quality[0] > 0.06 else ".1%", nticks=6)
        figure.update_xaxes(
            **_cost_axis([float(end) for column in ("usd", "usd_low", "usd_high") for end in shown[column].dropna()])
        )
    figure.update_xaxes(title={"text": "Cost", "font": {"size": 11}})
    figure.update_yaxes(title={"text": "Quality", "font": {"size": 11}})
    return figure


def traffic_by_score(frame: pd.DataFrame, tiers: Sequence[str], live: Sequence[int], draft: Sequence[int]) -> go.Figure:
    """Share of requests at each score, coloured by the tier the draft gives it.

    ``frame`` has ``score`` (0..100), ``movable`` and ``fixed`` (numbers of requests that boundaries do and do not
    move); ``live`` and ``draft`` are ``score_min`` of each tier, cheapest first.
    """
    figure = _figure(height=250)
    total = float(frame["movable"].sum() + frame["fixed"].sum()) or 1.0
    colours = tier_colours(tiers)
    edges = [*draft, 101]
    for index, tier in enumerate(tiers):
        rows = frame[(frame["score"] >= edges[index]) & (frame["score"] < edges[index + 1])]
        part = float(rows["movable"].sum()) / total
        figure.add_bar(
            x=rows["score"],
            y=rows["movable"] / total,
            name=f"{tier} {wording.share(part, digits=0)}",
            marker={"color": colours[tier]},
            hovertemplate=f"score %{{x}}: %{{y:.2%}} of requests<extra>{tier}</extra>",
        )
    if frame["fixed"].sum() > 0:
        part = float(frame["fixed"].sum()) / total
        figure.add_bar(
            x=frame["score"],
            y=frame["fixed"] / total,
            name=f"fixed {wording.share(part, digits=0)}",
            marker={"color": BASELINE, "opacity": 0.35},
            hovertemplate="score %{x}: %{y:.2%} of requests<extra>pinned, by rule or warm</extra>",
        )
    for index in range(1, len(tiers)):
        if live[index] != draft[index]:
            _mark(figure, live[index], LIVE, "dot")
        _mark(figure, draft[index], DRAFT, "solid")
    figure.update_layout(barmode="stack", bargap=0.12, hovermode="closest", legend={"traceorder": "normal"})
    figure.update_xaxes(range=[-0.75, 100.75], tickvals=list(range(0, 101, 10)))
    figure.update_yaxes(tickformat=".1~%", rangemode="tozero", nticks=4)
    return figure


def effect_by(frame: pd.DataFrame, *, most: int = 12) -> go.Figure:
    """Change in cost by feature or team, with its interval; ``frame`` has ``name``, ``usd``, ``low`` and ``high``."""
    rows = frame.reindex(frame["usd"].abs().sort_values(ascending=False).index).head(most).iloc[::-1]
    figure = _figure(height=max(170, 34 * len(rows) + 56))
    figure.add_bar(
        x=rows["usd"],
        y=rows["name"],
        orientation="h",
        marker={"color": DRAFT, "opacity": 0.5, "cornerradius": 2},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": rows["high"] - rows["usd"],
            "arrayminus": rows["usd"] - rows["low"],
            "thickness": 1.5,
            "width": 5,
            "color": DRAFT,
        },
        hovertemplate="%{y}: %{x:+$,.2f}<extra></extra>",
        showlegend=False,
    )
    figure.update_layout(bargap=0.45, hovermode="closest")
    widest = float(rows[["low", "high"]].abs().max().max()) if len(rows) else 0.0
    figure.update_xaxes(**_dollars(widest), showgrid=True, zeroline=True, zerolinewidth=1, nticks=6)
    figure.update_yaxes(showgrid=False, ticklabelstandoff=6)
    return figure


def tier_mix(frame: pd.DataFrame, tiers: Sequence[str], *, most: int = 12) -> go.Figure:
    """Shares of each tier by feature, as bars; ``frame`` has ``name``, ``requests`` and a column for each tier."""
    rows = frame.nlargest(most, "requests").iloc[::-1]
    colours = tier_colours(tiers)
    figure = _figure(height=max(170, 34 * len(rows) + 56))
    for tier in tiers:
        figure.add_bar(
            x=rows[tier],
            y=rows["name"],
            orientation="h",
            name=tier,
            marker={"color": colours[tier]},
            hovertemplate=f"%{{y}}: %{{x:.1%}} on {tier}<extra></extra>",
        )
    figure.update_layout(barmode="stack", bargap=0.45, hovermode="closest", legend={"traceorder": "normal"})
    figure.update_xaxes(tickformat=".0%", range=[0, 1], nticks=6)
    figure.update_yaxes(showgrid=False, ticklabelstandoff=6)
    return figure


def price_history(frame: pd.DataFrame) -> go.Figure:
    """Rates of one model over time as steps; ``frame`` has ``from``, ``rate`` (its name) and ``usd_per_mtok``."""
    figure = _figure(height=230)
    roles = {"input": TIERS[1], "output": TIERS[2], "cache read": TIERS[0], "cache write": TIERS[5]}
    for name in [rate for rate in roles if rate in set(frame["rate"])]:
        rows = frame[frame["rate"] == name].sort_values("from").tail(MOST_POINTS)
        figure.add_scatter(
            x=rows["from"],
            y=rows["usd_per_mtok"],
            name=name,
            mode="lines+markers",
            line={"shape": "hv", "width": 2, "color": roles[name]},
            marker={"size": 5},
            hovertemplate="%{y:$,.4~f}",
        )
    figure.update_layout(hovermode="x unified")
    figure.update_xaxes(tickformat="%-d %b %Y", hoverformat="%-d %b %Y", nticks=6)
    figure.update_yaxes(tickprefix="$", rangemode="tozero", nticks=5)
    return figure


def flow(frame: pd.DataFrame, tiers: Sequence[str], *, most: int = 8) -> go.Figure:
    """Where requests go: feature, assigned tier, model that answered.

    ``frame`` has ``feature``, ``tier``, ``model`` and ``decisions``; features beyond the ``most`` busiest are one.
    """
    busiest = frame.groupby("feature")["decisions"].sum().nlargest(most).index
    rows = frame.assign(feature=frame["feature"].where(frame["feature"].isin(busiest), "other features"))
    colours = tier_colours(tiers)
    order = [tier for tier in tiers if tier in set(rows["tier"])] + sorted(set(rows["tier"]) - set(tiers))
    features = list(rows.groupby("feature")["decisions"].sum().sort_values(ascending=False).index)
    models = list(rows.groupby("model")["decisions"].sum().sort_values(ascending=False).index)
    place = {
        name: index
        for index, name in enumerate(
            [("feature", f) for f in features] + [("tier", t) for t in order] + [("model", m) for m in models]
        )
    }
    first = rows.groupby(["feature", "tier"], as_index=False)["decisions"].sum()
    second = rows.groupby(["tier", "model"], as_index=False)["decisions"].sum()
    tints = [colours.get(tier, BASELINE) + "59" for tier in (*first["tier"], *second["tier"])]
    figure = _figure(height=380)
    figure.add_sankey(
        arrangement="snap",
        node={
            "label": [name or "no call" for _, name in place],
            "color": [colours.get(name, BASELINE) if kind == "tier" else BASELINE for kind, name in place],
            "pad": 14,
            "thickness": 10,
            "line": {"width": 0},
            "hovertemplate": "%{label}: %{value:,} requests<extra></extra>",
        },
        link={
            "source": [place["feature", f] for f in first["feature"]] + [place["tier", t] for t in second["tier"]],
            "target": [place["tier", t] for t in first["tier"]] + [place["model", m] for m in second["model"]],
            "value": [*first["decisions"], *second["decisions"]],
            "color": tints,
            "hovertemplate": "%{source.label} to %{target.label}: %{value:,} requests<extra></extra>",
        },
        textfont={"size": 11},
    )
    return figure


def _figure(*, height: int) -> go.Figure:
    return go.Figure(
        layout={
            "height": height,
            "margin": {"l": 4, "r": 8, "t": 30, "b": 4, "pad": 2},
            "legend": {
                "orientation": "h",
                "x": 0,
                "xanchor": "left",
                "y": 1.02,
                "yanchor": "bottom",
                "title": {"text": ""},
                "itemclick": False,
                "itemdoubleclick": False,
                "font": {"size": 11},
            },
            "dragmode": False,
            "xaxis": {"showgrid": False, "zeroline": False, "fixedrange": True, "automargin": True, "ticks": ""},
            "yaxis": {"zeroline": False, "fixedrange": True, "automargin": True, "ticks": ""},
        }
    )


def _mark(figure: go.Figure, at: float, colour: str, dash: str) -> None:
    # Half a score to the left: the boundary's own score is the first of the upper tier.
    figure.add_shape(
        type="line",
        xref="x",
        yref="paper",
        x0=at - 0.5,
        x1=at - 0.5,
        y0=0,
        y1=1,
        line={"color": colour, "width": 2 if dash == "solid" else 1.5, "dash": dash},
    )


def _whiskers(rows: pd.DataFrame, at: str, name: str, colour: str) -> dict[str, Any] | None:
    low, high = rows[f"{name}_low"], rows[f"{name}_high"]
    if low.isna().all():
        return None
    return {
        "type": "data",
        "symmetric": False,
        "array": (high - rows[at]).fillna(0),
        "arrayminus": (rows[at] - low).fillna(0),
        "thickness": 1.5,
        "width": 5,
        "color": colour,
    }


def _told(row: Mapping[Hashable, Any]) -> str:
    quality = wording.share(row["quality"])
    if pd.isna(row["quality"]):
        quality = f"{wording.share(row['quality_low'])} to {wording.share(row['quality_high'])}"
    return f"{row['name']}: {wording.dollars(row['usd'])}, quality {quality}<extra></extra>"


def _dollars(largest: float) -> dict[str, Any]:
    """Return the tick format of a money axis: whole dollars where they tell, cents and less where they do not."""
    if largest >= 10_000:
        return {"tickformat": "$~s"}
    digits = 0 if largest >= 10 else 2 if largest >= 0.1 else 4
    return {"tickformat": f"$,.{digits}f"}


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
    return {"range": [low - room, high + room], "nticks": 6, **_dollars(high)}


def _sides(points: pd.DataFrame) -> list[str]:
    """Put names beside their points: of today and draft on opposite sides, of controls on the inner side."""
    pair = points[points["role"].isin(("live", "draft"))]["usd"]
    between = float(pair.mean()) if len(pair) > 1 else -math.inf
    centre = math.sqrt(max(float(points["usd"].min()), 1e-9) * max(float(points["usd"].max()), 1e-9))
    return [
        ("middle left" if value > centre else "middle right")
        if role == "control"
        else ("middle left" if value < between else "middle right")
        for value, role in zip(points["usd"], points["role"], strict=True)
    ]


def _padded(
    points: pd.DataFrame, columns: Sequence[str], *, room: float, most: float, least_span: float
) -> list[float]:
    low, high = float(points[list(columns)].min().min()), float(points[list(columns)].max().max())
    span = max(high - low, least_span, abs(high) * 0.05, 1e-9)
    bottom, top = low - span * room, high + span * room
    if top - bottom < least_span:
        bottom, top = (low + high - least_span) / 2, (low + high + least_span) / 2
    return [bottom, min(top, most)]
