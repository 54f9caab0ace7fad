"""Tiers and routes: what each costs, how good and fast it is, where requests really go, and why some went elsewhere."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard import charts, data, deciders, filters, overheads, route_tables, routes, summary, ui, wording
from dashboard.data import Stamp
from dashboard.filters import View


def main() -> None:
    stamp = data.stamp()
    window = data.window(stamp)
    place = ui.header("Tiers and routes")
    if window.last_day is None:
        ui.no_traffic()
        return
    live = data.live(stamp)
    with place.controls:
        view = filters.choose(window.last_day, teams=data.names(stamp, "team"), features=data.names(stamp, "feature"))
        ui.share_link()
    total = data.totals(stamp, view)
    with place.caption:
        ui.about(
            wording.span(view.since, view.until),
            wording.plural(total.decisions, "request"),
            f"{wording.share(total.priced_share)} of calls priced",
            f"quality judged on {wording.share(total.labelled_share, digits=0)}",
            "by assigned tier",
            demo=window.is_demo,
        )
    if not total.decisions:
        ui.nothing_in_view(view)
        return
    with ui.card("Tiers", "cheapest first; an escalation stays with the tier first assigned", key="tiers", tall=False):
        route_tables.broken_down(routes.broken_down(stamp, view, "tier"), "tier", view, order=live.config.tier_names)
    with ui.card("Where requests go", "feature, assigned tier, tier that answered", key="flow", tall=False):
        lines = data.spend(stamp, view, ("feature", "tier", "model", "kind", "status"))
        ui.figure(
            charts.flow(routes.answered(lines, live.config), live.config.tier_names),
            key="flow_figure",
            alt="Requests from each feature through its assigned tier to the tier that answered",
        )
    _by(stamp, view)
    _deciders(stamp, view, total.decisions)
    _setbacks(stamp, view)
    _around(stamp, view)


def _by(stamp: Stamp, view: View) -> None:
    offered = [name for name in route_tables.BY if name != "tier"]
    with ui.card("Side by side", "dearest first, US dollars", key="by_card", tall=False):
        chosen = st.segmented_control(
            "Compare",
            offered,
            default="model",
            required=True,
            format_func=lambda name: route_tables.BY[name],
            key="compare",
            bind="query-params",
            label_visibility="collapsed",
        )
        by = chosen if chosen in offered else "model"
        route_tables.broken_down(routes.broken_down(stamp, view, by), by, view)


def _deciders(stamp: Stamp, view: View, requests: int) -> None:
    teams = " · all teams" if view.team else ""
    note = f"pins and rules first, then the stage whose score stood{teams}"
    with ui.card("Who decided", note, key="deciders_card", tall=False):
        frame = deciders.deciders(stamp, view)
        known = int(frame["decisions"].sum())
        if not known:
            st.caption("These days were summed before it was kept who decided: `tierwise rollup --rebuild` adds it.")
            return
        route_tables.deciders(frame, view)
        st.caption(_scoring(frame))
        if not view.team and known < requests:
            st.caption(
                f"Known of {wording.plural(known, 'request')} of {wording.count(requests)}; the others were summed "
                "before it was kept: `tierwise rollup --rebuild` adds them where their rows, or an archive, are there."
            )


def _scoring(frame: pd.DataFrame) -> str:
    calls, unpriced = int(frame["calls"].sum()), int(frame["unpriced"].sum())
    if not calls:
        return "Scoring made no call to any model: rules and scorer look at the text on this machine, for nothing."
    requests = int(frame["decisions"].sum())
    cost = "at a cost that is not known in full" if unpriced else f"for {wording.dollars(float(frame['usd'].sum()))}"
    missing = f" {wording.plural(unpriced, 'call')} without a price." if unpriced else ""
    sentence = (
        f"{wording.plural(calls, 'call')} to score {wording.plural(requests, 'request')} {cost}, "
        f"which is part of all spend shown.{missing}"
    )
    return sentence.replace("$", "\\$")


def _setbacks(stamp: Stamp, view: View) -> None:
    teams = " · all teams" if view.team else ""
    with ui.card("Why calls fell back", f"failed, turned down, or in place of another{teams}", key="why", tall=False):
        found = routes.setbacks(stamp, view)
        every = data.totals(stamp, View(view.since, view.until, feature=view.feature))
        frame = routes.reasons(found)
        if frame.empty:
            st.caption("Every first call was answered, and no check turned an answer down.")
            return
        _setback_figures(found, every)
        route_tables.reasons(frame, every.decisions, view)


def _setback_figures(found: pd.DataFrame, every: summary.Totals) -> None:
    took = routes.totals(found, every.decisions, every.escalations)

    def seconds(name: str) -> str:
        value = took[name]
        return wording.UNKNOWN if value is None else f"{value:,.2f} s"

    escalated = None if not every.decisions else every.escalations / every.decisions
    with st.grid(4, min_column_width=130, gap=14):
        ui.metric(
            "Escalated",
            wording.share(escalated, digits=2),
            wording.count(every.escalations),
            against="requests",
            good="neither",
            arrow=False,
            help="Requests of a cascade whose draft a check refused, so that a stronger tier answered.",
        )
        ui.metric(
            "Cascade adds",
            seconds("cascade_wait"),
            None if took["spread"] is None else f"{took['spread'] * 1000:,.0f} ms",
            against="over all",
            good="neither",
            arrow=False,
            help="What an escalated request waited for the draft that was refused, on average.",
        )
        ui.metric(
            "Failed over",
            wording.share(every.failover_share, digits=2),
            seconds("failure_wait"),
            against="a failed call",
            good="neither",
            arrow=False,
            help="Requests whose first model failed and another took over, and how long a failed call took on average.",
        )
        ui.metric(
            "Paid for no answer",
            wording.dollars(took["wasted"]),
            wording.dollars(took["wasted_drafts"]),
            against="for drafts",
            good="neither",
            arrow=False,
            help="List cost of calls that failed or were turned down. It is part of all spend shown.",
        )


def _around(stamp: Stamp, view: View) -> None:
    teams = ", all teams" if view.team else ""
    calls = data.calls(stamp, View(view.since, view.until, feature=view.feature))
    left, right = st.columns([3, 2])
    with left, ui.card("Around the answer", "calls that are no first answer", key="around_card"):
        frame = overheads.around(stamp, view)
        if frame.empty:
            st.caption("Nothing was called but the models that answered.")
        else:
            route_tables.around(frame, view)
        found = overheads.shortened(calls, data.prices(stamp))
        if found is not None:
            count, cost, spared = found
            net = spared - cost
            st.caption(
                f"{wording.plural(count, 'prompt')} shortened for {wording.dollars(cost)}, which spared about "
                f"{wording.dollars(spared)} of input: {wording.dollars(net, signed=True)} net{teams}.".replace(
                    "$", "\\$"
                )
            )
    with right, ui.card("Caches", f"answers served again{teams}", key="caches"):
        hits = overheads.cached(calls)
        if hits.empty:
            st.caption("No request was served from a cache. Caches are switched on for each feature under `cache`.")
            return
        route_tables.cached(hits, view)
        differ, sampled = overheads.false_hits(routes.setbacks(stamp, view))
        if sampled:
            share = wording.share(differ / sampled)
            st.caption(f"Of {wording.plural(sampled, 'sampled hit')}, a model answered {share} otherwise: false hits.")
        elif int(hits["semantic"].sum()):
            st.caption("No hit was sampled, so false ones are unknown: set `cache.false_hit_sample`.")
        else:
            st.caption("Only the very same request is answered again, so no hit can be a false one.")


main()
