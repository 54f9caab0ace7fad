"""Tuning: move the boundaries, see what that would have cost and how good it would have been, prove it, push it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import (
    beside,
    charts,
    data,
    drafting,
    filters,
    levers,
    outcomes,
    previewing,
    searching,
    standing,
    trying,
    ui,
    wording,
)
from dashboard.draft import EVERYWHERE, Draft, difference, nudged, told
from dashboard.drafting import BASE, DRAFT, NOTE, REASON, keep
from dashboard.filters import View
from dashboard.traffic import Traffic
from router_core.config import RoutingConfig, dump_config
from router_core.lifecycle.gate import floor_of, objections
from router_core.lifecycle.trials import HeldTrial
from router_core.lifecycle.versions import Version
from router_core.projection import Preview, Projection
from router_core.projection.optimize import suggest

BY_FEATURE, BY_TEAM = "by feature", "by team"


def main() -> None:
    stamp = data.stamp()
    live = data.live(stamp)
    window = data.window(stamp)
    place = ui.header("Tuning")
    if window.last_day is None:
        ui.no_traffic()
        return
    drafting.begin(live)
    names = data.names(stamp, "feature")
    with place.controls:
        scope = filters.choose_feature(names)
        view = filters.last(window.last_day, filters.choose_days())
        ui.share_link()
    preview = previewing.begun(stamp, view, live, place)
    if preview is None:
        return
    teams = data.team_shares(stamp, view)
    asked = data.traffic(stamp, view.since, view.until), data.best(stamp, view.since, view.until), data.live_text(stamp)
    tune(preview, live, view, scope, teams, trying.held(), *asked)


@st.fragment
def tune(
    preview: Preview,
    live: Version,
    view: View,
    scope: str,
    teams: pd.DataFrame,
    trials: Sequence[HeldTrial],
    traffic: Traffic,
    best: pd.DataFrame,
    live_text: str,
) -> None:
    """Sliders and everything that follows them: redrawn together, and nothing else."""
    ui.heed()
    draft: Draft = st.session_state[DRAFT]
    target = draft.config(live.config)
    projection = preview.at(target)
    figures = st.container()
    left, right = st.columns([3, 2])
    frame = traffic.under(target, scope)
    # What follows the sliders is sent first, in the order that lets the browser draw while the rest is made.
    with left, ui.card("Requests by difficulty", _of(live.config, frame), key="traffic"):
        ui.figure(
            charts.traffic_by_score(
                frame, live.config.tier_names, live.config.boundaries(scope or None), target.boundaries(scope or None)
            ),
            key="traffic_figure",
            alt="Share of requests at each score from 0 to 100, coloured by the tier the draft gives them",
        )
        beneath = st.container()
    with right, ui.card("Cost and quality", f"{wording.plural(view.days, 'day')}, all features", key="picture"):
        _picture(projection, best)
    beside.show(projection)
    left, right = st.columns([3, 2])
    with left, ui.card(*_effect_title(projection), key="effect"):
        _effect(projection, live.config.tier_names, teams)
    with figures:
        outcomes.figures(projection)
    with beneath:
        _sliders(scope, draft, live)
        _on_their_own(scope, target)
        levers.show(scope, draft, live.config, target)
        _search(preview, scope, draft, live, target)
    with right, ui.card("Beside its controls", "what no cleverness at all would do", key="controls"):
        outcomes.controls_table(outcomes.controls(projection), key="controls_table")
        st.caption("Shuffled keeps the draft's tier shares but gives them out at random: a router must beat it.")
    outcomes.notes(projection)
    left, right = st.columns([3, 2])
    with left, ui.card("Review and push", f"becomes version {live.version + 1}", key="review"):
        _review(projection, live, live_text, target, draft, trials)
    with right, ui.card("Prove it", "before it is pushed", key="prove"):
        trying.show(preview, projection, target, trials, draft.to_query(live.config))


def _of(config: RoutingConfig, frame: pd.DataFrame) -> str:
    fixed = float(frame["fixed"].sum())
    share = fixed / max(fixed + float(sum(frame[tier].to_numpy().sum() for tier in config.tier_names)), 1)
    grey = f"; grey: {wording.share(share, digits=0)} fixed by pins, rules and the like" if fixed else ""
    return f"score 0 is easy, 100 is hard{grey}"


def _on_their_own(scope: str, target: RoutingConfig) -> None:
    own = [name for name, feature in target.features.items() if feature.boundaries and not feature.pin]
    if own and scope == EVERYWHERE:
        st.caption(
            f":material/call_split: {', '.join(own)} {'has' if len(own) == 1 else 'have'} boundaries of "
            f"{'its' if len(own) == 1 else 'their'} own: choose one above to move them."
        )


def _search(preview: Preview, scope: str, draft: Draft, live: Version, target: RoutingConfig) -> None:
    """Offer the cheapest setting that is known to keep quality above its floor; it becomes the draft, and no more."""
    if not st.button(
        "Find the cheapest safe setting",
        icon=":material/auto_awesome:",
        key="find",
        help="Looks at every setting of every feature's boundaries and takes the cheapest whose quality, interval and "
        "all, stays above the floor: the feature's own where it has one.",
    ):
        return
    with st.spinner("Looking at every setting of every feature", show_time=True):
        found = suggest(preview, target)
    looked_at = [one for one in found.features if scope in (EVERYWHERE, one.feature)]
    keep(searching.adopted(draft, scope, looked_at, live.config), live.config)
    ui.say(searching.told(looked_at))
    st.rerun()


def _sliders(scope: str, draft: Draft, live: Version) -> None:
    config = live.config
    feature = config.features.get(scope)
    if feature is not None and feature.pin:
        st.caption(f":material/lock: {scope} is pinned to {feature.pin}, so boundaries do not move it.")
        return
    values, now = draft.of(scope, config), config.boundaries(scope or None)
    with st.grid(len(values) - 1, min_column_width=150, gap="small") if len(values) > 1 else st.container():
        for index, tier in enumerate(config.tiers[1:], start=1):
            key = f"starts:{scope}:{tier.name}"
            # Set only what differs: a value sent back unasked would undo what the reader has pressed meanwhile.
            if st.session_state.get(key) != values[index]:
                st.session_state[key] = values[index]
            live_mark = f" (live: {now[index]})" if now[index] != values[index] else ""
            st.slider(
                f"{tier.name} starts at{live_mark}",
                0,
                100,
                key=key,
                on_change=_moved,
                args=(scope, index, key, config),
                help=f"Requests scored at least this go to {tier.name} or a stronger tier.",
            )


def _moved(scope: str, index: int, key: str, live: RoutingConfig) -> None:
    draft: Draft = st.session_state[DRAFT]
    values = nudged(draft.of(scope, live), index, st.session_state[key])
    keep(draft.with_scope(scope, values, live), live)


def _picture(projection: Projection, best: pd.DataFrame) -> None:
    points = outcomes.points(projection)
    if points["quality"].isna().all():
        st.caption("No answer in these days was judged, so quality is unknown. Label some to see it: `tierwise label`.")
        return
    ui.figure(
        standing.cost_and_quality(points, best, height=430),
        key="cost_quality",
        alt="Cost and quality of today, of the draft with its interval, of controls and of the best settings",
    )


def _effect_title(projection: Projection) -> tuple[str, str]:
    if projection.support.moved_share:
        return "Effect", "change in cost, US dollars, with 95% intervals"
    return "Tiers by feature", "share of requests"


def _effect(projection: Projection, tiers: Sequence[str], teams: pd.DataFrame) -> None:
    frame = outcomes.by_feature(projection)
    if frame.empty:
        ui.figure(
            charts.tier_mix(outcomes.mix(projection), tiers),
            key="mix_figure",
            alt="Share of each tier in the requests of each feature",
        )
        st.caption("Nothing moves yet: drag a slider, or focus it and use the arrow keys.")
        return
    by = st.segmented_control(
        "Effect",
        [BY_FEATURE, BY_TEAM],
        default=BY_FEATURE,
        required=True,
        key="effect_by",
        bind="query-params",
        label_visibility="collapsed",
    )
    if by == BY_TEAM:
        frame = outcomes.by_team(frame, teams)
    ui.figure(charts.effect_by(frame), key="effect_figure", alt=f"Change in cost {by}, with 95% intervals")
    if by == BY_TEAM:
        st.caption("A feature that several teams use is shared out by what each spent on it; intervals are added up.")


def _review(
    projection: Projection,
    live: Version,
    live_text: str,
    target: RoutingConfig,
    draft: Draft,
    trials: Sequence[HeldTrial],
) -> None:
    text = difference(live_text, dump_config(target)) if draft.changed else ""
    if not text:
        st.caption(f"The draft equals version {live.version}, which is live. There is nothing to push.")
        return
    for change in told(live.config, target):
        st.caption(f":material/arrow_right: {change}")
    with st.expander("As YAML"):
        st.code(text, language="diff")
    base = st.session_state[BASE]
    if base != live.version:
        st.warning(
            f"Version {live.version} was pushed by {live.author} since this draft was begun from version {base}: "
            f"“{live.note}”. Your draft is kept, and now laid over it. Look at the difference again before you push.",
            icon=":material/group:",
        )
        st.button("Go on from it", on_click=drafting.go_on_from, args=(live.version,), key="rebase")
    held_up = objections(projection, target, trying.proof_of(trials, target))
    if held_up:
        st.warning(" ".join(held_up), icon=":material/gpp_maybe:")
    elif projection.support.moved_share:
        floor = floor_of(projection, target)
        st.caption(
            f":material/verified_user: Quality stays above its floor of {wording.share(floor)}, interval and all."
        )
    st.text_input(
        "Note",
        key=NOTE,
        max_chars=200,
        placeholder="Why this change?",
        help="Kept with the version, for whoever reads the history.",
    )
    if held_up:
        st.text_input(
            "Why all the same?",
            key=REASON,
            max_chars=200,
            placeholder="Needed to push past the gate; kept in the note",
        )
    with st.container(horizontal=True):
        st.button(
            f"Push version {live.version + 1}" + (" all the same" if held_up else ""),
            type="primary",
            key="push",
            icon=":material/gpp_maybe:" if held_up else ":material/rocket_launch:",
            on_click=drafting.push,
            args=(projection, target, held_up),
        )
        st.button("Reset", on_click=keep, args=(Draft(), live.config), key="reset")


main()
