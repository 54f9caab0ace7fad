"""Newer price lists: what one would change, what of it looks wrong, what it would do to spend, and taking it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import data, tables, ui, wording
from dashboard.data import Stamp
from dashboard.filters import View
from router_core.errors import NoSupportError, TierwiseError
from router_core.ledger.price_rows import accept_changes
from router_core.lifecycle.price_changes import price_changes, read_lists
from router_core.prices import FIRST_KNOWN, Price, shown_calls
from router_core.prices.lists import INSTALLED, installed_list, parse_price_list
from router_core.prices.refresh import Change, ended

FOUND: Final = "refresh_found"
_ROUND: Final = "refresh_round"
_FILE, _SHIPPED = "a file", "the one installed here"
_UPLOAD_MB: Final = 50
_MOST: Final = 300


@st.fragment
def show(stamp: Stamp, view: View | None, today: date) -> None:
    """Ask for a list, show what it would change, and take what is ticked; nothing changes before that."""
    ui.heed()
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        source = st.segmented_control(
            "List",
            [_SHIPPED, _FILE],
            default=_SHIPPED,
            required=True,
            key="refresh_source",
            label_visibility="collapsed",
        )
        asked = st.button("Compare", key="refresh_compare", icon=":material/difference:")
    file = None
    if source == _FILE:
        file = st.file_uploader(
            "LiteLLM's or models.dev's prices, as JSON", type=["json"], max_upload_size=_UPLOAD_MB, key="refresh_file"
        )
    if asked and (source == _SHIPPED or file is not None):
        with st.spinner("Comparing prices"):
            st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1  # its table starts with its own ticks
            st.session_state[FOUND] = _compared(None if file is None else (file.name, file.getvalue()), today)
    found: tuple[str, list[Change]] | str | None = st.session_state.get(FOUND)
    if found is None:
        st.caption(
            "Shows what would change, model by model. You tick what is right; calls already made keep their price."
        )
    elif isinstance(found, str):
        st.warning(found, icon=":material/info:")
    elif not found[1]:
        st.caption(f"{found[0]} says what is known here already: nothing to take.")
    else:
        _offer(stamp, view, *found)


def _compared(file: tuple[str, bytes] | None, today: date) -> tuple[str, list[Change]] | str:
    """Return the list's title and what it would change of models that are priced or used here, or why it cannot."""
    try:
        if file is None:
            offered, others = read_lists([INSTALLED])
        else:
            offered, others = parse_price_list(file[1], file[0]), [installed_list()]
        found = price_changes(data.ledger(), offered, today, others)
    except TierwiseError as error:
        return wording.sentence(error)
    return offered.title, [one for one in found if one.old or one.used]


def _offer(stamp: Stamp, view: View | None, title: str, found: Sequence[Change]) -> None:
    wary = sum(one.suspicious for one in found)
    st.caption(
        f"{title}: {wording.plural(len(found), 'model')} would change"
        + (f", {wording.count(wary)} of them to be looked at first: these are not ticked." if wary else ".")
        + (f" The first {_MOST} are shown; models in use come first." if len(found) > _MOST else "")
    )
    ticked = _table(found[:_MOST])
    chosen = [one for one, tick in zip(found, ticked, strict=False) if tick]
    rows = [row for one in chosen for row in one.new]
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.button(
            f"Take {wording.plural(len(rows), 'price')}",
            type="primary",
            key="refresh_take",
            disabled=not rows,
            on_click=_take,
            args=(chosen,),
        )
        st.caption(_effect(stamp, view, rows))


def _table(found: Sequence[Change]) -> Sequence[bool]:
    column = st.column_config
    frame = pd.DataFrame([_row(one) for one in found])
    edited = st.data_editor(
        frame,
        key=f"refresh_table_{st.session_state.get(_ROUND, 0)}",
        hide_index=True,
        row_height=tables.ROW,
        height="content" if len(frame) <= 10 else 11 * tables.ROW,
        disabled=[name for name in frame.columns if name != "take"],
        column_config={
            "take": column.CheckboxColumn("Take", width=60, pinned=True),
            "model": column.TextColumn("Model", width=230, pinned=True),
            "used": column.CheckboxColumn("In use", width=65),
            "old": column.TextColumn(
                "Now", width=170, help="Input / output / cache read / cache write, $ per million."
            ),
            "new": column.TextColumn(
                "Then", width=170, help="Input / output / cache read / cache write, $ per million."
            ),
            "since": column.TextColumn("From", width=95),
            "look": column.TextColumn("Look at", width=320),
        },
        alt="What a newer list would change, with a tick for each model to take",
    )
    return [bool(tick) for tick in edited["take"]]


def _row(one: Change) -> dict[str, Any]:
    first = one.new[0]
    before = next((row for row in one.old if shown_calls(row) == shown_calls(first)), None)
    look = [
        *one.marks,
        *(f"{other.title} says {_usd(other.rows[0])}" for other in one.disagreeing),
        *(f"the {row.layer} price {_usd(row)} stands above" for row in one.above),
        *(f"{len(one.new) - 1} more rows" for _ in one.new[1:2]),
        *(f"ends {shown_calls(row) or 'all other calls'}" for row in ended(one.old, one.new)),
    ]
    return {
        "take": not one.suspicious,
        "model": one.name,
        "used": one.used,
        "old": "–" if before is None else _usd(before),
        "new": _usd(first) + (f" ({shown_calls(first)})" if shown_calls(first) else ""),
        "since": "always" if first.effective_from == FIRST_KNOWN else wording.day(first.effective_from),
        "look": "; ".join(look),
    }


def _usd(row: Price) -> str:
    rates = (row.input_usd_per_mtok, row.output_usd_per_mtok, row.cache_read_usd_per_mtok, row.cache_write_usd_per_mtok)
    return " / ".join("–" if rate is None else f"{rate.normalize():f}" for rate in rates)


def _effect(stamp: Stamp, view: View | None, rows: Sequence[Price]) -> str:
    if view is None or not rows:
        return ""
    try:
        effect = data.price_effect(stamp, view.since, view.until, rows)
    except NoSupportError:
        return ""
    before, change = float(effect["usd"].sum()), float(effect["change"].sum())
    share = f" ({wording.share(change / before, signed=True)})" if before else ""
    return (
        f"Had they held from {wording.span(view.since, view.until)}: {wording.dollars(before + change)} instead of "
        f"{wording.dollars(before)}, {wording.dollars(change, signed=True)}{share}."
    )


def _take(chosen: Sequence[Change]) -> None:
    try:
        added = accept_changes(data.ledger(), chosen, data.author())
    except TierwiseError as error:
        ui.say(ui.refusal(error), done=False)
        return
    st.session_state.pop(FOUND, None)
    ui.say(f"{wording.plural(added, 'price')} of {wording.plural(len(chosen), 'model')} kept; older ones stay.")
