"""Versions: what was live when, who changed it and why, what was promised and what came of it, and the way back."""

from __future__ import annotations

from typing import Final

import pandas as pd
import streamlit as st

from dashboard import data, promise_charts, promises, tables, ui, wording
from dashboard.draft import difference, told
from router_core.config import diff_configs, dump_config
from router_core.errors import TierwiseError
from router_core.lifecycle import versions
from router_core.lifecycle.track_record import PushOutcome
from router_core.lifecycle.versions import Version

MOST_CHANGES = 12
_WELCOME: Final[dict[bool | None, ui.Good]] = {True: "this", False: "not this", None: "neither"}


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
    record = promises.record(stamp)
    if record:
        _record(record, past)
    number = _choose(past, stamp, record)
    by_number = {version.version: version for version in past}
    chosen = by_number[number]
    left, right = st.columns([3, 2])
    before = by_number.get(number - 1)
    with left, ui.card(f"What version {number} changed", f"against version {number - 1}" if before else "", key="diff"):
        if chosen.note:
            st.markdown(f"*{chosen.note}*")
        changes = told(before.config, chosen.config) if before else []
        for change in changes[:MOST_CHANGES]:
            st.caption(f":material/arrow_right: {change}")
        text = difference(dump_config(before.config), dump_config(chosen.config)) if before else ""
        if text:
            st.code(text, language="diff")
        else:
            st.caption("The first configuration." if before is None else "Nothing: it repeats an earlier one.")
    with right:
        with ui.card("Promised and come", "when it was pushed, and since", key="foretold", tall=False):
            _foretold(chosen, promises.of(record, number))
        with ui.card("Roll back", key="back", tall=False):
            _roll_back(chosen, live)


def _record(record: list[PushOutcome], past: list[Version]) -> None:
    """Show how far promises can be trusted: how many held, and by how much each was off."""
    judged = sum(one.held is not None for one in record)
    newest = record[-1]
    with st.grid(4, min_column_width=165, gap=14):
        ui.metric(
            "Promises kept",
            promises.kept(record),
            f"{judged} of {wording.plural(len(record), 'push', 'pushes')}",
            against="judged",
            good="neither",
            arrow=False,
            help="A push promises a saving and a change in quality. Each is kept where promise and what came lie no "
            "further apart than both their 95% intervals allow. At least 200 requests have to come first.",
        )
        ui.metric(
            f"Saving promised, v{newest.version}",
            wording.share(newest.saving.promised),
            wording.share(newest.saving.realised),
            against="came",
            good="neither",
            arrow=False,
        )
        ui.metric(
            f"Quality promised, v{newest.version}",
            wording.points(newest.quality.promised),
            wording.points(newest.quality.realised),
            against="came",
            good="neither",
            arrow=False,
        )
        ui.metric(
            "Requests since",
            wording.count(newest.decisions),
            f"{newest.days:,.1f} days",
            good="neither",
            arrow=False,
            help=f"Decided by version {newest.version}, of {wording.plural(len(past), 'version')}.",
        )
    left, right = st.columns(2)
    with left, ui.card("Saving", "of what the version before would have cost", key="savings_kept"):
        ui.figure(
            promise_charts.kept(promises.points(record, "saving"), "share"),
            key="savings_figure",
            alt="Saving that each push promised and that came, with 95% intervals",
        )
    with right, ui.card("Quality", "change against the version before", key="qualities_kept"):
        ui.figure(
            promise_charts.kept(promises.points(record, "quality"), "points"),
            key="qualities_figure",
            alt="Change in quality that each push promised and that came, with 95% intervals",
        )
    with ui.card("Promises", "on the traffic that came", key="promises_card", tall=False):
        promises.table(record)
        for one in record:
            for sentence in one.notes:
                st.caption(f":material/info: v{one.version}: {wording.sentence(sentence)}")


def _choose(past: list[Version], stamp: data.Stamp, record: list[PushOutcome]) -> int:
    """Show the history and return the version to look at: the one of the URL, or the newest."""
    numbers = [version.version for version in past]
    rows = [
        _row(version, older, stamp, promises.of(record, version.version))
        for version, older in zip(past, [*past[1:], None], strict=True)
    ]
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


def _row(version: Version, older: Version | None, stamp: data.Stamp, came: PushOutcome | None) -> dict[str, object]:
    changes = diff_configs(older.config, version.config) if older else []
    saving = ((version.projection or {}).get("saving_share") or {}).get("value")
    return {
        "version": version.version,
        "when": wording.moment(version.created_at_ms, data.zone(stamp)),
        "author": version.author,
        "note": version.note,
        "changes": "; ".join(str(change) for change in changes[:3]) + (" …" if len(changes) > 3 else ""),
        "foretold": saving,
        "came": None if came is None else came.saving.realised,
    }


def _foretold(version: Version, came: PushOutcome | None) -> None:
    foretold = version.projection
    if not foretold or came is None:
        st.caption("Nothing was projected for this version, so it promised nothing.")
        return
    with st.grid(2, min_column_width=150, gap=14):
        for title, one, unit in (("Saving", came.saving, "share"), ("Quality", came.quality, "points")):
            ui.metric(
                title,
                promises.promised(one, unit).partition(" (")[0],
                promises.KEPT[one.held],
                good=_WELCOME[one.held],
                arrow=False,
            )
    st.caption(
        f"Saving promised {promises.promised(came.saving, 'share')}; came {promises.came(came.saving, 'share')}."
    )
    st.caption(
        f"Quality promised {promises.promised(came.quality, 'points')}; came {promises.came(came.quality, 'points')}."
    )
    days = foretold.get("window", {}).get("days")
    st.caption(
        f"Promised on {wording.plural(foretold['decisions'], 'request')} of {wording.plural(days or 0, 'day')}; "
        f"judged on {wording.plural(came.decisions, 'request')} of {came.days:,.1f} days since."
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
