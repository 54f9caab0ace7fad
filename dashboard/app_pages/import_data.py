"""Import data: drop a log or a report, see what it is and what its rows become, then load it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import data, importing, ui, wording
from dashboard.importing import Done
from router_core.errors import InputError, TierwiseError
from router_core.exchange.currencies import Rate
from router_core.exchange.preview import Preview
from router_core.exchange.sniff import FORMATS


def main() -> None:
    stamp = data.stamp()
    window = data.window(stamp)
    place = ui.header("Import data")
    with place.caption:
        ui.about(
            "logs become evidence, reports become spend",
            "importing a file again changes nothing",
            f"days counted in {window.timezone}",
            demo=window.is_demo,
        )
    target = importing.own_ledger() if window.is_demo else data.database()
    if window.is_demo:
        _keep_apart(target)
    with ui.card("A file", "CSV, JSON, JSON lines or Parquet, told by its content", key="drop", tall=False):
        file = st.file_uploader("A log or a report", key="file", label_visibility="collapsed")
        if file is None:
            _known()
            return
        entry = st.container()
    try:
        with entry:
            rates = importing.rates()
        seen = importing.look(file, file.name, rates)
    except InputError as error:
        st.warning(wording.sentence(error), icon=":material/info:")
        return
    if target is not None:
        _load(file, seen, rates, target)
    _seen(seen, importing.book(stamp))


def _keep_apart(target: str | None) -> None:
    """Say why nothing real is loaded here, and what happens instead."""
    told = "This ledger holds simulated traffic, and real rows are never mixed with it. "
    if target is None:
        told += "Start the dashboard over a ledger of your own, and drop the file there."
    else:
        told += f"Look at a file here as you like: what you import goes into a ledger of its own, `{target}`."
    st.info(told, icon=":material/science:")


def _known() -> None:
    """Say whose files can be dropped, and what they are good for."""
    tools: dict[str, dict[str, None]] = {"evidence": {}, "spend": {}}
    for known in FORMATS:
        tools[importing.HOLDS[known.holds][0]].setdefault(known.title.split()[0])
    st.caption(f"**Logs of single requests become evidence:** {', '.join(tools['evidence'])}.")
    st.caption(f"**Reports of sums become spend:** {', '.join(tools['spend'])}.")
    st.caption("Larger files, and many of them, by the command: `tierwise import auto FILE`.")


def _seen(seen: Preview, book: Any) -> None:
    """Show the first rows of the file as what they become."""
    note = f"the first {wording.plural(len(seen.items), 'row')} that can be used"
    with ui.card("What its rows become", note if seen.items else "", key="seen", tall=False):
        if seen.items:
            importing.rows(importing.becomes(seen.items, book))
        else:
            st.caption("None of its first rows can be used.")
        if seen.rejected:
            st.caption(
                f"{wording.plural(len(seen.rejected), 'row')} among these cannot be used and would be put aside:"
            )
            importing.rejected(_frame(seen.rejected))


def _load(file: Any, seen: Preview, rates: Sequence[Rate], target: str) -> None:
    """Say what the file is, offer to import it, show how far that is, and then what it did."""
    done = importing.done(file.file_id)
    if done is not None:
        _result(done)
        return
    kind, sentence = importing.HOLDS[seen.holds]
    with ui.card(seen.title, wording.size(file.size), key="import_card", tall=False):
        with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
            st.badge(kind, color="violet" if kind == "evidence" else "blue")
            st.caption(sentence, width="content")
        slot = st.empty()
        if not slot.button(f"Import {file.name}", key="import", type="primary", icon=":material/download:"):
            st.caption(f"Into {target.rsplit('@', 1)[-1]}.")
            return
        bar = slot.progress(0.0, "Reading")

        def progress(position: int, size: int | None) -> None:
            bar.progress(min(1.0, position / file.size), f"{wording.size(position)} of {wording.size(file.size)}")

        try:
            importing.load(file, file.name, rates, target, progress)
        except TierwiseError as error:
            slot.empty()
            st.warning(
                f"{wording.sentence(error)} What was loaded until then stays; importing again goes on with it.",
                icon=":material/info:",
            )
            return
    st.rerun()


def _result(done: Done) -> None:
    """Show the account of an import, with the rows that were put aside to take away."""
    report = done.report
    with ui.card("Imported", f"{report.title}, {done.name}", key="result", tall=False):
        with st.grid(7, min_column_width=125, gap=14):
            for label, value, help in importing.figures(report):
                ui.metric(label, value, help=help)
        st.caption(" ".join(importing.remarks(report)))
        if report.duplicates and not report.loaded:
            st.caption("Nothing new: all of this file that can be used was there already.")
        if done.rejects is not None:
            path = done.rejects
            importing.rejected(_frame(report.rejects))
            st.download_button(
                f"Download {wording.plural(report.rejected, 'rejected row')}",
                path.read_bytes,
                file_name=f"{done.name}.rejects.jsonl",
                mime="application/jsonl",
                key="rejects",
                icon=":material/download:",
                on_click="ignore",
            )
        if done.database != data.database():
            st.caption("Look at it, and at nothing simulated, with:")
            st.code(f"tierwise dashboard --db {done.database}", language="bash")
        elif report.holds == "spend":
            st.page_link("app_pages/reconcile.py", label="Set an invoice against it", icon=":material/balance:")
        elif report.decisions:
            st.page_link("app_pages/overview.py", label="Look at what it costs", icon=":material/space_dashboard:")


def _frame(rejected: Any) -> pd.DataFrame:
    return pd.DataFrame([{"line": one.line, "reason": one.reason, "raw": one.raw[:300]} for one in rejected])


main()
