"""Tables: how each column of a frame is shown, and a download of exactly the rows on the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

import pandas as pd
import streamlit as st

from dashboard import wording
from dashboard.filters import View
from router_core.ledger.metered import MeteredLine

ROW: Final = 35
NAMELESS: Final = {"model": "(no call: cache)", "team": "(no team)", "feature": "(no feature)", "tier": "(no tier)"}
# Kept as shares of one, shown as per cent.
SHARES: Final = ("share", "quality", "failover_share", "escalation_share", "priced")
BAR: Final[dict[str, Any]] = {"format": "%.1f%%", "min_value": 0, "max_value": 100}


def breakdown(frame: pd.DataFrame, key: str, title: str, view: View) -> None:
    """Show spend by one thing, with shares as bars and each one's days."""
    column = st.column_config
    # A model is named where it answered, so what counts there is how often it stepped in for another.
    failovers = "Stepped in" if key == "model" else "Fall-backs"
    show(
        frame.assign(**{key: frame[key].replace("", NAMELESS[key])}),
        key=f"by_{key}",
        columns={
            key: column.TextColumn(title, pinned=True, width=150),
            "usd": column.NumberColumn("Spend", format="dollar"),
            "share": column.ProgressColumn("Share of spend", **BAR, color="primary"),
            "daily": column.AreaChartColumn("Daily spend", color="gray", width="small"),
            "decisions": column.NumberColumn("Requests", format="localized"),
            "usd_per_success": column.NumberColumn(
                "Per success", format="$%.5f", help="All cost divided by the requests that succeeded."
            ),
            "quality": column.ProgressColumn("Quality", **BAR, color="green", help="Mean of judged answers."),
            "labelled": column.NumberColumn("Judged", format="localized", help="Answers the quality rests on."),
            "failover_share": column.NumberColumn(failovers, format="%.1f%%"),
            "priced": column.NumberColumn("Calls priced", format="%.1f%%"),
        },
        file=f"tierwise-{key}-{view.since}-{view.until}.csv",
        alt=f"Spend, requests, quality and fall-backs by {key}",
    )


def metered(lines: Sequence[MeteredLine]) -> None:
    """Show spend that reports of others summed, by source and provider."""
    column = st.column_config
    usd: dict[str, Any] = {"format": "dollar"}
    frame = pd.DataFrame(
        [
            {
                "source": one.keys[0],
                "provider": one.keys[1],
                "rows": one.rows,
                "requests": one.requests,
                "input": one.input_tokens,
                "output": one.output_tokens,
                "list": None if one.list_cost_nusd is None else one.list_cost_nusd / wording.NANO,
                "reported": None if one.reported_cost_nusd is None else one.reported_cost_nusd / wording.NANO,
            }
            for one in lines
        ]
    )
    show(
        frame,
        key="metered_elsewhere",
        columns={
            "source": column.TextColumn("Report", pinned=True, width=170),
            "provider": column.TextColumn("Provider"),
            "rows": column.NumberColumn("Rows", format="localized", help="Buckets of time, model and meter."),
            "requests": column.NumberColumn("Requests", format="localized"),
            "input": column.NumberColumn("Tokens in", format="localized"),
            "output": column.NumberColumn("out", format="localized"),
            "list": column.NumberColumn("At our prices", **usd),
            "reported": column.NumberColumn("As reported", **usd),
        },
        file="tierwise-metered.csv",
        alt="Spend by report and provider, as others summed it",
    )


def show(frame: pd.DataFrame, *, key: str, columns: dict[str, Any], file: str, alt: str) -> None:
    """Show a frame and offer it as CSV, row for row."""
    shares = [name for name in SHARES if name in columns]
    shown = frame[list(columns)].assign(**{name: frame[name] * 100 for name in shares})
    listed(shown, key=key, columns=columns, alt=alt, most=15)
    plain = frame[[name for name in columns if not frame[name].map(lambda value: isinstance(value, list)).any()]]
    st.download_button(
        f"Download {wording.plural(len(frame), 'row')} as CSV",
        lambda: plain.to_csv(index=False),
        file_name=file,
        mime="text/csv",
        key=f"{key}_csv",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
    )


def listed(
    frame: pd.DataFrame,
    *,
    key: str,
    columns: dict[str, Any],
    alt: str,
    most: int | None = None,
    order: Sequence[str] | None = None,
) -> None:
    """Show the rows of a frame, all of them or ``most`` at a time; ``order`` names its columns where not all show."""
    st.dataframe(
        frame,
        key=key,
        hide_index=True,
        row_height=ROW,
        height=_height(frame, most),
        column_order=order,
        column_config=columns,
        placeholder=wording.UNKNOWN,
        alt=alt,
    )


def _height(frame: pd.DataFrame, most: int | None) -> int | Literal["content"]:
    return "content" if most is None or len(frame) <= most else (most + 1) * ROW


def price_editor(frame: pd.DataFrame, *, days: int | None, key: str) -> pd.DataFrame:
    """Show the models in use with rates to edit, and return the frame as edited; nothing in it is checked."""
    column = st.column_config
    rate: dict[str, Any] = {"format": "$%.6g", "min_value": 0.0, "max_value": 1_000_000.0}
    shown = frame.assign(status=frame["layer"].map(lambda layer: [layer or "no price"]))
    order = ["status", "model", "provider", "input", "output", "cache_read", "cache_write", "since"]
    order += ["usd", "attempts"] if days else []
    return st.data_editor(
        shown,
        key=key,
        hide_index=True,
        row_height=ROW,
        height=_height(frame, 15),
        column_order=order,
        disabled=[name for name in shown.columns if name not in ("input", "output", "cache_read", "cache_write")],
        placeholder=wording.UNKNOWN,
        column_config={
            "status": column.MultiselectColumn(
                "Price",
                options=["no price", "catalogue", "contract", "manual"],
                color=["#d6405a33", "#64748b2b", "#4338ca2b", "#f59e0b33"],
                width=100,
            ),
            "model": column.TextColumn("Model", width=170),
            "provider": column.TextColumn("Provider"),
            "input": column.NumberColumn("Input", **rate, help="US dollars per million input tokens."),
            "output": column.NumberColumn("Output", **rate, help="US dollars per million output tokens."),
            "cache_read": column.NumberColumn("Cache read", **rate, help="Input tokens read from a cache."),
            "cache_write": column.NumberColumn("Cache write", **rate, help="Input tokens written to a cache."),
            "since": column.DateColumn("Since", format="D MMM YYYY", width=105, help="Empty: since it is known."),
            "usd": column.NumberColumn(f"Spend, {days} days", format="dollar"),
            "attempts": column.NumberColumn("Calls", format="localized"),
        },
        alt="Models in use with their rates in US dollars per million tokens; rates can be edited",
    )


def price_effect(frame: pd.DataFrame) -> None:
    """Show what each model would have cost."""
    column = st.column_config
    listed(
        frame.assign(then=frame["usd"] + frame["change"]),
        key="price_effect",
        order=["model", "usd", "then", "change"],
        columns={
            "model": column.TextColumn("Model", pinned=True),
            "usd": column.NumberColumn("As charged", format="dollar"),
            "then": column.NumberColumn("With these prices", format="dollar"),
            "change": column.NumberColumn("Change", format="dollar"),
        },
        alt="Cost of each model as charged and with the edited prices",
    )


def price_rows(frame: pd.DataFrame) -> None:
    """Show every dated price of one model."""
    column = st.column_config
    rate: dict[str, Any] = {"format": "$%.6g"}
    show(
        frame,
        key="price_rows",
        columns={
            "from": column.DateColumn("Valid from", format="D MMM YYYY", pinned=True, help="Empty: since it is known."),
            "holds": column.MultiselectColumn(
                "Now",
                options=["in force"],
                color=["#0f9d6b33"],
                width=80,
                help="Prices a plain call of today: the highest layer wins, and in it the latest date.",
            ),
            "layer": column.TextColumn("Layer"),
            "processing": column.TextColumn("For"),
            "input": column.NumberColumn("Input", **rate),
            "output": column.NumberColumn("Output", **rate),
            "cache_read": column.NumberColumn("Cache read", **rate),
            "cache_write": column.NumberColumn("Cache write", **rate),
            "source": column.TextColumn("Source"),
            "note": column.TextColumn("Note", width="large"),
        },
        file="tierwise-prices.csv",
        alt="Dated prices of one model, newest first",
    )


def history(frame: pd.DataFrame) -> None:
    """Show every version, newest first."""
    column = st.column_config
    listed(
        frame,
        key="history",
        most=8,
        columns={
            "version": column.NumberColumn("Version", format="v%d", pinned=True, width=80, alignment="left"),
            "when": column.TextColumn("Pushed"),
            "author": column.TextColumn("By"),
            "note": column.TextColumn("Note", width=270),
            "changes": column.TextColumn("Changes", width=270),
            "foretold": column.NumberColumn("Promised", format="percent", width="small", help="Saving promised."),
            "came": column.NumberColumn("Came", format="percent", width="small", help="Saving that came."),
        },
        alt="Versions of the configuration, newest first",
    )
