"""Tables of the Quality page: what to move and why, and how much each source of labels is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pandas as pd
import streamlit as st

from dashboard import tables, wording
from dashboard.filters import View
from dashboard.quality_charts import SAID_BY
from router_core.lifecycle.feedback import Mean, Suggestion


def suggestions(found: Sequence[Suggestion], view: View) -> None:
    """Show what to move, with its evidence and a way to Tuning."""
    column = st.column_config
    frame = pd.DataFrame(
        [
            {
                "feature": one.feature or tables.NAMELESS["feature"],
                "move": f"{one.tier} {'↑' if one.direction == 'up' else '↓'} {one.to}",
                "sure": ["clear" if one.sure else "likely"],
                "quality": one.evidence.value,
                "interval": interval(one.evidence),
                "mark": f"{'below' if one.direction == 'up' else 'above'} {wording.share(one.mark, digits=0)}",
                "labels": one.evidence.labels,
                "since": one.since,
                "tune": f"tuning?feature={quote(one.feature)}",
            }
            for one in found
        ]
    )
    tables.show(
        frame,
        key="suggestions",
        columns={
            "feature": column.TextColumn("Feature", pinned=True, width=150),
            "move": column.TextColumn("Move", width=190, help="From the tier it has to the one it seems to need."),
            "sure": column.MultiselectColumn(
                "Evidence",
                options=["clear", "likely"],
                color=["#0f9d6b33", "#f59e0b33"],
                width=90,
                help="Clear: the whole interval is beyond the mark. Likely: only the mean is.",
            ),
            "quality": column.ProgressColumn("Quality", **tables.BAR, color="green"),
            "interval": column.TextColumn("95% interval", alignment="right"),
            "mark": column.TextColumn("Mark", help="feedback.upgrade_below and feedback.downgrade_above"),
            "labels": column.NumberColumn("Judged", format="localized", help="The newest labels, whole days of them."),
            "since": column.DateColumn("Since", format="D MMM"),
            "tune": column.LinkColumn("Try it", display_text="Tuning", width="small"),
        },
        file=f"tierwise-suggestions-{view.until}.csv",
        alt="Features whose measured quality suggests another tier, with the evidence",
    )


def sources(frame: pd.DataFrame, view: View) -> None:
    """Show each source of labels: how many, how good it finds answers, and whether people agree."""
    column = st.column_config
    bar: dict[str, Any] = {**tables.BAR}
    shown = frame.assign(
        source=frame["source"].map(SAID_BY),
        interval=[
            f"{wording.share(low)} to {wording.share(high)}"
            for low, high in zip(frame["low"], frame["high"], strict=True)
        ],
        agreement=frame["agreement"].astype(float) * 100,
        leniency=[wording.points(value) for value in frame["leniency"].astype(float)],
        kappa=frame["kappa"].astype(float),
        both=frame["both"].where(frame["both"] > 0),
    )
    tables.show(
        shown,
        key="sources",
        columns={
            "source": column.TextColumn("Judged by", pinned=True, width=120),
            "labels": column.NumberColumn("Labels", format="localized"),
            "quality": column.ProgressColumn("Quality", **bar, color="green"),
            "interval": column.TextColumn("95% interval", alignment="right"),
            "both": column.NumberColumn("People too", format="localized", help="Answers people judged as well."),
            "agreement": column.NumberColumn(
                "Agree", format="%.1f%%", help="Share of those on which people said the same: good, or not good."
            ),
            "kappa": column.NumberColumn("Kappa", format="%.2f", help="Agreement beyond chance: 0 none, 1 all."),
            "leniency": column.TextColumn("Bias", alignment="right", help="Its mean quality less that of people."),
        },
        file=f"tierwise-sources-{view.since}-{view.until}.csv",
        alt="Labels by who gave them, with their mean quality and agreement with people",
    )


def checks(frame: pd.DataFrame, view: View) -> None:
    """Show where checks turn answers down."""
    column = st.column_config
    most = max(10.0, 100 * float(frame[["share", "escalated"]].max().max()))
    bar: dict[str, Any] = {"format": "%.1f%%", "min_value": 0, "max_value": most, "color": "red"}
    tables.show(
        frame.assign(escalated=frame["escalated"] * 100, feature=frame["feature"].replace("", "(no feature)")),
        key="checks",
        columns={
            "feature": column.TextColumn("Feature", pinned=True, width=150),
            "tier": column.TextColumn("Tier", width=110),
            "checked": column.NumberColumn("Answers checked", format="localized"),
            "failed": column.NumberColumn("Failed", format="localized"),
            "share": column.ProgressColumn("Share failed", **bar),
            "escalated": column.ProgressColumn(
                "Drafts refused", **bar, help="Requests whose draft a check refused, so that the next tier answered."
            ),
        },
        file=f"tierwise-checks-{view.since}-{view.until}.csv",
        alt="Features and tiers whose answers checks turn down, the most troubled first",
    )


def interval(found: Mean) -> str:
    """Write an interval: ``58.0% to 66.0%``."""
    return f"{wording.share(found.low)} to {wording.share(found.high)}"
