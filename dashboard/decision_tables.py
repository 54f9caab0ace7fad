"""Tables of the Explorer: a page of decisions to open, and one decision's calls, prices and judgements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, cast
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard import tables, wording
from router_core.ledger.labels import Label

LIST: Final = "decisions"
_BAD: Final = "#d6405a33"
_PLAIN: Final = "#64748b2b"
_GOOD: Final = "#0f9d6b33"
_STATUSES: Final = (
    "ok",
    "refused",
    "timeout",
    "rate limited",
    "context overflow",
    "bad answer",
    "aborted",
    "rejected",
    "blocked",
)
_SHOWN: Final = (
    "at",
    "feature",
    "tier",
    "reason",
    "score",
    "model",
    "usd",
    "latency",
    "status",
    "quality",
    "judged_by",
    "attempts",
    "input",
    "output",
    "team",
    "id",
)
_RATE: Final[dict[str, Any]] = {"format": "$%.6g"}


def page(frame: pd.DataFrame, zone: ZoneInfo, opened: Callable[[int], None]) -> None:
    """Show a page of decisions, newest first; choosing a row or a cell calls ``opened`` with the row's place."""

    def chosen() -> None:
        selection = cast(Any, st.session_state[LIST])["selection"]
        rows = [*selection["rows"], *(row for row, _ in selection["cells"])]
        if rows:
            opened(int(rows[0]))

    column = st.column_config
    shown = frame.assign(
        status=frame["status"].map(lambda name: [name]),
        quality=frame["quality"] * 100,
    )
    st.dataframe(
        shown,
        key=LIST,
        hide_index=True,
        row_height=tables.ROW,
        height="content",
        on_select=chosen,
        selection_mode=["single-row", "single-cell"],
        placeholder=wording.UNKNOWN,
        column_order=_SHOWN,
        column_config={
            "at": column.DatetimeColumn("Time", format="D MMM, HH:mm:ss", pinned=True, width=122, timezone=zone.key),
            "feature": column.TextColumn("Feature", width=125),
            "tier": column.TextColumn("Tier", width=90, help="The tier assigned."),
            "reason": column.TextColumn("By", width=72, help="What decided the tier."),
            "score": column.ProgressColumn("Score", format="%d", min_value=0, max_value=100, color="gray", width=90),
            "model": column.TextColumn("Answered by", width=135),
            "usd": column.NumberColumn("Cost", format="$%.5f", width=78),
            "latency": column.NumberColumn("Latency", format="%.1f s", width=68),
            "status": column.MultiselectColumn("Status", options=list(_STATUSES), color=_colours(), width=80),
            "quality": column.NumberColumn("Quality", format="%.0f%%", width=68),
            "judged_by": column.TextColumn("Judged by", width=80),
            "attempts": column.NumberColumn("Calls", width=55),
            "input": column.NumberColumn("Tokens in", format="localized", width=80),
            "output": column.NumberColumn("out", format="localized", width=60),
            "team": column.TextColumn("Team", width=100),
            "id": column.TextColumn("Id", width=280),
        },
        alt="Decisions, newest first; choose a row to open it",
    )


def _colours() -> list[str]:
    return [_GOOD if name == "ok" else _BAD for name in _STATUSES]


def calls(frame: pd.DataFrame, file: str) -> None:
    """Show the calls of one decision in the order they were made."""
    column = st.column_config
    tables.show(
        frame.assign(
            status=frame["status"].map(lambda name: [name]),
            role=["answer the caller got" if final else "" for final in frame["final"]],
            counted=["estimated" if estimated else "provider" for estimated in frame["estimated"]],
        ),
        key="calls",
        columns={
            "number": column.NumberColumn("#", pinned=True, width=38),
            "kind": column.TextColumn("Kind", pinned=True, width=88),
            "tier": column.TextColumn("Tier", width=92),
            "model": column.TextColumn("Model", width=145),
            "status": column.MultiselectColumn("Status", options=list(_STATUSES), color=_colours(), width=98),
            "why": column.TextColumn("Why", width=88, help="Why it was made, or why it failed."),
            "offset": column.NumberColumn("Began", format="%.2f s", width=68, help="After the request came in."),
            "latency": column.NumberColumn("Took", format="%.2f s", width=68),
            "input": column.NumberColumn("Tokens in", format="localized", width=78),
            "output": column.NumberColumn("out", format="localized", width=62),
            "usd": column.NumberColumn("List cost", format="$%.6f", width=82),
            "role": column.TextColumn("Result", width=140),
            "ttft": column.NumberColumn("First token", format="%.2f s", width=85),
            "cached": column.NumberColumn("Cached of in", format="localized", width=95),
            "reasoning": column.NumberColumn("Reasoning of out", format="localized", width=115),
            "counted": column.TextColumn("Counted by", width=85),
            "reported": column.NumberColumn("Reported cost", format="$%.6f", width=105),
            "provider": column.TextColumn("Provider", width=85),
            "price": column.NumberColumn("Price row", width=75),
        },
        file=file,
        alt="Calls made for this request, in order",
    )


def prices(frame: pd.DataFrame) -> None:
    """Show the price rows that priced a decision's calls."""
    column = st.column_config
    tables.listed(
        frame,
        key="priced",
        columns={
            "calls": column.TextColumn("Calls", pinned=True, width=55),
            "model": column.TextColumn("Model", width=140),
            "provider": column.TextColumn("Provider", width=80),
            "layer": column.TextColumn("Layer", width=80),
            "from": column.DateColumn("Valid from", format="D MMM YYYY", width=100, help="Empty: since it is known."),
            "input": column.NumberColumn("Input", **_RATE, width=75),
            "output": column.NumberColumn("Output", **_RATE, width=75),
            "cache_read": column.NumberColumn("Cache read", **_RATE, width=85),
            "cache_write": column.NumberColumn("Cache write", **_RATE, width=90),
            "processing": column.TextColumn("For", width=80),
            "source": column.TextColumn("Source"),
            "note": column.TextColumn("Note", width="medium"),
        },
        alt="Price rows that priced these calls, in US dollars per million tokens",
    )


def labels(found: Sequence[Label], zone: ZoneInfo) -> None:
    """Show what was said of one answer, oldest first."""
    column = st.column_config
    frame = pd.DataFrame(
        [
            {
                "when": wording.moment(label.labelled_at_ms, zone),
                "source": label.source.name.lower(),
                "quality": label.quality * 100,
                "needed": label.needed_tier,
                "author": label.author,
                "note": label.note,
            }
            for label in found
        ]
    )
    tables.listed(
        frame,
        key="labels",
        columns={
            "when": column.TextColumn("When", width=135),
            "source": column.TextColumn("By", width=80),
            "quality": column.NumberColumn("Quality", format="%.0f%%", width=75),
            "needed": column.TextColumn("Needed tier", width=110),
            "author": column.TextColumn("Who", width=90),
            "note": column.TextColumn("Note"),
        },
        alt="Judgements of this answer, oldest first",
    )
