"""Figures of the calculator: what a plan costs by model, beside everything on one."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from dashboard import charts, wording


def bills(frame: pd.DataFrame, colours: Mapping[str, str], per: str) -> go.Figure:
    """Two stacked bars, a plan above what it is set against; ``frame`` has ``plan``, ``part`` and ``usd``.

    ``colours`` are those of the parts; a part without one is grey.
    """
    plans = list(dict.fromkeys(frame["plan"]))[::-1]
    traces = []
    for part in dict.fromkeys(frame["part"]):
        rows = frame[frame["part"] == part].groupby("plan")["usd"].sum().reindex(plans)
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "y": plans,
                "x": rows.tolist(),
                "name": part,
                "marker": {"color": colours.get(part, charts.BASELINE), "cornerradius": 2},
                "hovertemplate": f"%{{x:$,.2f}} a {per}<extra>{part}</extra>",
            }
        )
    largest = float(frame.groupby("plan")["usd"].sum().max()) if len(frame) else 0.0
    return charts.figure(
        traces,
        height=190,
        margin={**charts.room_for(plans), "t": 40},
        barmode="stack",
        bargap=0.42,
        hovermode="closest",
        xaxis={**charts.dollars(largest), "showgrid": True, "nticks": 6},
        yaxis={"showgrid": False, "ticklabelstandoff": 6},
        annotations=[
            {
                "x": float(total),
                "y": name,
                "text": f" {wording.dollars(float(total))}",
                "showarrow": False,
                "xanchor": "left",
                "font": {"size": 12},
            }
            for name, total in frame.groupby("plan")["usd"].sum().items()
        ],
    )
