"""Review queue: a few answers of every tier, judged blind and by keyboard, so that routing can be measured."""

from __future__ import annotations

import random
from collections import Counter
from typing import Final

import pandas as pd
import streamlit as st

from dashboard import data, decisions, filters, reviewing, ui, wording
from dashboard.data import Stamp
from dashboard.filters import View
from dashboard.reviewing import EACH, GRADES, WANTED, Round, Said
from router_core.errors import LedgerError, TierwiseError
from router_core.ledger.record import Record
from router_core.lifecycle.versions import Version

ROUND, DRAWN, BEFORE, SINCE = "review_round", "review_drawn", "review_before", "review_since"
_GRADE_KEYS: Final = "ASDFG"


def main() -> None:
    stamp = data.stamp()
    window = data.window(stamp)
    place = ui.header("Review queue")
    if window.last_day is None:
        ui.no_traffic()
        return
    live = data.live(stamp)
    with place.controls:
        view = filters.choose(window.last_day, features=data.names(stamp, "feature"))
    tiers = live.config.tier_names
    _begin(stamp, view, tiers)
    current: Round = st.session_state[ROUND]
    with place.caption:
        ui.about(
            f"{EACH} answers of each tier from {wording.span(view.since, view.until)}",
            "tier and model stay hidden until you have answered",
            demo=window.is_demo,
        )
    if not current.ids:
        ui.empty(
            "Nothing left to review",
            "People have reviewed all answers of this view, or there are none. Choose more days or another feature.",
            icon=":material/task_alt:",
        )
        return
    done = len(current.said)
    st.progress(done / len(current.ids), text=f"{done} of {len(current.ids)} in this round")
    left, right = st.columns([3, 2])
    with left:
        if current.current is None:
            _finished(stamp, current, tiers)
        else:
            _ask(stamp, current, current.current, live, is_demo=window.is_demo)
    with right:
        _last(stamp, current, tiers)
        _progress(tiers)


def _begin(stamp: Stamp, view: View, tiers: tuple[str, ...]) -> None:
    """Draw a round where there is none, or where another part of the ledger is looked at by now."""
    of = (stamp.url, stamp.file, view, tiers)
    if st.session_state.get(DRAWN) != of or ROUND not in st.session_state:
        st.session_state[DRAWN] = of
        st.session_state[BEFORE] = reviewing.by_people(stamp, view)
        st.session_state[SINCE] = {}
        _draw(view, tiers)


def _draw(view: View, tiers: tuple[str, ...]) -> None:
    st.session_state[ROUND] = reviewing.new_round(view, tiers, random.SystemRandom().getrandbits(32))


def _ask(stamp: Stamp, current: Round, key: bytes, live: Version, *, is_demo: bool) -> None:
    try:
        record = reviewing.asked(stamp.file, key)
    except LedgerError:
        st.caption("This request has been removed from the ledger meanwhile.")
        st.button("Next", on_click=_skip, key="skip", shortcut="X")
        return
    with ui.card(f"Request {len(current.said) + 1}", record.decision.feature, key="asked", tall=False):
        _shown(record, is_demo=is_demo)
    with (
        ui.card("Which tier did it need?", "the cheapest whose answer would have done", key="needed", tall=False),
        st.container(horizontal=True, gap="xsmall"),
    ):
        for place, tier in enumerate(live.config.tier_names, start=1):
            st.button(
                tier,
                key=f"needs_{tier}",
                shortcut=str(place) if place < 10 else None,
                type="primary" if current.needed == tier else "secondary",
                on_click=_choose,
                kwargs={"needed": tier},
            )
    with (
        ui.card("How good was the answer?", "the one the caller got", key="grade", tall=False),
        st.container(horizontal=True, gap="xsmall"),
    ):
        for (quality, name), letter in zip(GRADES.items(), _GRADE_KEYS, strict=True):
            st.button(
                name,
                key=f"grade_{letter}",
                shortcut=letter,
                type="primary" if current.quality == quality else "secondary",
                help=f"Quality {wording.share(quality, digits=0)}",
                on_click=_choose,
                kwargs={"quality": quality},
            )
    with st.container(horizontal=True, gap="medium"):
        st.button("Skip", key="skip", shortcut="X", icon=":material/skip_next:", type="tertiary", on_click=_skip)
        st.button(
            "Change the last one",
            key="undo",
            shortcut="Z",
            icon=":material/undo:",
            type="tertiary",
            disabled=not current.said,
            on_click=_undo,
            help="Asks about it again; your newest answer counts.",
        )
    if record.prompt is None and not is_demo:
        _without_text(current, live)


def _shown(record: Record, *, is_demo: bool) -> None:
    decision = record.decision
    if record.prompt is not None:
        st.code(record.prompt, language=None, wrap_lines=True, height=300)
        return
    metered = [call.usage for call in decision.attempts if call.usage is not None]
    with st.grid(4, min_column_width=110, gap="small"):
        for label, value in (
            ("Tokens in", wording.count(metered[0].input_tokens) if metered else wording.UNKNOWN),
            ("Tokens out", wording.count(metered[-1].output_tokens) if metered else wording.UNKNOWN),
            ("Score", wording.UNKNOWN if decision.score is None else str(decision.score)),
            ("Asked by", decision.user_tier or decision.team or wording.UNKNOWN),
        ):
            st.metric(label, value)
    if is_demo:
        st.caption(
            "Simulated requests have no text, so guess from its facts: the score is how hard it looked, 0 to 100."
        )
    else:
        st.caption(f"Id {decisions.written(decision.id)}")


def _without_text(current: Round, live: Version) -> None:
    capture = live.config.capture.prompts
    with ui.card("The text of this request was not kept", key="no_text", tall=False):
        later = "." if capture == "none" else f" (capture is set to {capture}, so newer ones will show)."
        st.caption(
            "Look the requests of this round up by their ids in your own logs, or let your configuration keep the "
            f"prompts of a sample from now on{later}"
        )
        if capture == "none":
            st.code("capture: {prompts: sample, retention_days: 30}", language="yaml")
        st.download_button(
            "Download the ids",
            "decision_id\n" + "".join(f"{decisions.written(key)}\n" for key in current.ids),
            file_name="tierwise-review.csv",
            mime="text/csv",
            key="ids_csv",
            icon=":material/download:",
            on_click="ignore",
        )


def _choose(*, needed: str | None = None, quality: float | None = None) -> None:
    current: Round = st.session_state[ROUND].chosen(needed=needed, quality=quality)
    if current.complete:
        answered = current.onward()
        try:
            reviewing.keep(answered.said[-1], data.author())
        except TierwiseError as error:
            ui.say(f"{ui.refusal(error)} Answer again.", done=False)
        else:
            said = answered.said[-1].decision
            st.session_state[SINCE][said] = reviewing.asked(st.session_state[DRAWN][1], said).decision.tier
            current = answered
    st.session_state[ROUND] = current


def _skip() -> None:
    st.session_state[ROUND] = st.session_state[ROUND].onward(skip=True)


def _undo() -> None:
    st.session_state[ROUND] = st.session_state[ROUND].back()


def _last(stamp: Stamp, current: Round, tiers: tuple[str, ...]) -> None:
    with ui.card("The one before", "unveiled", key="last", tall=False):
        said = current.said[-1] if current.said else None
        if said is None:
            st.caption(
                "Answer both questions: number keys for the tier, A to G for the answer. Then the next one comes."
            )
            return
        try:
            decision = reviewing.asked(stamp.file, said.decision).decision
        except LedgerError:
            return
        if said.needed is None:
            st.markdown(f"Skipped. It had **{decision.tier}**.")
        else:
            word = reviewing.verdict(decision, said, tiers)
            colour = {"right": "green", "too strong": "orange", "too cheap": "red"}.get(word, "gray")
            st.markdown(
                f"You said **{said.needed}**, it had **{decision.tier}**: :{colour}-badge[{word or 'not comparable'}]"
            )
        model = next((call.model for call in decision.attempts if call.final), "")
        st.caption(
            f"{model} answered for {wording.usd(decision.cost_nusd)}; decided by {decisions.WHY[decision.reason]}. "
            "Kept as a label of yours."
            if said.needed
            else f"{model} answered."
        )
        st.page_link(
            "app_pages/explorer.py",
            label="Open it in the Explorer",
            icon=":material/search:",
            query_params={"decision": decisions.written(decision.id)},
        )


def _progress(tiers: tuple[str, ...]) -> None:
    """Count what people had said before this visit, and what was said since."""
    since = Counter(st.session_state[SINCE].values())
    with ui.card("Reviewed so far", f"in this view; {WANTED} a tier tell enough", key="so_far", tall=False):
        for tier in tiers:
            count = st.session_state[BEFORE].get(tier, 0) + since[tier]
            st.progress(min(count / WANTED, 1.0), text=f"{tier} {wording.count(count)}")


def _finished(stamp: Stamp, current: Round, tiers: tuple[str, ...]) -> None:
    rows = [(said, reviewing.asked(stamp.file, said.decision).decision) for said in current.labelled]
    words = [reviewing.verdict(decision, said, tiers) for said, decision in rows]
    with ui.card("Round done", f"{len(rows)} labels kept", key="done", tall=False):
        if rows:
            with st.grid(3, min_column_width=120, gap="small"):
                for word, help in (
                    ("right", "The router chose the tier you would have."),
                    ("too strong", "Money spent for nothing."),
                    ("too cheap", "Quality lost."),
                ):
                    share = words.count(word) / len(words)
                    ui.metric(word.capitalize(), wording.share(share, digits=0), help=help)
        with st.container(horizontal=True, gap="xsmall"):
            st.button(
                "Another round",
                key="again",
                type="primary",
                shortcut="Enter",
                icon=":material/casino:",
                on_click=_again,
            )
            st.page_link("app_pages/quality.py", label="What it says of quality", icon=":material/verified:")

        if rows:
            st.dataframe(
                pd.DataFrame(
                    [_row(said, decision.tier, word) for (said, decision), word in zip(rows, words, strict=True)]
                ),
                key="round",
                hide_index=True,
                height="content",
                alt="Your answers of this round beside the tiers that were assigned",
            )


def _row(said: Said, assigned: str, word: str) -> dict[str, object]:
    return {
        "Needed": said.needed,
        "Assigned": assigned,
        "Routing": word,
        "Answer": GRADES[said.quality] if said.quality in GRADES else wording.share(said.quality),
    }


def _again() -> None:
    *_, view, tiers = st.session_state[DRAWN]
    try:
        _draw(view, tiers)
    except TierwiseError as error:
        ui.say(ui.refusal(error), done=False)


main()
