"""Reconcile: drop an invoice, and see where it differs from what was metered here, by how much and likely why."""

from __future__ import annotations

import streamlit as st

from dashboard import data, importing, reconciling, ui, wording
from router_core.errors import InputError
from router_core.exchange.reconcile import TOLERANCE, Reconciliation


def main() -> None:
    stamp = data.stamp()
    window = data.window(stamp)
    place = ui.header("Reconcile")
    with place.controls:
        tolerance = st.segmented_control(
            "Tolerance",
            reconciling.TOLERANCES,
            default=TOLERANCE,
            required=True,
            format_func=lambda share: "±" + f"{share:.1%}".replace(".0%", "%"),
            key="tolerance",
            label_visibility="collapsed",
            help="Differences up to this share of a bill count as agreement.",
        )
    with place.caption:
        ui.about("metered here against billed", "by provider, model and day (UTC)", demo=window.is_demo)
    if window.is_demo:
        st.info(
            "This ledger holds simulated traffic, which no invoice will match. Start the dashboard over a ledger of "
            "your own to reconcile.",
            icon=":material/science:",
        )
    with ui.card("An invoice", "told by its content; nothing is kept of it", key="drop", tall=False):
        file = st.file_uploader("An invoice", key="invoice", label_visibility="collapsed")
        if file is None:
            st.caption(
                "OpenAI costs (JSON or CSV), an Anthropic cost report, or a CSV with such columns as day, model, cost, "
                "and `provider` where it has one."
            )
            return
        entry = st.container()
    try:
        with entry:
            rates = importing.rates()
        result = reconciling.compared(file, file.name, tolerance, rates)
    except InputError as error:
        st.warning(wording.sentence(error), icon=":material/info:")
        return
    _figures(result)
    frame = reconciling.frame_of(result)
    apart = frame[~frame["agrees"]]
    left, right = st.columns([3, 2])
    chart, of = reconciling.side_by_side(frame)
    with left, ui.card("Metered and billed", f"by {of}, US dollars", key="beside"):
        ui.figure(chart, key="side_by_side", alt=f"Metered and billed by {of}")
    with right, ui.card("What the difference is made of", "billed less metered", key="why"):
        if apart.empty:
            st.caption("Every line agrees.")
        else:
            reconciling.reasons(reconciling.by_reason(frame))
    with ui.card("Lines", _note(result, len(apart)), key="line_card", tall=False):
        everything = st.toggle("Also those that agree", key="all_lines", value=apart.empty)
        shown = frame if everything else apart
        if shown.empty:
            st.caption("Every line agrees.")
        else:
            reconciling.lines(shown, f"{result.since}-{result.until}")
    for sentence in result.notes:
        st.caption(sentence)
    if result.rejected:
        lost = wording.plural(result.rejected, "line")
        st.warning(f"{lost} of the invoice could not be read and are in no sum.", icon=":material/info:")


def _note(result: Reconciliation, apart: int) -> str:
    agreeing = len(result.lines) - apart
    return f"{result.title}; {wording.count(agreeing)} of {wording.plural(len(result.lines), 'line')} agree"


def _figures(result: Reconciliation) -> None:
    share = result.difference_nusd / result.billed_nusd if result.billed_nusd else None
    unpriced = sum(line.unpriced_calls for line in result.lines)
    days = wording.span(result.since, result.until)
    with st.grid(4, min_column_width=165, gap=14):
        ui.metric("Billed", wording.usd(result.billed_nusd), days, good="neither", arrow=False)
        ui.metric("Metered here", wording.usd(result.metered_nusd), "at list prices", good="neither", arrow=False)
        ui.metric(
            "Difference",
            wording.usd(result.difference_nusd, signed=True),
            wording.share(share, signed=True),
            against="of the bill",
            good="neither",
            arrow=False,
            help="Billed less metered.",
        )
        ui.metric("Calls without a price", wording.count(unpriced), help="They are no part of what was metered.")


main()
