"""What a draft changes beside its projection: ranges, marked as such, of cascades and compression."""

from __future__ import annotations

from typing import Any, Final

import streamlit as st

from dashboard import ui, wording
from router_core.projection import Projection
from router_core.projection.result import Range

TITLES: Final = {"cascade": "Cascade", "compress": "Compression"}


def show(projection: Projection) -> None:
    """Show each range that comes on top of the figures; nothing where the figures hold all that the draft changes."""
    if not projection.ranges:
        return
    with ui.card("On top of these figures", "ranges, not intervals: all that it may come to", key="ranges", tall=False):
        for one in projection.ranges:
            _range(one)


def _range(one: Range) -> None:
    title = TITLES[one.setting]
    with st.grid(2, min_column_width=165, gap=12):
        ui.metric(
            f"{title}: cost, range",
            ends(one.cost_low, one.cost_high, wording.usd),
            help="From the least to the most it may add; nothing is said of what is likely in between.",
        )
        ui.metric(
            f"{title}: quality, range",
            "taken as it is" if one.setting == "compress" else ends(one.quality_low, one.quality_high, wording.points),
            help="Of the mean over all requests. Unknown where nothing is judged.",
        )
    st.caption(f":material/width: {' '.join(one.said)}")


def ends(low: Any, high: Any, write: Any) -> str:
    """Write both ends of a change, or the one that they are."""
    if low is None and high is None:
        return wording.UNKNOWN
    least, most = (wording.UNKNOWN if end is None else str(write(end, signed=True)) for end in (low, high))
    if least == most:
        return most
    return f"{least.removesuffix(' pp')} to {most}"
