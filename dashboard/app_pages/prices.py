"""Prices: what each model in use costs and since when; edits show their effect on spend before they are kept."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import pandas as pd
import streamlit as st

from dashboard import charts, data, filters, rates, refreshing, tables, ui, wording
from dashboard.data import Stamp
from dashboard.filters import View
from router_core.errors import ConfigError, NoSupportError, TierwiseError
from router_core.ledger.price_rows import add_prices
from router_core.prices import ANY_PROVIDER, Price

REVISION = "prices_revision"  # a new key gives the editor a fresh start after saving


def main() -> None:
    stamp = data.stamp()
    window = data.window(stamp)
    live = data.live(stamp)
    place = ui.header("Prices")
    today = datetime.now(UTC).date()
    view = None
    with place.controls:
        if window.last_day is not None:
            view = filters.last(window.last_day, filters.choose_days())
        ui.share_link()
    frame = rates.in_use(
        data.prices(stamp), live.config, today, None if view is None else data.spend(stamp, view, ("model",))
    )
    missing = int((frame["layer"] == "").sum())
    with place.caption:
        ui.about(
            "US dollars per million tokens",
            wording.plural(len(frame), "model") + " in use",
            f"{missing} without a price" if missing else "all with a price",
            demo=window.is_demo,
        )
    edit(stamp, frame, view, today)
    with ui.card("A newer list", "what it would change, to be looked at and taken", key="refresh", tall=False):
        refreshing.show(stamp, view, today)
    with ui.card("History", "every dated price of one model", key="history"):
        _history(stamp, frame)


@st.fragment
def edit(stamp: Stamp, frame: pd.DataFrame, view: View | None, today: date) -> None:
    """The table and, below it, what the edits would do."""
    ui.heed()
    with ui.card("Models in use", "unpriced first, then dearest; edit a rate to see its effect", key="in_use"):
        edited = tables.price_editor(frame, days=None if view is None else view.days, key=_key())
    changed = rates.changed(frame, edited)
    if changed.empty:
        return
    left, right = st.columns([3, 2])
    with right, ui.card("Keep these prices", wording.plural(len(changed), "model"), key="keep"):
        since = st.date_input(
            "Valid from", value=today, key="valid_from", help="UTC date. Calls made earlier keep the price they had."
        )
        layer = st.segmented_control(
            "Layer",
            ["contract", "manual"],
            default="manual",
            required=True,
            key="layer",
            help="Manual stands above contract, and contract above the catalogue.",
        )
        note = st.text_input("Note", key="price_note", max_chars=200, placeholder="Where does this price come from?")
        try:
            added = rates.as_prices(changed, since if isinstance(since, date) else today, str(layer), note)
        except ConfigError as error:
            st.warning(ui.refusal(error), icon=":material/info:")
            return
        with st.container(horizontal=True):
            st.button(
                f"Save {wording.plural(len(added), 'price')}",
                type="primary",
                key="save_prices",
                on_click=_save,
                args=(added,),
            )
            st.button("Undo edits", key="undo_prices", on_click=_fresh)
    with left, ui.card("Effect on spend", _effect_note(view), key="effect"):
        _effect(stamp, view, added)


def _effect_note(view: View | None) -> str:
    return "" if view is None else f"had these prices held from {wording.span(view.since, view.until)}; exact"


def _effect(stamp: Stamp, view: View | None, added: list[Price]) -> None:
    try:
        if view is None:
            raise NoSupportError("There are no requests yet, so there is no effect to show.")
        effect = data.price_effect(stamp, view.since, view.until, added)
    except NoSupportError as error:
        st.caption(str(error))
        return
    before, change = effect["usd"].sum(), effect["change"].sum()
    with st.grid(3, min_column_width=130, gap=14):
        ui.metric("As charged", wording.dollars(before), f"{view.days} days", good="neither", arrow=False)
        ui.metric(
            "With these prices",
            wording.dollars(before + change),
            wording.dollars(change, signed=True),
            against="change",
            good="down",
        )
        ui.metric(
            "Relative change",
            wording.share(change / before if before else None, signed=True),
            wording.dollars(change / view.days * 365, signed=True),
            against="a year",
            good="down",
        )
    tables.price_effect(effect[effect["change"] != 0])


def _save(added: list[Price]) -> None:
    try:
        ledger = data.ledger()
        add_prices(ledger, added)
        for price in added:
            detail = f"{price.provider_name} {price.model} from {price.effective_from}, {price.layer}"
            ledger.event(data.author(), "price", detail)
    except TierwiseError as error:
        ui.say(ui.refusal(error), done=False)
    else:
        ui.say(f"{wording.plural(len(added), 'price')} kept. Older ones stay, and calls already made keep theirs.")
        _fresh()


def _fresh() -> None:
    st.session_state[REVISION] = st.session_state.get(REVISION, 0) + 1


def _key() -> str:
    return f"prices_{st.session_state.get(REVISION, 0)}"


@st.fragment
def _history(stamp: Stamp, frame: pd.DataFrame) -> None:
    pairs = zip(frame["provider"].astype(str), frame["model"].astype(str), strict=True)
    names = {
        model if provider == ANY_PROVIDER else f"{model} ({provider})": (provider, model) for provider, model in pairs
    }
    chosen = st.selectbox(
        "Model", list(names), key="model", bind="query-params", label_visibility="collapsed", width=320
    )
    if chosen not in names:
        return
    rows = data.prices(stamp).history(*names[chosen])
    if not rows:
        st.caption(f"No price of {chosen} is known yet: write one in the table above.")
        return
    ui.figure(
        charts.price_history(rates.steps(rows, datetime.now(UTC).date())),
        key="price_history",
        alt=f"Rates of {chosen} over time, in US dollars per million tokens",
    )
    winner = data.prices(stamp).find(*names[chosen], time.time_ns() // 1_000_000)
    tables.price_rows(rates.as_frame(rows, winner))


main()
