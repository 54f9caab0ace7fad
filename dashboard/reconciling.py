"""An invoice beside what was metered: read, set against the ledger, and laid out as frames, a figure and a table."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard import charts, data, tables, wording
from router_core.exchange.currencies import Rate
from router_core.exchange.invoice import read_invoice
from router_core.exchange.reconcile import Reconciliation, reconcile
from router_core.exchange.source import Source

TOLERANCES: Final = (0.001, 0.01, 0.05)
"""Shares of a bill that may differ and still agree."""

_MOST_BARS: Final = 31
_MOST_REASONS: Final = 5


def compared(file: Any, name: str, tolerance: float, rates: Sequence[Rate]) -> Reconciliation:
    """Set a dropped invoice against the ledger; raises ``InputError`` where it is none."""
    return reconcile(data.ledger(), read_invoice(Source(BytesIO(file.getbuffer()), name, rates)), tolerance=tolerance)


def frame_of(result: Reconciliation) -> pd.DataFrame:
    """Return every line, the largest difference first, money in dollars."""
    columns = (
        "provider",
        "model",
        "day",
        "metered",
        "billed",
        "difference",
        "agrees",
        "reason",
        "tokens",
        "billed_tokens",
    )
    rows = [
        (
            line.provider_name,
            line.model or "(not a model)",
            line.day,
            line.metered_nusd / wording.NANO,
            line.billed_nusd / wording.NANO,
            line.difference_nusd / wording.NANO,
            line.agrees,
            line.reason,
            line.metered_tokens,
            line.billed_tokens,
        )
        for line in result.lines
    ]
    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.reindex(frame["difference"].abs().sort_values(ascending=False, kind="stable").index)


def by_reason(frame: pd.DataFrame) -> pd.DataFrame:
    """Return how much of the difference each likely reason explains, the largest first."""
    apart = frame[~frame["agrees"]]
    summed = apart.groupby("reason", as_index=False).agg(lines=("model", "size"), difference=("difference", "sum"))
    return summed.reindex(summed["difference"].abs().sort_values(ascending=False).index)


def side_by_side(frame: pd.DataFrame) -> tuple[go.Figure, str]:
    """Return metered beside billed as bars, and what each pair is of: days, or models where it is one day's bill."""
    of = "day" if frame["day"].nunique() > 1 else "model"
    sums = frame.groupby(of)[["metered", "billed"]].sum()
    sums = sums.sort_index().tail(_MOST_BARS) if of == "day" else sums.nlargest(_MOST_BARS, "billed")
    names = [str(name) for name in sums.index]
    roles = {"metered": ("Metered here", charts.LIVE), "billed": ("Billed", charts.DRAFT)}
    traces = [
        {
            "type": "bar",
            "x": list(sums.index) if of == "day" else names,
            "y": sums[key].tolist(),
            "name": title,
            "marker": {"color": colour, "cornerradius": 2},
            "hovertemplate": "%{y:$,.4~f}",
        }
        for key, (title, colour) in roles.items()
    ]
    axis: dict[str, Any] = {"tickformat": "%-d %b", "hoverformat": "%a %-d %b %Y", "dtick": 86_400_000}
    if len(sums) > 10:
        axis |= {"dtick": None, "nticks": 8}
    chart = charts.figure(
        traces,
        height=270,
        barmode="group",
        bargap=0.35,
        hovermode="x unified",
        xaxis=axis if of == "day" else {"type": "category"},
        yaxis={**charts.dollars(float(sums.to_numpy().max(initial=0))), "rangemode": "tozero", "nticks": 5},
        margin={"l": 56},
    )
    return chart, of


def lines(frame: pd.DataFrame, name: str) -> None:
    """Show lines by provider, model and day with the likely reason of each difference."""
    column = st.column_config
    usd: dict[str, Any] = {"format": "%.4f"}
    tables.show(
        frame,
        key="lines",
        columns={
            "provider": column.TextColumn("Provider", width=80),
            "model": column.TextColumn("Model", pinned=True, width=130),
            "day": column.DateColumn("Day (UTC)", format="D MMM YYYY", width=105),
            "metered": column.NumberColumn("Metered, $", **usd, help="What the calls in the ledger cost at list."),
            "billed": column.NumberColumn("Billed, $", **usd),
            "difference": column.NumberColumn("Difference, $", **usd, help="Billed less metered."),
            "tokens": column.NumberColumn("Tokens metered", format="localized"),
            "billed_tokens": column.NumberColumn("billed", format="localized", help="Empty: the invoice counts none."),
            "reason": column.TextColumn("Likely reason", width=560),
        },
        file=f"tierwise-reconcile-{name}.csv",
        alt="Metered and billed by provider, model and day, the largest difference first",
    )


def reasons(frame: pd.DataFrame) -> None:
    """Say what the difference is made of, the largest part first."""
    for row in frame.head(_MOST_REASONS).itertuples():
        amount = wording.dollars(float(str(row.difference)), signed=True).replace("$", r"\$")
        st.markdown(f"**{amount}** · {wording.plural(int(str(row.lines)), 'line')}")
        st.caption(wording.sentence(row.reason))
    if len(frame) > _MOST_REASONS:
        st.caption(f"{wording.plural(len(frame) - _MOST_REASONS, 'smaller reason')} more, in the lines below.")
