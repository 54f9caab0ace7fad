"""What wants attention now: every alert of the ledger, gathered, and shown as one list with a way to its page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date
from typing import Final
from urllib.parse import parse_qsl

import streamlit as st

from dashboard import data, outlook, ui, wording
from dashboard.data import Stamp
from dashboard.filters import View
from router_core.errors import TierwiseError
from router_core.ledger.alert_notices import Notice, notices, see, unsee
from router_core.lifecycle import attention
from router_core.lifecycle.alerts import Alert, stated

SHOWN: Final = 4
PAGES: Final = {
    "tiers": ("Tiers", ":material/alt_route:"),
    "quality": ("Quality", ":material/verified:"),
    "prices": ("Prices", ":material/sell:"),
    "health": ("Health", ":material/monitor_heart:"),
}
_MARKS: Final = {"bad": ":red[:material/error:]", "watch": ":orange[:material/warning:]"}


def found(stamp: Stamp, view: View) -> list[Alert]:
    """Return all that wants attention, the worst first; ``view`` is where rates are looked at, for all traffic."""
    today = outlook.today(data.window(stamp))
    return stated([*_in_sums(stamp, view.since, view.until, today), *_now(stamp)])


@st.cache_data(max_entries=12, show_spinner=False)
def _in_sums(stamp: Stamp, since: date, until: date, today: date) -> list[Alert]:
    return attention.of_sums(data.ledger(), data.live(stamp).config, data.window(stamp), since, until, today)


@st.cache_data(max_entries=2, ttl=5, show_spinner=False)
def _now(stamp: Stamp) -> list[Alert]:
    return attention.of_now(data.ledger(), data.live(stamp).config, time.time_ns() // 1_000_000)


def show(listed: Sequence[Alert]) -> None:
    """Show alerts as one list, those that somebody has seen apart, or say that there are none."""
    known = notices(data.ledger())
    seen = {alert.key: known[alert.key] for alert in listed if alert.key in known and known[alert.key].seen_at_ms}
    fresh = [alert for alert in listed if alert.key not in seen]
    if not listed:
        st.caption(
            ":material/check: Nothing needs attention: budgets, forecast, prices, fall-backs, quality, endpoints and "
            "sums were looked at."
        )
        return
    note = "each stated once for its threshold and period"
    with ui.card("Needs attention" if fresh else "Nothing new", note, key="attention", tall=False):
        for alert in fresh[:SHOWN]:
            _line(alert)
        if len(fresh) > SHOWN:
            with st.expander(f"{wording.plural(len(fresh) - SHOWN, 'more', 'more')}"):
                for alert in fresh[SHOWN:]:
                    _line(alert)
        if seen:
            with st.expander(f"{wording.plural(len(seen), 'alert')} seen already, until the cause is another"):
                for alert in listed:
                    if alert.key in seen:
                        _line(alert, seen[alert.key])


def _line(alert: Alert, seen: Notice | None = None) -> None:
    page, _, query = alert.page.partition("?")
    label, icon = PAGES[page]
    with st.container(key=f"alert_{alert.id}", horizontal=True, gap="small", vertical_alignment="center"):
        sentence = f"{_MARKS[alert.severity]} {alert.sentence}"
        if seen is not None and seen.seen_at_ms is not None:
            ago = wording.ago(time.time_ns() // 1_000_000 - seen.seen_at_ms)
            sentence += f" :gray[Seen by {seen.seen_by}, {ago}.]"
        st.markdown(sentence.replace("$", "\\$"), width="stretch")
        st.page_link(
            f"app_pages/{page}.py", label=label, icon=icon, query_params=dict(parse_qsl(query)) or None, width="content"
        )
        st.button(
            "Seen" if seen is None else "Show again",
            key=f"see_{alert.id}",
            icon=":material/visibility_off:" if seen is None else ":material/visibility:",
            type="tertiary",
            help="Put it aside for everybody, and tell no webhook, until its cause is another."
            if seen is None
            else "Put it back among the others.",
            on_click=_put_aside if seen is None else _put_back,
            args=(alert,),
        )


def _put_aside(alert: Alert) -> None:
    at_ms = time.time_ns() // 1_000_000
    try:
        see(data.ledger(), alert.key, who=data.author(), sentence=alert.sentence, at_ms=at_ms)
    except TierwiseError as error:
        ui.say(ui.refusal(error), done=False)


def _put_back(alert: Alert) -> None:
    try:
        unsee(data.ledger(), alert.key, who=data.author(), sentence=alert.sentence)
    except TierwiseError as error:
        ui.say(ui.refusal(error), done=False)
