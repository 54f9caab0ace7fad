"""Versions: what was live when, who changed it and why, what was foretold of it, and the way back."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import data, tables, ui, wording
from dashboard.draft import difference
from router_core.config import diff_configs, dump_config
from router_core.errors import TierwiseError
from router_core.lifecycle import versions
from router_core.lifecycle.versions import Version


def main() -> None:
    stamp = data.stamp()
    live = data.live(stamp)
    past = data.history(stamp)
    place = ui.header("Versions")
    with place.controls:
        ui.share_link()
    with place.caption:
        ui.about(
            f"version {live.version} is live",
            f"since {wording.moment(live.created_at_ms, data.zone(stamp))}",
            f"pushed by {live.author}",
            demo=data.window(stamp).is_demo,
        )
    number = _choose(past, stamp)
    by_number = {version.version: version for version in past}
    chosen = by_number[number]
    left, right = st.columns([3, 2])
    before = by_number.get(number - 1)
    with left, ui.card(f"What version {number} changed", f"against version {number - 1}" if before else "", key="diff"):
        text = difference(dump_config(before.config), dump_config(chosen.config)) if before else ""
        if text:
            st.code(text, language="diff")
        else:
            st.caption("The first configuration." if before is None else "Nothing: it repeats an earlier one.")
    with right:
        with ui.card("Foretold when it was pushed", key="foretold"):
            _foretold(chosen)
        with ui.card("Roll back", key="back"):
            _roll_back(chosen, live)


def _choose(past: list[Version], stamp: data.Stamp) -> int:
    """Show the history and return the version to look at: the one of the URL, or the newest."""
    numbers = [version.version for version in past]
    rows = [_row(version, older, stamp) for version, older in zip(past, [*past[1:], None], strict=True)]
    with ui.card("History", wording.plural(len(past), "version") + ", newest first", key="history_card", tall=False):
        tables.history(pd.DataFrame(rows))
    chosen = st.selectbox(
        "Version",
        numbers,
        format_func=lambda number: f"Version {number}",
        key="version",
        bind="query-params",
        label_visibility="collapsed",
        width=160,
    )
    return chosen if chosen in numbers else numbers[0]


def _row(version: Version, older: Version | None, stamp: data.Stamp) -> dict[str, object]:
    changes = diff_configs(older.config, version.config) if older else []
    saving = ((version.projection or {}).get("saving_share") or {}).get("value")
    return {
        "version": version.version,
        "when": wording.moment(version.created_at_ms, data.zone(stamp)),
        "author": version.author,
        "note": version.note,
        "changes": "; ".join(str(change) for change in changes[:3]) + (" …" if len(changes) > 3 else ""),
        "foretold": saving,
    }


def _foretold(version: Version) -> None:
    foretold = version.projection
    if not foretold:
        st.caption("Nothing was projected for this version.")
        return
    cost, saving, quality = foretold["cost_nusd"], foretold["saving_share"], foretold["quality"]
    with st.grid(2, min_column_width=150, gap=14):
        ui.metric(
            "Saving",
            wording.share(saving["value"]),
            wording.usd(cost["change"], signed=True),
            against="cost",
            good="down",
            help="Share of the cost of the days it was projected on.",
        )
        ui.metric(
            "Quality",
            wording.share(quality["projected"]),
            None if quality["change"] is None else wording.points(quality["change"]),
            good="up",
        )
    days = foretold.get("window", {}).get("days")
    st.caption(
        f"Projected on {wording.plural(foretold['decisions'], 'request')} of {wording.plural(days or 0, 'day')}."
    )


def _roll_back(chosen: Version, live: Version) -> None:
    if chosen.version == live.version:
        st.caption("This version is live. Choose an older one above to go back to it.")
        return
    st.caption(
        f"Makes the configuration of version {chosen.version} live again, as version {live.version + 1}. "
        "Nothing is lost: history only grows."
    )
    st.text_input("Note", key="rollback_note", max_chars=200, placeholder="Why go back?")
    st.button(
        f"Roll back to version {chosen.version}",
        key="rollback",
        type="primary",
        icon=":material/undo:",
        on_click=_go_back,
        args=(chosen.version, live.version),
    )


def _go_back(to: int, expected: int) -> None:
    note = st.session_state.get("rollback_note", "").strip()
    try:
        version = versions.rollback(data.ledger(), to, author=data.author(), note=note, expected=expected)
    except TierwiseError as error:
        ui.say(ui.refusal(error), done=False)
        return
    st.session_state["rollback_note"] = ""
    st.session_state["version"] = version.version
    ui.say(f"Version {version.version} is live: it is version {to} again. Running gateways use it within a second.")


main()
