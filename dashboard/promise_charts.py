"""The figure of promises: for every push what was promised, and what came, each with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard import charts, wording

_MOST = 12


def kept(frame: pd.DataFrame, unit: str) -> go.Figure:
    """Promised above realised, a row a push, newest at the top; ``frame`` is that of ``promises.points``.

    ``unit`` is ``share`` or ``points``.
    """
    rows = frame.tail(_MOST).reset_index(drop=True)
    ends = [str(name) for name in rows if name not in ("name", "held")]
    rows = rows.assign(**(rows[ends] * 100))  # per cent, or percentage points
    write = wording.share if unit == "share" else wording.points
    traces = [
        _points(rows, "promised", "diamond", charts.DRAFT, 0.13, write),
        _points(rows, "realised", "circle", charts.LIVE, -0.13, write),
    ]
    return charts.figure(
        traces,
        height=64 + 48 * max(len(rows), 1),
        margin={**charts.room_for(rows["name"]), "r": 18},
        hovermode="closest",
        shapes=[
            {
                "type": "line",
                "xref": "x",
                "yref": "paper",
                "x0": 0,
                "x1": 0,
                "y0": 0,
                "y1": 1,
                "line": {"color": charts.BASELINE, "width": 1},
            }
        ],
        xaxis={
            "tickformat": "+~g" if unit == "points" else "~g",
            "ticksuffix": " pp" if unit == "points" else "%",
            "showgrid": True,
            "nticks": 5,
            "tickangle": 0,
            "range": _range(rows[ends]),
        },
        yaxis={
            "tickvals": list(range(len(rows))),
            "ticktext": rows["name"].tolist(),
            "range": [-0.6, len(rows) - 0.4],
            "showgrid": False,
        },
    )


def _points(rows: pd.DataFrame, name: str, symbol: str, colour: str, above: float, write: Any) -> dict[str, Any]:
    low, high = rows[f"{name}_low"], rows[f"{name}_high"]
    at = rows[name].fillna((low + high) / 2)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "promised" if name == "promised" else "came",
        "x": [None if pd.isna(value) else float(value) for value in at],
        "y": [place + above for place in range(len(rows))],
        "marker": {
            "size": 10,
            "symbol": symbol,
            "color": colour,
            "opacity": [0 if pd.isna(value) else 1 for value in rows[name]] or 1,
        },
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": (high - at).clip(lower=0).fillna(0).tolist(),
            "arrayminus": (at - low).clip(lower=0).fillna(0).tolist(),
            "thickness": 1.5,
            "width": 4,
            "color": colour,
        },
        "cliponaxis": False,
        "hovertemplate": [
            f"{row['name']} {name}: {write(None if pd.isna(row[name]) else row[name] / 100)}<extra></extra>"
            for row in rows.to_dict("records")
        ],
    }


def _range(rows: pd.DataFrame) -> list[float]:
    ends = [0.0, *rows.to_numpy().ravel()[~np.isnan(rows.to_numpy().ravel())].tolist()]
    room = 0.08 * max(max(ends) - min(ends), 0.2)
    return [min(ends) - room, max(ends) + room]
