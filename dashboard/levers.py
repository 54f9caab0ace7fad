"""The controls of a draft beside its boundaries: strategy, acceptance, exploration, floor, shortened prompts."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard.draft import (
    EVERYWHERE,
    EXPLORATION,
    FLOOR,
    SHORTENS,
    SHORTENS_ABOVE,
    STRATEGY,
    THRESHOLD,
    Draft,
    value_of,
)
from dashboard.drafting import DRAFT, keep
from router_core.config import RoutingConfig

_STRATEGIES: Final = ("direct", "cascade", "chain")


def show(scope: str, draft: Draft, live: RoutingConfig, target: RoutingConfig) -> None:
    """Show the controls of a scope; what is the same everywhere is shown with the global ones."""
    with st.grid(3 if scope == EVERYWHERE else 2, min_column_width=120, gap="small"):
        _strategy(scope, live, target)
        _percent(
            scope, FLOOR, "Quality floor, %", "Projected quality has to stay above it, interval and all.", live, target
        )
        if scope == EVERYWHERE:
            _percent(
                scope,
                EXPLORATION,
                "Explored, %",
                "Requests sent to another tier by chance, so that later previews rest on evidence.",
                live,
                target,
            )
            _percent(
                scope,
                THRESHOLD,
                "Accept at, %",
                "In a cascade: how sure its checks must be of a cheap answer to keep it.",
                live,
                target,
            )
            _shortened(live, target)


def _strategy(scope: str, live: RoutingConfig, target: RoutingConfig) -> None:
    key = f"value:{scope}:{STRATEGY}"
    value = str(value_of(target, scope, STRATEGY))
    if st.session_state.get(key) != value:
        st.session_state[key] = value
    st.selectbox(
        "Strategy",
        _STRATEGIES,
        key=key,
        on_change=_chosen,
        args=(scope, STRATEGY, key, live),
        help="direct: the assigned tier answers. cascade: a cheap one tries first, and checks decide. chain: "
        "decomposed, reasoned and put together on different tiers.",
    )


def _percent(scope: str, name: str, title: str, help: str, live: RoutingConfig, target: RoutingConfig) -> None:
    key = f"value:{scope}:{name}"
    now, value = value_of(live, scope, name), value_of(target, scope, name)
    shown = None if value is None else round(100 * float(value), 4)
    if st.session_state.get(key) != shown:
        st.session_state[key] = shown
    st.number_input(
        title if value == now else _with_live(title, now),
        0.0,
        100.0,
        None,
        step=1.0,
        format="%.6g",
        key=key,
        on_change=_chosen,
        args=(scope, name, key, live),
        placeholder="a point below today's" if name == FLOOR else None,
        help=help,
    )


def _shortened(live: RoutingConfig, target: RoutingConfig) -> None:
    key = f"value:{EVERYWHERE}:{SHORTENS_ABOVE}"
    now, value = (one.compress.above_tokens if one.compress.enabled else None for one in (live, target))
    if st.session_state.get(key) != value:
        st.session_state[key] = value
    st.number_input(
        "Shorten above, tokens" if value == now else f"Shorten (live: {'off' if now is None else f'{now:,}'})",
        1,
        10_000_000,
        None,
        step=1_000,
        key=key,
        on_change=_shorten,
        args=(key, live),
        placeholder="off",
        help="Old turns of longer prompts become a summary by the cheapest model. Empty: never.",
    )


def _shorten(key: str, live: RoutingConfig) -> None:
    draft: Draft = st.session_state[DRAFT]
    above = st.session_state[key]
    draft = draft.with_value(EVERYWHERE, SHORTENS, "false" if above is None else "true", live)
    rest = Draft(draft.boundaries, {at: value for at, value in draft.values.items() if at[1] != SHORTENS_ABOVE})
    if above is not None:
        rest = draft.with_value(EVERYWHERE, SHORTENS_ABOVE, str(max(1, min(10_000_000, int(above)))), live)
    keep(rest, live)


def _with_live(title: str, now: float | None) -> str:
    """Shorten a label, so that what is live fits beside it."""
    short = title.partition(",")[0].removeprefix("Quality ").capitalize()
    return f"{short} (live: {'none' if now is None else f'{100 * now:g}'})"


def _chosen(scope: str, name: str, key: str, live: RoutingConfig) -> None:
    draft: Draft = st.session_state[DRAFT]
    given = st.session_state[key]
    if given is None:  # emptied: as it is live
        draft = Draft(draft.boundaries, {at: value for at, value in draft.values.items() if at != (scope, name)})
    else:
        text = (
            given
            if isinstance(given, str)
            else f"{max(0.0, min(100.0, float(given))) / 100:.6f}".rstrip("0").rstrip(".")
        )
        draft = draft.with_value(scope, name, text, live)
    keep(draft, live)
