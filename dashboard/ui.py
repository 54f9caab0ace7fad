"""Parts of pages: headers, figures of a row, cards, empty states, and sentences where something is wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Literal, NamedTuple

import plotly.graph_objects as go
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import charts, wording
from dashboard.filters import View
from dashboard.sparkline import sparkline
from router_core.errors import LedgerError, TierwiseError

log = logging.getLogger("tierwise.dashboard")
_SAID = "said"


Good = Literal["up", "down", "neither", "this", "perhaps", "not this"]
"""Which direction of a change is welcome; or, of a remark, whether it is itself."""


class Place(NamedTuple):
    """Where a page's caption and controls go, once they are known."""

    caption: DeltaGenerator
    controls: DeltaGenerator


def header(title: str) -> Place:
    """Write a page's title with its controls at the right, and leave a line below for what its figures are of."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.title(title, anchor=False, width="stretch", wrap=False)
        controls = st.container(
            horizontal=True, horizontal_alignment="right", vertical_alignment="center", gap="xsmall", width="content"
        )
    caption = st.container(horizontal=True, vertical_alignment="center", gap="xsmall")
    said()
    return Place(caption, controls)


def about(*parts: str, demo: bool = False) -> None:
    """Write the line under a title: what the figures are of."""
    if demo:
        st.badge("Demo data", color="orange", help="Simulated traffic, made by 'tierwise demo'.")
    st.caption(" · ".join(part for part in parts if part), width="content")


def say(sentence: str, *, done: bool = True) -> None:
    """Keep a sentence for the next run to show: what a callback did, or why it did nothing."""
    st.session_state[_SAID] = (sentence, done)


def heed() -> None:
    """In a fragment: draw the whole page anew where a callback said something, for what it did concerns all of it."""
    if _SAID in st.session_state:
        st.rerun()


def said() -> None:
    """Show what the last callback said, once."""
    sentence, done = st.session_state.pop(_SAID, ("", True))
    if sentence and done:
        st.toast(sentence, icon=":material/check_circle:", duration="long")
    elif sentence:
        st.warning(sentence, icon=":material/info:")


@contextmanager
def card(title: str, note: str = "", *, key: str, help: str | None = None, tall: bool = True) -> Iterator[None]:
    """A bordered part of the page with a heading and, beside it, what its figures are."""
    with st.container(border=True, key=key, gap="xsmall", height="stretch" if tall else "content"):
        st.markdown(f"**{title}** :small[:gray[{note}]]" if note else f"**{title}**", help=help)
        yield


def figure(chart: go.Figure, *, key: str, alt: str) -> None:
    """Show a figure under a stable key, with words for those who cannot see it."""
    st.plotly_chart(chart, key=key, config=charts.CONFIG, alt=alt)


def metric(
    label: str,
    value: str,
    change: str | None = None,
    *,
    against: str = "",
    good: Good = "up",
    trend: Sequence[float] | None = None,
    arrow: bool = True,
    help: str | None = None,
) -> None:
    """One figure of a row; ``change`` is written with its sign, and ``good`` says which direction of it is welcome.

    ``arrow`` is off where it is no change but a remark, which may itself be welcome (``this``) or not.
    """
    unchanged = arrow and change is not None and not change.startswith(("-", "+"))
    colours: dict[str, Any] = {"up": "normal", "down": "inverse", "neither": "off", "this": "green"}
    colours |= {"perhaps": "orange", "not this": "red"}
    line = trend if trend is not None and len(trend) > 2 else ()
    with st.container(border=True, height="stretch", gap="xxsmall") if line else nullcontext():
        st.metric(
            label,
            value,
            "no change" if unchanged else change,
            delta_color="off" if unchanged else colours[good],
            delta_arrow="auto" if arrow and not unchanged else "off",
            delta_description=against if change is not None else None,
            border=not line,
            help=help,
            height="content" if line else "stretch",
        )
        if line:
            # Streamlit's own lines in a metric load another library of figures, and take as long as three of Plotly's.
            st.html(sparkline(line, f"{label} by day"))


def empty(title: str, sentence: str, command: str = "", *, icon: str = ":material/inbox:") -> None:
    """Say that there is nothing to show, and what to do next."""
    with st.container(border=True, horizontal_alignment="center", gap="xsmall"):
        st.space("medium")
        st.markdown(f"### {icon}", width="content", anchors=False)
        st.markdown(f"**{title}**", width="content")
        st.markdown(sentence, width="content", text_alignment="center")
        if command:
            st.code(command, language=None, width="content", wrap_lines=True)
        st.space("medium")


def nothing_in_view(view: View) -> None:
    """Say that the chosen part of the ledger is empty."""
    empty(
        "Nothing in this view",
        f"There are no requests from {wording.span(view.since, view.until)} for what is chosen above. "
        "Choose another team or feature, or more days.",
        icon=":material/filter_alt_off:",
    )


def problem(error: Exception) -> None:
    """Say in one sentence what went wrong and what to do; the rest goes to the log."""
    if isinstance(error, LedgerError):
        empty(
            "The ledger cannot be read just now",
            f"{wording.sentence(error)} This page continues by itself once it can be read: reload it then.",
            icon=":material/database_off:",
        )
    elif isinstance(error, TierwiseError):
        st.warning(wording.sentence(error), icon=":material/info:")
    else:
        log.error("A page failed", exc_info=error)
        empty(
            "This page could not be drawn",
            f"Something unexpected happened ({type(error).__name__}); the server's log has the details. "
            "Reload the page, or open another one.",
            icon=":material/build:",
        )


def refusal(error: TierwiseError) -> str:
    """Return the sentence that says why something was not done."""
    return f"{wording.sentence(error)} Nothing was changed."


def no_traffic() -> None:
    """Say that the ledger holds no requests yet, and how to get some."""
    empty(
        "No requests yet",
        "Send traffic through the gateway with `tierwise serve`, or look around with simulated traffic:",
        "tierwise demo",
    )


def share_link() -> None:
    """Offer the address that shows this very view."""
    with st.popover("Share", icon=":material/link:", help="A link that opens this view"):
        query = "&".join(f"{name}={value}" for name in st.query_params for value in st.query_params.get_all(name))
        base = (st.context.url or "").split("?")[0]
        st.caption("This address opens the same view, as long as its data is there.")
        st.code(f"{base}?{query}" if query else base, language=None, wrap_lines=True)
