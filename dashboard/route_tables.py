"""Tables of Tiers and routes: what each tier, model, feature, team, provider or route costs; why calls fell back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import tables, wording
from dashboard.filters import View

BY: Final = {
    "model": "Model",
    "feature": "Feature",
    "team": "Team",
    "provider": "Provider",
    "route": "Route",
    "tier": "Tier",
}
NAMELESS: Final = {**tables.NAMELESS, "provider": "(no call: cache)", "route": "(no route)"}
_WIDE: Final = {"route": 230, "model": 150, "tier": 100}


def broken_down(frame: pd.DataFrame, by: str, view: View, *, order: Sequence[str] = ()) -> None:
    """Show ``routes.broken_down``: in the given order where there is one, else dearest first."""
    column = st.column_config
    if order:
        place = {name: index for index, name in enumerate(order)}
        frame = frame.sort_values(by, key=lambda names: names.map(place).fillna(len(place)))
    # A model or provider is named where it answered, so what counts there is how often it stepped in for another.
    stepped_in = by in ("model", "provider")
    waits = "p50" in frame
    shown = frame.assign(**{by: frame[by].replace("", NAMELESS[by])}, interval=_between(frame))
    columns: dict[str, Any] = {
        by: column.TextColumn(BY[by], pinned=True, width=_WIDE.get(by, 125)),
        "usd": column.NumberColumn("Spend", format="dollar", width=76),
        "share": column.ProgressColumn("Share of spend", **tables.BAR, color="primary", width=98),
        "decisions": column.NumberColumn("Requests", format="localized", width=72),
        "usd_per_success": column.NumberColumn(
            "Per success", format="$%.5f", width=84, help="All cost divided by the requests that succeeded."
        ),
        "quality": column.NumberColumn("Quality", format="%.1f%%", width=62, help="Mean of judged answers."),
        "interval": column.TextColumn("95% interval", alignment="right", width=100),
        "labelled": column.NumberColumn("Judged", format="localized", width=60, help="Answers the quality rests on."),
        "failover_share": column.NumberColumn(
            "Stepped in" if stepped_in else "Fail-overs",
            format="%.2f%%",
            width=76,
            help="Requests it answered in place of another." if stepped_in else "Requests another model took over.",
        ),
        "escalation_share": column.NumberColumn(
            "Escalated", format="%.2f%%", width=72, help="Requests whose draft a check refused."
        ),
    }
    if waits:
        columns |= {
            name: column.NumberColumn(name, format="%.1f s", width=58, help="Latency of calls, all teams and features.")
            for name in ("p50", "p95", "p99")
        }
    if (frame["priced"] < 1).any():  # the page says of how many calls the price is known
        columns["priced"] = column.NumberColumn("Priced", format="%.1f%%", width=62, help="Calls with a known price.")
    tables.show(
        shown,
        key=f"routes_{by}",
        columns=columns,
        file=f"tierwise-{by}-{view.since}-{view.until}.csv",
        alt=f"Spend, requests, quality with its interval, fail-overs and escalations by {BY[by].lower()}",
    )


def deciders(frame: pd.DataFrame, view: View) -> None:
    """Show ``deciders.deciders``: who decided, how well, and what judging complexity cost."""
    column = st.column_config
    columns: dict[str, Any] = {
        "who": column.TextColumn("Decided by", pinned=True, width=205),
        "decisions": column.NumberColumn("Requests", format="localized", width=80),
        "share": column.ProgressColumn("Share of requests", **tables.BAR, color="primary", width=130),
        "quality": column.NumberColumn("Quality", format="%.1f%%", width=70, help="Mean of judged answers."),
        "interval": column.TextColumn("95% interval", alignment="right", width=105),
        "labelled": column.NumberColumn("Judged", format="localized", width=70, help="Answers the quality rests on."),
        "usd": column.NumberColumn(
            "Cost of scoring",
            format="dollar",
            width=105,
            help="List price of the calls made to score these requests, by any stage asked; empty where one has none.",
        ),
    }
    if frame["calls"].sum():
        columns |= {
            "usd_per_request": column.NumberColumn("A request", format="$%.6f", width=90),
            "calls": column.NumberColumn("Calls", format="localized", width=75, help="To a judge or for vectors."),
            "wait": column.NumberColumn("Took, mean", format="%.2f s", width=85),
        }
    tables.show(
        frame.assign(interval=_between(frame)),
        key="deciders",
        columns=columns,
        file=f"tierwise-deciders-{view.since}-{view.until}.csv",
        alt="Requests by who decided on their tier, with quality, its interval and the cost of scoring",
    )


def _between(frame: pd.DataFrame) -> list[str]:
    """Return intervals from ``low`` to ``high`` in words, empty where there is none."""
    return [
        "" if pd.isna(low) else f"{wording.share(low).removesuffix('%')} to {wording.share(high)}"
        for low, high in zip(frame["low"], frame["high"], strict=True)
    ]


def reasons(frame: pd.DataFrame, requests: int, view: View) -> None:
    """Show ``routes.reasons``: what happened to calls that were not the answer or not the first."""
    column = st.column_config
    most = max(0.1, 100 * float((frame["attempts"] / max(requests, 1)).max()))
    tables.show(
        frame.assign(share=frame["attempts"] / max(requests, 1), usd=frame["usd"].where(frame["unpriced"] == 0)),
        key="reasons",
        columns={
            "what": column.TextColumn("What happened", pinned=True, width=190),
            "model": column.TextColumn("Model called", width=165),
            "why": column.TextColumn("Reason on record", width=150),
            "attempts": column.NumberColumn("Calls", format="localized", width=70),
            "share": column.ProgressColumn(
                "Of requests", format="%.2f%%", min_value=0, max_value=most, color="gray", width=130
            ),
            "wait": column.NumberColumn("Took, mean", format="%.1f s", width=85),
            "usd": column.NumberColumn("Cost", format="dollar", width=75, help="Empty where a call has no price."),
        },
        file=f"tierwise-fallbacks-{view.since}-{view.until}.csv",
        alt="Calls that failed, were turned down or stepped in for others, by reason",
    )


def around(frame: pd.DataFrame, view: View) -> None:
    """Show ``overheads.around``: what serving costs beside first answers."""
    column = st.column_config
    tables.show(
        frame,
        key="around",
        columns={
            "what": column.TextColumn("Call made for", pinned=True, width=180),
            "calls": column.NumberColumn("Calls", format="localized"),
            "per_request": column.NumberColumn("A request", format="%.3f", help="Calls divided by requests."),
            "usd": column.NumberColumn("Spend", format="dollar"),
            "share": column.NumberColumn("Share of spend", format="%.1f%%"),
            "p50": column.NumberColumn("p50", format="%.1f s"),
            "p95": column.NumberColumn("p95", format="%.1f s"),
        },
        file=f"tierwise-overheads-{view.since}-{view.until}.csv",
        alt="Calls beside first answers by what they were made for, with their cost and latency",
    )


def cached(frame: pd.DataFrame, view: View) -> None:
    """Show ``overheads.cached``: what caches served and spared."""
    column = st.column_config
    tables.show(
        frame,
        key="cached",
        columns={
            "feature": column.TextColumn("Feature", pinned=True, width=118),
            "exact": column.NumberColumn("Same", format="localized", width=56, help="The very same request again."),
            "semantic": column.NumberColumn(
                "Alike", format="localized", width=50, help="Requests said a little otherwise."
            ),
            "share": column.NumberColumn("Share", format="%.1f%%", width=58, help="Of its requests."),
            "usd": column.NumberColumn(
                "Spared", format="dollar", width=72, help="At what its other requests cost on average."
            ),
        },
        file=f"tierwise-caches-{view.since}-{view.until}.csv",
        alt="Requests served from caches by feature, and what that spared",
    )
