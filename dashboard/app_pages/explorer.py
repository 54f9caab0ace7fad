"""Explorer: find single decisions, and see of each why it went where it went, what it cost and at which price."""

from __future__ import annotations

import streamlit as st

from dashboard import data, decision_charts, decision_tables, decisions, filters, ui, wording
from dashboard.data import Stamp
from dashboard.draft import Draft
from router_core.config import RoutingConfig
from router_core.decision import Reason, RoutingDecision, Status
from router_core.errors import ConfigError, InputError, LedgerError
from router_core.ledger.explorer import PAGE, Found, Search, parse_id
from router_core.ledger.record import Record
from router_core.lifecycle.versions import Version

OPEN, BEFORE, AFTER = "decision", "before", "after"
_ASKED = "explorer_asked"


def main() -> None:
    stamp = data.stamp()
    window = data.window(stamp)
    place = ui.header("Explorer")
    if window.last_day is None:
        ui.no_traffic()
        return
    live = data.live(stamp)
    with place.controls:
        view = filters.choose(window.last_day, teams=data.names(stamp, "team"), features=data.names(stamp, "feature"))
        ui.share_link()
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        known = [name for name in data.names(stamp, "tier") if name not in live.config.tier_names]
        search = Search(
            since=view.since,
            until=view.until,
            feature=view.feature,
            team=view.team,
            tier=_choose("Tier", "tier", [*live.config.tier_names, *known], "All tiers"),
            status=_choose("Status", "status", [name.lower() for name in Status.__members__], "Any status"),
            reason=_choose("Reason", "reason", [name.lower() for name in Reason.__members__], "Any reason"),
            id_start=_id_start(),
        )
    _heed_changes(search)
    with place.caption:
        found = decisions.matching(stamp, search)
        about = f"{wording.plural(found, 'request')} match" if found is not None else "newest first"
        ui.about(
            "any day" if search.id_start else wording.span(view.since, view.until),
            about,
            f"times in {window.timezone}",
            demo=window.is_demo,
        )
    chosen = st.query_params.get(OPEN)
    if chosen is None:
        _list(stamp, search)
    else:
        _one(stamp, search, chosen, live)


def _choose(label: str, key: str, names: list[str], everything: str) -> str:
    chosen = st.selectbox(
        label,
        ["", *names],
        format_func=lambda name: name.replace("_", " ") if name else everything,
        key=key,
        bind="query-params",
        label_visibility="collapsed",
        width=150,
    )
    return chosen if chosen in names else ""


def _id_start() -> str:
    text = st.text_input(
        "Id",
        key="id",
        bind="query-params",
        label_visibility="collapsed",
        placeholder="Decision id, or how it begins",
        icon=":material/search:",
        max_chars=40,
        width=300,
    )
    return (text or "").strip()


def _heed_changes(search: Search) -> None:
    """Go back to the newest matches where somebody changed what is looked for, but not where a link was opened."""
    before = st.session_state.get(_ASKED)
    st.session_state[_ASKED] = search
    if before is not None and before != search:
        for name in (OPEN, BEFORE, AFTER):
            st.query_params.pop(name, None)


def _cursor(name: str) -> bytes | None:
    text = st.query_params.get(name)
    if text is None:
        return None
    try:
        return parse_id(text)
    except InputError:
        st.query_params.pop(name, None)
        return None


def _list(stamp: Stamp, search: Search) -> None:
    before = _cursor(BEFORE)
    after = _cursor(AFTER) if before is None else None
    try:
        found = decisions.page(stamp, search, before, after, PAGE)
    except InputError as error:
        ui.problem(error)
        return
    if not found.lines:
        _nothing(found, before is not None or after is not None, upwards=after is not None)
        return
    with ui.card("Decisions", _span(found, stamp), key="found", tall=False):
        decision_tables.page(
            decisions.listed(found, data.zone(stamp)),
            data.zone(stamp),
            lambda row: _go(**{OPEN: decisions.written(found.lines[row].id)}),
        )
        _pager(found, upwards=after is not None)


def _span(found: Found, stamp: Stamp) -> str:
    zone = data.zone(stamp)
    newest, oldest = found.lines[0].decided_at_ms, found.lines[-1].decided_at_ms
    return f"{wording.moment(newest, zone)} back to {wording.moment(oldest, zone)}; choose a row to open it"


def _nothing(found: Found, moved: bool, *, upwards: bool) -> None:
    if found.resume is not None:
        ui.empty(
            "None found so far",
            "The newest of the matching hours were looked through without a match. Look further back, or narrow the "
            "search by feature, tier or status.",
            icon=":material/search:",
        )
        _pager(found, upwards=upwards)
        return
    ui.empty(
        "No decision matches",
        "Nothing in this view is like what is chosen above. Choose more days, or fewer conditions.",
        icon=":material/search_off:",
    )
    if moved:
        st.button("Go to the newest", on_click=_go)


def _pager(found: Found, *, upwards: bool) -> None:
    """Buttons to the pages beside; a search that stopped half way goes on where it stopped."""
    ends = (found.lines[0].id, found.lines[-1].id) if found.lines else (None, None)
    above = found.resume if upwards and found.resume else ends[0]
    below = found.resume if not upwards and found.resume else ends[1]
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.button("Newest", key="newest", on_click=_go, disabled=not found.newer, icon=":material/first_page:")
        st.button(
            "Newer",
            key="newer",
            shortcut="K",
            icon=":material/chevron_left:",
            disabled=not found.newer or above is None,
            on_click=_go,
            kwargs={} if above is None else {AFTER: decisions.written(above[:16])},
        )
        st.button(
            "Older" if found.resume is None else "Look further back",
            key="older",
            shortcut="J",
            icon=":material/chevron_right:",
            icon_position="right",
            disabled=not found.older or below is None,
            on_click=_go,
            kwargs={} if below is None else {BEFORE: decisions.written(below[:16])},
        )


def _go(**to: str) -> None:
    """Show another page, or one decision; without either the newest page."""
    names = (OPEN, BEFORE, AFTER) if OPEN not in to else (OPEN,)
    for name in names:
        st.query_params.pop(name, None)
    for name, value in to.items():
        st.query_params[name] = value


def _close() -> None:
    st.query_params.pop(OPEN, None)


def _one(stamp: Stamp, search: Search, chosen: str, live: Version) -> None:
    try:
        key = parse_id(chosen)
        record = decisions.record(stamp, key)
    except (InputError, LedgerError) as error:
        st.warning(ui.refusal(error).removesuffix(" Nothing was changed."), icon=":material/info:")
        st.button("Back to the list", on_click=_close, icon=":material/arrow_back:")
        return
    _steps(stamp, search, key)
    decision = record.decision
    _facts(decision)
    left, right = st.columns([3, 2])
    with left, ui.card("Why this tier", _because(decision), key="why"):
        _why(stamp, decision, live)
    with right, ui.card("Judgements", "oldest first; people count most", key="judged"):
        if record.labels:
            decision_tables.labels(record.labels, data.zone(stamp))
        else:
            st.caption("Nobody has judged this answer, so its quality is unknown.")
        _prompt(record)
    with ui.card("Calls", "faint: before the first token; hatched: failed", key="chain", tall=False):
        _calls(record, live)


def _steps(stamp: Stamp, search: Search, key: bytes) -> None:
    newer, older = (decisions.neighbour(stamp, search, key, side) for side in (True, False))
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center"):
        st.button("List", key="back", on_click=_close, icon=":material/arrow_back:", shortcut="Esc")
        for name, to, icon, shortcut in (
            ("Newer", newer, ":material/chevron_left:", "K"),
            ("Older", older, ":material/chevron_right:", "J"),
        ):
            st.button(
                name,
                key=f"{name.lower()}_one",
                icon=icon,
                shortcut=shortcut,
                disabled=to is None,
                on_click=_go,
                kwargs={} if to is None else {OPEN: decisions.written(to)},
            )
        st.code(decisions.written(key), language=None, width="content")


def _facts(decision: RoutingDecision) -> None:
    metered = [call.usage for call in decision.attempts if call.usage is not None]
    tokens = (
        wording.UNKNOWN if not metered else wording.count(sum(one.input_tokens + one.output_tokens for one in metered))
    )
    split = (
        f"{wording.count(sum(one.input_tokens for one in metered))} in, "
        f"{wording.count(sum(one.output_tokens for one in metered))} out"
    )
    expected = decision.expected_output_tokens
    final = next((call.usage for call in decision.attempts if call.final), None)
    answered = None if final is None else final.output_tokens
    with st.grid(6, min_column_width=150, gap=14):
        ui.metric(
            "Cost",
            wording.usd(decision.cost_nusd),
            wording.plural(len(decision.attempts), "call"),
            good="neither",
            arrow=False,
            help="List cost of all calls; unknown where one that used tokens has no price.",
        )
        ui.metric(
            "Latency",
            f"{decision.latency_ms / 1000:,.2f} s",
            None if decision.ttft_ms is None else f"{decision.ttft_ms / 1000:,.2f} s",
            against="first token",
            good="neither",
            arrow=False,
        )
        ui.metric("Tokens", tokens, split if metered else None, good="neither", arrow=False)
        ui.metric(
            "Expected answer",
            wording.UNKNOWN if expected is None else f"{expected:,} tokens",
            None if answered is None else f"{answered:,}",
            against="came",
            good="neither",
            arrow=False,
            help="Output tokens expected before the call, from answers to requests like it; and those of the answer "
            "that the caller got.",
        )
        ui.metric(
            "Quality",
            wording.share(decision.quality, digits=0),
            None if decision.quality_source is None else decision.quality_source.name.lower(),
            against="says so",
            good="neither",
            arrow=False,
        )
        ui.metric(
            "Outcome",
            decision.status.name.lower().replace("_", " "),
            decisions.STRATEGIES[decision.strategy],
            good="this" if decision.status is Status.OK else "not this",
            arrow=False,
        )


def _because(decision: RoutingDecision) -> str:
    return f"{decision.feature or 'no feature'}, {decision.team or 'no team'}"


def _why(stamp: Stamp, decision: RoutingDecision, live: Version) -> None:
    then = decisions.version(stamp, decision.config_version)
    draft = _draft(live.config)
    shown = [(f"then, v{decision.config_version}", None if then is None else then.config)]
    if decision.config_version != live.version:
        shown.append((f"live, v{live.version}", live.config))
    if draft is not None:
        shown.append(("your draft", draft))
    bars = [
        (name, config.tier_names, config.boundaries(decision.feature)) for name, config in shown if config is not None
    ]
    if bars:
        ui.figure(
            decision_charts.boundaries(bars, decision.score, live.config.tier_names),
            key="boundaries",
            alt=f"Score {decision.score} among the boundaries of {', '.join(name for name, _, _ in bars)}",
        )
    chance = "" if decision.propensity >= 1 else f" This had a chance of {wording.share(decision.propensity)}."
    score = "It was not scored." if decision.score is None else f"Scored {decision.score} by {decision.stage}."
    lines = [f"{score} Sent to **{decision.tier}** by {decisions.WHY[decision.reason]}.{chance}"]
    for name, config in (("Live now", live.config), ("Under your draft", draft)):
        if config is not None and (config is draft or decision.config_version != live.version):
            tier, why = decisions.routed_by(decision, config)
            lines.append(f"{name}: " + (f"**{tier}** ({why})." if tier else f"unknown, {why}."))
    if draft is None:
        lines.append("Move a boundary in Tuning, and this shows where your draft would send it.")
    st.markdown("  \n".join(lines))
    asked = decisions.stages(decision, live.config if then is None else then.config)
    if asked:
        st.caption("Score by stage: " + " → ".join(f"**{name}** {said}" for name, said in asked) + ".")
    scorer = f" · scorer {decision.scorer_version}" if decision.scorer_version else ""
    st.caption(f"{wording.moment(decision.decided_at_ms, data.zone(stamp))}{scorer}")
    with st.container(horizontal=True, gap="small"):
        if then is not None:
            st.page_link(
                "app_pages/versions.py",
                label=f"Version {decision.config_version}",
                icon=":material/history:",
                query_params={"version": f"Version {decision.config_version}"},
            )
        st.page_link("app_pages/tuning.py", label="Tuning", icon=":material/tune:")


def _draft(live: RoutingConfig) -> RoutingConfig | None:
    """Return the configuration of the link's draft, or of the one being tuned in this tab; None where there is none."""
    try:
        draft = (
            Draft.from_query(st.query_params["draft"], live)
            if "draft" in st.query_params
            else st.session_state.get("draft")
        )
        return draft.config(live) if isinstance(draft, Draft) and draft.changed else None
    except (ConfigError, ValueError):
        return None


def _prompt(record: Record) -> None:
    if record.prompt is not None:
        with st.expander("Prompt", icon=":material/notes:"):
            st.code(record.prompt, language=None, wrap_lines=True, height=240)
    else:
        st.caption(":material/lock: The text was not kept: prompts are stored as keyed hashes unless capture is on.")


def _calls(record: Record, live: Version) -> None:
    decision = record.decision
    if not decision.attempts:
        st.caption(f"No call was made: {decisions.STRATEGIES[decision.strategy]}.")
        return
    ui.figure(
        decision_charts.timeline(decision.attempts, live.config.tier_names),
        key="timeline",
        alt="When each call was made and how long it took",
    )
    decision_tables.calls(decisions.calls(decision), f"tierwise-decision-{decisions.written(decision.id)}.csv")
    if record.prices:
        st.markdown("**Priced by**")
        decision_tables.prices(decisions.priced(record))
        st.caption("US dollars per million tokens. The row that priced a call stays with it, whatever prices do later.")
    else:
        st.caption("No price is known for these calls, so their cost is unknown, not zero.")


main()
