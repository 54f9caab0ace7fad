"""The draft of this session: begun from a link or from nothing, kept in the URL, pushed, or put aside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from dashboard import data, ui
from dashboard.draft import Draft
from router_core.config import RoutingConfig
from router_core.errors import ConfigError, TierwiseError
from router_core.lifecycle import versions
from router_core.lifecycle.versions import Version
from router_core.projection import Projection

DRAFT: Final = "draft"
BASE: Final = "draft_base"  # the version the draft was begun from
NOTE, REASON = "push_note", "push_reason"


def begin(live: Version) -> None:
    """Take up the draft of this session, or that of the link; one that fits no more is put aside with a sentence."""
    state = st.session_state
    if DRAFT not in state:
        try:
            state[DRAFT] = Draft.from_query(st.query_params.get(DRAFT, ""), live.config)
        except ConfigError as error:
            state[DRAFT] = Draft()
            st.query_params.pop(DRAFT, None)
            st.warning(ui.refusal(error), icon=":material/link_off:")
    if not state[DRAFT].fits(live.config):
        state[DRAFT] = Draft()
        st.warning("Your draft does not fit the version that is live now, so it was put aside.", icon=":material/info:")
    if not state[DRAFT].changed:
        state[BASE] = live.version
    state.setdefault(BASE, live.version)


def keep(draft: Draft, live: RoutingConfig) -> None:
    """Make a draft that of this session, and of its URL."""
    st.session_state[DRAFT] = draft
    text = draft.to_query(live)
    if text:
        st.query_params[DRAFT] = text
    else:
        st.query_params.pop(DRAFT, None)


def go_on_from(version: int) -> None:
    """Take the version that somebody pushed meanwhile as the one this draft changes."""
    st.session_state[BASE] = version


def push(projection: Projection, target: RoutingConfig, held_up: Sequence[str]) -> None:
    """Push the draft with its note; past the gate only with a reason, which the note then holds."""
    note = st.session_state.get(NOTE, "").strip()
    reason = st.session_state.get(REASON, "").strip()
    if not note:
        ui.say("Write a note first: it tells others why this was changed.", done=False)
        return
    if held_up and not reason:
        ui.say("Say why it should go live all the same: the reason is kept with the version.", done=False)
        return
    try:
        version = versions.push(
            data.ledger(),
            target,
            author=data.author(),
            note=f"{note} (past the gate: {reason} – {' '.join(held_up)})" if held_up else note,
            expected=st.session_state[BASE],
            projection=projection.as_json(),
        )
    except TierwiseError as error:
        ui.say(f"{ui.refusal(error)} Your draft is kept.", done=False)
    else:
        keep(Draft(), version.config)
        st.session_state[BASE] = version.version
        st.session_state[NOTE] = st.session_state[REASON] = ""
        ui.say(f"Version {version.version} is live: running gateways use it within a second.")
