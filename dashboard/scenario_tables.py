"""The table of scenarios side by side, with intervals and what backs them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pandas as pd
import streamlit as st

from dashboard import tables, wording
from dashboard.filters import View

_WORDS: Final = {"plain": "good", "amber": "thin", "red": "too thin"}
_NOT_JUDGED: Final = "not judged"
_CENTS: Final = 1.0  # dollars; where all cost less, cents are too coarse


def side_by_side(frame: pd.DataFrame, view: View) -> None:
    """Show scenarios side by side, today first: cost, saving and quality with their intervals, and what backs them."""
    column = st.column_config
    cost = "dollar" if frame["usd"].max() >= _CENTS else "$%.5f"
    shown = frame.assign(
        cost_between=_between(frame, "low", "high", wording.dollars),
        quality_between=_between(frame, "quality_low", "quality_high", wording.share),
        change_share=-100 * frame["saving"],
        moved=100 * frame["moved"],
        evidence=frame.apply(_evidence, axis=1),
    )
    tables.show(
        shown,
        key="scenarios",
        columns={
            "name": column.TextColumn("Scenario", pinned=True, width=190),
            "usd": column.NumberColumn(f"Cost, {view.days} days", format=cost),
            "cost_between": column.TextColumn("95% interval", help="Of the cost.", alignment="right"),
            "change_share": column.NumberColumn("Change", format="%+.1f%%", help="Of the cost, against today."),
            "quality": column.NumberColumn("Quality", format="%.1f%%"),
            "quality_between": column.TextColumn("95% interval", help="Of the quality.", alignment="right"),
            "requests": column.NumberColumn("Requests", format="localized"),
            "moved": column.NumberColumn("Moved", format="%.1f%%", help="Requests that another tier would get."),
            "evidence": column.MultiselectColumn(
                "Evidence",
                options=[*_WORDS.values(), _NOT_JUDGED],
                color=["#0f9d6b33", "#f59e0b33", "#d6405a33", "#64748b2b"],
                help="How well the log supports it; where it is too thin, only the range of quality is given.",
            ),
        },
        file=f"tierwise-scenarios-{view.since}-{view.until}.csv",
        alt="Scenarios side by side: cost, change and quality with intervals, requests, and evidence",
    )


def _evidence(row: pd.Series) -> list[str]:
    if not row["support"]:
        return []
    unknown = pd.isna(row["quality"]) and pd.isna(row["quality_low"])
    return [_NOT_JUDGED if unknown else _WORDS[str(row["support"])]]


def _between(frame: pd.DataFrame, low: str, high: str, write: Callable[[float], str]) -> pd.Series:
    """Write intervals; one without width is exact."""
    texts = [
        None if pd.isna(least) or pd.isna(most) else "exact" if least == most else f"{write(least)} to {write(most)}"
        for least, most in zip(frame[low], frame[high], strict=True)
    ]
    return pd.Series(texts, index=frame.index, dtype=object)
