"""Scenarios side by side: the choice of them, the one being built, one figure, one table, and what each assumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import streamlit as st

from dashboard import building, data, plan, scenario_charts, scenario_tables, scenarios, ui, wording
from dashboard.building import Given
from dashboard.data import Stamp
from dashboard.draft import Draft
from dashboard.filters import View
from dashboard.scenarios import DRAFT, MOST, Known, Outcome
from router_core.config import RoutingConfig
from router_core.errors import TierwiseError
from router_core.lifecycle import scenarios as kept
from router_core.projection import Preview
from router_core.projection.scenario import Scenario

CHOSEN: Final = "compare"


def begin(stamp: Stamp, preview: Preview, config: RoutingConfig) -> tuple[dict[str, Known], Given]:
    """Gather what can be compared and built with, and take up what the link or this session had chosen."""
    cube = preview.cube
    dearest = sorted(range(len(cube.features)), key=lambda place: -int(cube.cost_by_feature[place]))
    named = [cube.features[place] for place in dearest if cube.decisions_by_feature[place]]
    known = scenarios.choices(scenarios.saved(), scenarios.examples(config, named), draft(config))
    given = Given(config, tuple(named), (*config.models, *_others(stamp, config)))
    building.begin(given)
    if CHOSEN not in st.session_state and CHOSEN not in st.query_params:
        st.session_state[CHOSEN] = list(known)[:5]
    return known, given


def _others(stamp: Stamp, config: RoutingConfig) -> list[str]:
    """Return what the configured providers sell beside the configured models, as a scenario names it."""
    configured = {plan.seller(config, model) for model in config.models}
    return [name for name in plan.sold(data.prices(stamp), config) if name not in configured]


def draft(config: RoutingConfig) -> Scenario | None:
    """Return the draft of this session, or of the link, as a scenario; None where there is none."""
    found = st.session_state.get("draft")
    try:
        if found is None:
            found = Draft.from_query(st.query_params.get("draft", ""), config)
        return scenarios.of_draft(found, config) if isinstance(found, Draft) else None
    except (TierwiseError, ValueError):
        return None


@st.fragment
def compare(stamp: Stamp, view: View, preview: Preview, known: Mapping[str, Known], given: Given) -> None:
    """The builder, and all that follows from it: redrawn together."""
    ui.heed()
    left, right = st.columns([3, 2])
    with right, ui.card("Build a scenario", "plain figures, freely combined", key="build", tall=False):
        built, problem = building.controls(given)
        if problem:
            st.warning(problem, icon=":material/info:")
        _keeping(built, known, given)
    with (
        left,
        ui.card("Side by side", f"had it been so for {wording.plural(view.days, 'day')}", key="sides", tall=False),
    ):
        chosen = _choose(known)
        wanted = [known[name].scenario for name in chosen]
        if built is not None and built not in wanted:
            wanted.insert(0, built)
        projection = preview.at(preview.config)
        with st.spinner("Working the scenarios out"):
            found = [scenarios.outcome(stamp, view.since, view.until, _plain(one)) for one in wanted]
        rows = [scenarios.today(projection), *(one for one in found if not one.problem)]
        ui.figure(
            scenario_charts.side_by_side(scenarios.table(rows)),
            key="sides_figure",
            alt="Cost and quality of each scenario with 95% intervals, beside the log as it is",
        )
        st.caption("Bars and points are estimates, whiskers 95% intervals; the dotted line is the log as it was.")
        for one in found:
            if one.problem:
                st.warning(f"{one.name}: {one.problem}", icon=":material/info:")
    with left, ui.card("What each assumes", "beside that all else stays as it was", key="assumed", tall=False):
        _assumed(found)
    with ui.card("Figures", f"{wording.span(view.since, view.until)}, against today", key="scenario_rows", tall=False):
        scenario_tables.side_by_side(scenarios.table(rows), view)


def _choose(known: Mapping[str, Known]) -> list[str]:
    state = st.session_state
    if CHOSEN in state:
        state[CHOSEN] = [name for name in state[CHOSEN] if name in known][:MOST]
    chosen = st.multiselect(
        "Scenarios to compare",
        list(known),
        format_func=lambda name: name if known[name].origin != "example" else f"{name} (example)",
        key=CHOSEN,
        bind="query-params",
        max_selections=MOST,
        label_visibility="collapsed",
        placeholder=f"Choose up to {MOST} scenarios",
    )
    return [name for name in chosen if name in known]


def _keeping(built: Scenario | None, known: Mapping[str, Known], given: Given) -> None:
    """Save what was built, begin from what was saved, or forget it."""
    own = [name for name, one in known.items() if one.origin not in ("example", "draft")]
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="bottom"):
        st.button(
            "Save",
            type="primary",
            key="save_scenario",
            icon=":material/save:",
            disabled=built is None,
            on_click=_save,
            args=(None if built is None else _plain(built),),
            help="Keeps it under its name for everybody; one of that name is replaced.",
        )
        st.button("Clear", key="clear_scenario", on_click=building.load, args=(None, given))
        with st.popover("Begin from", icon=":material/folder_open:"):
            for name, one in known.items():
                with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
                    st.button(
                        name,
                        key=f"open.{name}",
                        type="tertiary",
                        on_click=building.load,
                        args=(one.scenario, given),
                        help=f"{one.scenario.note} ({one.origin})".strip(),
                        width="stretch",
                    )
                    if name in own:
                        st.button(
                            "Forget",
                            key=f"forget.{name}",
                            type="tertiary",
                            icon=":material/delete:",
                            on_click=_forget,
                            args=(name,),
                        )


def _save(scenario_json: str | None) -> None:
    if scenario_json is None:
        return
    scenario = Scenario.model_validate_json(scenario_json)
    if scenario.name in (building.UNNAMED, DRAFT, scenarios.TODAY):
        ui.say("Give the scenario a name of its own first.", done=False)
        return
    try:
        kept.save(data.ledger(), scenario, author=data.author())
    except TierwiseError as error:
        ui.say(ui.refusal(error), done=False)
        return
    chosen = [name for name in st.session_state.get(CHOSEN, []) if name != scenario.name]
    st.session_state[CHOSEN] = [*chosen[: MOST - 1], scenario.name]
    ui.say(f"Scenario {scenario.name!r} is kept.")


def _forget(name: str) -> None:
    try:
        kept.remove(data.ledger(), name, author=data.author())
    except TierwiseError as error:
        ui.say(ui.refusal(error), done=False)
    else:
        ui.say(f"Scenario {name!r} is forgotten.")


def _assumed(found: Sequence[Outcome]) -> None:
    if not found:
        st.caption("Choose a scenario above, or build one.")
        return
    everywhere = set(found[0].notes).intersection(*(one.notes for one in found)) if len(found) > 1 else set()
    with st.grid(2, min_column_width=250, gap="small"):
        for one in found:
            # The first sentence, on the traffic that comes again, is the same for all.
            own = [*one.assumptions[1:], *(note for note in one.notes if note not in everywhere)]
            with st.container(gap=None):
                st.markdown(f"**{one.name}**{f' · {one.note}' if one.note else ''}")
                st.caption(" ".join(own or [one.problem or "Nothing differs."]))
    for note in sorted(everywhere):
        st.caption(f":material/info: {wording.sentence(note)}")
    first = next((one.assumptions[0] for one in found if one.assumptions), "")
    st.caption(f":material/replay: {first} All is set against what it cost then and how good it was.")


def _plain(scenario: Scenario) -> str:
    return scenario.model_dump_json(exclude_defaults=True)
