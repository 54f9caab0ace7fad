"""Proving a draft: what a trial would replay and cost, its progress, and what log and replays together say."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import streamlit as st

from dashboard import data, ui, wording
from router_core.config import RoutingConfig
from router_core.errors import NoSupportError, TierwiseError
from router_core.lifecycle import trials
from router_core.lifecycle.proving import TrialState, start_trial, trial_state
from router_core.lifecycle.quoting import Quote, price_trial
from router_core.lifecycle.replay_files import read_replays, write_wanted
from router_core.lifecycle.trials import HeldTrial
from router_core.projection import Preview, Projection
from router_core.projection.proof import Proof

QUOTE, TRIAL, FILE = "trial_quote", "trial_number", "trial_file"
_USUAL, _FEWEST, _MOST = 100, 10, 1000
_EVERY_S: Final = 1.5
_UPLOAD_MB: Final = 20


def held() -> list[HeldTrial]:
    """Return every trial of the ledger, newest first; none where they cannot be read."""
    try:
        return trials.held(data.ledger())
    except TierwiseError:
        return []


def proof_of(known: Sequence[HeldTrial], target: RoutingConfig) -> Proof | None:
    """Return the newest proof of this very configuration, None where there is none."""
    return next((one.proof for one in known if one.proof is not None and one.target == target), None)


def show(preview: Preview, projection: Projection, target: RoutingConfig, known: Sequence[HeldTrial], of: str) -> None:
    """Offer a trial of the draft ``of`` (as its URL has it), or show how far it is, or what it proved."""
    own = [one for one in known if one.target == target]
    proof = proof_of(own, target)
    if not projection.support.moved_share:
        st.caption("Nothing moves yet, so there is nothing to prove.")
        return
    if proof is not None:
        proved(proof, projection)
    started = st.session_state.get(TRIAL, {}).get(of)
    if started is not None and proof is None:
        follow(started)
        return
    quote = st.session_state.get(QUOTE)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="xsmall"):
        replays = st.number_input("Requests to replay", _FEWEST, _MOST, _USUAL, 10, key="replays", width=150)
        asked = st.button(
            "What would it cost?",
            icon=":material/sell:",
            key="price_trial",
            help="Draws the requests and prices their replay; no model is asked yet.",
        )
    if asked:
        quote = (of, replays, _quoted(preview, target, replays))
        st.session_state[QUOTE] = quote
    if quote is None or quote[:2] != (of, replays):
        st.caption(
            "A trial asks the new tier some of the very requests that would move, and the logged one again; a judge "
            "grades both answers blind, in both orders. Nothing is spent before you have seen the price."
        )
        return
    found = quote[2]
    if isinstance(found, str):
        st.warning(found, icon=":material/info:")
        _elsewhere(preview, target, replays, own, of)
    else:
        _offer(found, of)
        if found.obstacle is not None:
            _elsewhere(preview, target, replays, own, of)


def _quoted(preview: Preview, target: RoutingConfig, replays: int) -> Quote | str:
    with st.spinner("Drawing requests"):
        try:
            return price_trial(data.ledger(), preview, target, replays)
        except TierwiseError as error:
            return wording.sentence(error)


def _offer(quote: Quote, of: str) -> None:
    chosen, plan = quote.proposal.trial.chosen, quote.proposal.plan
    moves = Counter((one.old, one.new) for one in chosen)
    said = ", ".join(f"{count} from {old} to {new}" for (old, new), count in moves.most_common())
    st.markdown(f"Replays {len(chosen)} of the {plan.moves.moved:,.0f} requests that would move: {said}.")
    with st.grid(3, min_column_width=110, gap="small"):
        ui.metric("Price, expected", wording.usd(quote.cost_nusd), help="All calls, grading included.")
        ui.metric("At most", wording.usd(quote.cost_most_nusd), help="The trial stops before it spends more.")
        ui.metric(
            "Tells quality to",
            f"±{wording.points(plan.half_width, digits=2, signed=False)}",
            help="Half of the 95% interval to be expected.",
        )
    st.caption(
        f"{quote.calls:,} calls: each request twice, on its new tier and on its old one, and two gradings by "
        f"{quote.judge}."
    )
    if quote.obstacle is not None:
        st.warning(wording.sentence(quote.obstacle), icon=":material/info:")
        return
    st.button(
        f"Start, for at most {wording.usd(quote.cost_most_nusd)}",
        type="primary",
        icon=":material/play_arrow:",
        key="start_trial",
        on_click=_start,
        args=(quote, of),
    )


def _start(quote: Quote, of: str) -> None:
    try:
        number = start_trial(data.ledger(), quote, author=data.author())
    except TierwiseError as error:
        ui.say(ui.refusal(error), done=False)
        return
    st.session_state[TRIAL] = {**st.session_state.get(TRIAL, {}), of: number}


@st.fragment(run_every=_EVERY_S)
def follow(number: int) -> None:
    """Show how far a trial is, again and again; the page is drawn anew when it is done."""
    try:
        state = trial_state(data.ledger(), number)
    except TierwiseError as error:
        st.warning(wording.sentence(error), icon=":material/info:")
        return
    if state.state == "done":
        st.rerun(scope="app")
    _progress(state, number)


def _progress(state: TrialState, number: int) -> None:
    ended = state.graded + state.failed
    st.progress(
        min(ended / max(state.wanted, 1), 1.0),
        text=f"Trial {number}: {state.graded} of {state.wanted} answered and graded"
        + (f", {state.failed} failed" if state.failed else ""),
    )
    st.caption(f"{wording.usd(state.spent_nusd)} spent of at most {wording.usd(state.most_nusd)}.")
    if state.state == "stopped":
        st.warning(wording.sentence(state.message or "It stopped."), icon=":material/info:")
        st.button("Put it aside", key="aside", on_click=_put_aside, args=(number,))


def _put_aside(number: int) -> None:
    kept = st.session_state.get(TRIAL, {})
    st.session_state[TRIAL] = {of: one for of, one in kept.items() if one != number}
    st.session_state.pop(QUOTE, None)


def proved(proof: Proof, projection: Projection) -> None:
    """Show what log and replays together say, beside what the log alone did."""
    quality, alone, saving = proof.quality, projection.quality, proof.saving
    with st.grid(2, min_column_width=140, gap="small"):
        ui.metric(
            "Quality, proved",
            wording.points(quality.change),
            f"{wording.points(quality.low).removesuffix(' pp')} to {wording.points(quality.high)}",
            good="neither",
            arrow=False,
            help="Change in mean quality of all requests, with its 95% interval, from log and replays together.",
        )
        ui.metric(
            "Saving, proved",
            wording.share(saving.value),
            None
            if saving.low is None or saving.high is None
            else f"{wording.share(saving.low).removesuffix('%')} to {wording.share(saving.high)}",
            good="neither",
            arrow=False,
        )
    before = (
        "The log alone could not tell quality"
        if alone.low is None or alone.high is None
        else f"The log alone said {wording.points(alone.low).removesuffix(' pp')} to {wording.points(alone.high)}"
    )
    st.caption(
        f"{before}; {wording.plural(proof.replays, 'replay')} made it this. A plain replay of as many would reach "
        f"±{wording.points(proof.plain_half_width, signed=False)}."
    )
    for sentence in proof.notes:
        st.caption(f":material/info: {wording.sentence(sentence)}")


def _elsewhere(preview: Preview, target: RoutingConfig, replays: int, own: Sequence[HeldTrial], of: str) -> None:
    """Where the trial cannot be held here: draw it into a file, and take its outcomes in."""
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        drawn = st.session_state.get(FILE)
        if st.button("Draw them into a file", icon=":material/output:", key="draw_trial"):
            drawn = (of, _written(preview, target, replays))
            st.session_state[FILE] = drawn
        if drawn is not None and drawn[0] == of and isinstance(drawn[1], bytes):
            st.download_button(
                "Download the requests",
                drawn[1],
                file_name="tierwise-trial.jsonl",
                mime="application/jsonl",
                key="trial_jsonl",
                icon=":material/download:",
                on_click="ignore",
            )
    if drawn is not None and drawn[0] == of and isinstance(drawn[1], str):
        st.warning(drawn[1], icon=":material/info:")
    file = st.file_uploader(
        "Outcomes: the same lines, filled in",
        type=["jsonl", "json"],
        max_upload_size=_UPLOAD_MB,
        key="outcomes_file",
    )
    if file is not None and st.button("Take them in", key="take_in", type="primary"):
        _take_in(file.getvalue(), target)


def _written(preview: Preview, target: RoutingConfig, replays: int) -> bytes | str:
    try:
        proposal = trials.propose(data.ledger(), preview, target, replays)
        one = trials.hold(data.ledger(), proposal, author=data.author())
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trial.jsonl"
            write_wanted(one, path)
            return path.read_bytes()
    except TierwiseError as error:
        return wording.sentence(error)


def _take_in(content: bytes, target: RoutingConfig) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "outcomes.jsonl"
        path.write_bytes(content)
        try:
            graded = read_replays(path)
            one = trials.trial_of(data.ledger(), graded, target)
            if one is None:
                raise NoSupportError("none of these requests was drawn for this draft")
            trials.conclude(data.ledger(), one, graded, author=data.author())
        except TierwiseError as error:
            ui.say(ui.refusal(error), done=False)
        else:
            ui.say("The outcomes are taken in.")
    st.rerun(scope="app")
