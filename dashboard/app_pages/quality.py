"""Quality: how good each tier's answers are and how sure that is, who says so, and what should move."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from dashboard import charts, data, filters, judgements, quality_charts, quality_tables, summary, ui, wording
from dashboard.data import Stamp
from dashboard.filters import View
from dashboard.judgements import Agreement, Routing
from router_core.config import RoutingConfig
from router_core.lifecycle.feedback import Drift


def main() -> None:
    stamp = data.stamp()
    window = data.window(stamp)
    place = ui.header("Quality")
    if window.last_day is None:
        ui.no_traffic()
        return
    live = data.live(stamp)
    with place.controls:
        view = filters.choose(window.last_day, features=data.names(stamp, "feature"))
        ui.share_link()
    lines = data.spend(stamp, view, ("day", "tier", "status"))
    total = summary.totals(lines)
    with place.caption:
        ui.about(
            wording.span(view.since, view.until),
            wording.plural(total.decisions, "request"),
            f"{wording.count(total.labelled)} judged",
            "by assigned tier",
            demo=window.is_demo,
        )
    if not total.decisions:
        ui.nothing_in_view(view)
        return
    if not total.labelled:
        _nobody_judged()
        return
    tiers = [tier for tier in live.config.tier_names if tier in set(lines["tier"])]
    said = judgements.labels(stamp, view, ("day", "source"))
    needed = judgements.labels(stamp, view, ("tier", "source", "needed_tier"), routed=True)
    drifts = judgements.drifted(lines, tiers, view)
    agreement = judgements.agreements(stamp, view)
    routing = judgements.routing(needed, live.config.tier_names)
    _figures(lines, total, routing, agreement, drifts)
    _tiers(lines, tiers, drifts, live.config, view)
    _biased(stamp, view)
    _suggestions(stamp, view, live.config)
    left, right = st.columns([2, 3])
    with left, ui.card("Routing accuracy", "rows assigned, columns needed", key="routing"):
        _routing(routing)
    with right, ui.card("Who judged", "share of all requests, by the source that counts", key="coverage"):
        ui.figure(
            quality_charts.coverage(judgements.coverage(said, lines)),
            key="coverage_figure",
            alt="Share of each day's requests whose answer was judged, stacked by who judged it",
        )
    with ui.card("Can the judges be trusted?", "set against people, where both judged", key="trust", tall=False):
        quality_tables.sources(judgements.by_source(said, agreement), view)
    with ui.card("Checks", "by feature and tier, the most troubled first", key="checked", tall=False):
        _checks(stamp, view)


def _nobody_judged() -> None:
    ui.empty(
        "No answer in this view was judged",
        "Quality stays unknown, neither good nor bad, until somebody or something judges answers: review a sample in a "
        "few minutes, let checks of a cascade speak, or import the labels you have.",
        icon=":material/rule:",
    )
    st.page_link("app_pages/review_queue.py", label="Review a sample", icon=":material/rate_review:")


def _figures(
    lines: pd.DataFrame,
    total: summary.Totals,
    routing: Routing | None,
    agreement: Sequence[Agreement],
    drifts: Sequence[Drift],
) -> None:
    whole = judgements.whole(lines)
    with st.grid(5, min_column_width=165, gap=14):
        ui.metric(
            "Quality",
            wording.share(total.quality),
            None if whole is None else quality_tables.interval(whole),
            good="neither",
            arrow=False,
            help="Mean of judged answers, with its 95% interval. It tells of answers like those that were judged.",
        )
        ui.metric(
            "Judged",
            wording.share(total.labelled_share),
            wording.count(total.labelled),
            against=f"of {wording.count(total.decisions)}",
            good="neither",
            arrow=False,
            help="Requests whose answer a check, the user, a judge model or a person judged.",
        )
        ui.metric(
            "Routing accuracy",
            wording.UNKNOWN if routing is None else wording.share(routing.right.value),
            None if routing is None else quality_tables.interval(routing.right),
            good="neither",
            arrow=False,
            help="How often the tier the router chose is the one people say was needed. Pins, rules and warm "
            "conversations are left out.",
        )
        judge = next((one for one in agreement if one.source == "judge"), None)
        ui.metric(
            "Judge agrees",
            wording.UNKNOWN if judge is None else wording.share(judge.share.value),
            None if judge is None else f"on {wording.plural(judge.decisions, 'answer')}",
            good="neither",
            arrow=False,
            help="How often the judge model and people say the same of an answer: good, or not good.",
        )
        certain = [one for one in drifts if one.certain]
        worst = min(certain, key=lambda one: one.change, default=None)
        ui.metric(
            "Drift",
            wording.UNKNOWN if not drifts else "none" if worst is None else wording.points(worst.change),
            None if worst is None else worst.tier,
            against="" if worst is None else "last 7 days",
            good="not this" if worst is not None and worst.change < 0 else "this",
            arrow=False,
            help="The largest change of a tier's quality in the last seven days against the days before, where it is "
            "more than chance, looking at all tiers at once. A change in who judges can look like drift, too.",
        )


def _tiers(
    lines: pd.DataFrame, tiers: Sequence[str], drifts: Sequence[Drift], config: RoutingConfig, view: View
) -> None:
    frames = {tier: judgements.over_time(lines, tier, view) for tier in tiers}
    known = {tier: frame for tier, frame in frames.items() if not frame.empty}
    low = min((float(frame["low"].min()) for frame in known.values()), default=0.0)
    high = max((float(frame["high"].max()) for frame in known.values()), default=1.0)
    within = (max(low - 0.02, 0.0), min(high + 0.015, 1.02))
    since = {one.tier: one.since for one in drifts if one.certain}
    colours = charts.tier_colours(config.tier_names)
    marks = (config.feedback.upgrade_below, config.feedback.downgrade_above)
    each = "means of seven days" if view.days >= summary.WEEKS else "days"
    note = f"{each}, 95% intervals; dotted: where a move is suggested"
    with ui.card("Quality by assigned tier", note, key="tiers", tall=False):
        with st.grid(min(4, max(1, len(tiers))), min_column_width=210, gap=14):
            for tier in tiers:
                with st.container(gap=None):
                    found = judgements.whole(lines, tier)
                    if found is None:
                        st.markdown(f"**{tier}**")
                        st.caption("nothing judged")
                        continue
                    st.markdown(f"**{tier}** {wording.share(found.value)}")
                    st.caption(f"{quality_tables.interval(found)} · {wording.count(found.labels)} judged")
                    if tier in known:
                        ui.figure(
                            quality_charts.tier_quality(
                                known[tier], colours[tier], within=within, marks=marks, drift_since=since.get(tier)
                            ),
                            key=f"quality_{tier}",
                            alt=f"Quality of answers of {tier} over time, with 95% intervals",
                        )
        if since:
            st.caption(f"Shaded: the last seven days of {', '.join(since)} differ from before by more than chance.")


def _biased(stamp: Stamp, view: View) -> None:
    """Say whose quality rests on users alone."""
    for key, noun in (("tier", "tier"), ("feature", "feature")):
        named = judgements.feedback_only(judgements.labels(stamp, view, (key, "source")), key)
        if named:
            which = ", ".join(name or f"no {noun}" for name in named[:4])
            more = f" and {len(named) - 4} more" if len(named) > 4 else ""
            st.warning(
                f"Users alone judged answers of {which}{more}. Who complains is no sample of those who were answered, "
                "so this quality is biased, and so is what a preview makes of it: review a few answers blind.",
                icon=":material/balance:",
            )
            st.page_link("app_pages/review_queue.py", label="Review a sample", icon=":material/rate_review:")
            return


def _suggestions(stamp: Stamp, view: View, config: RoutingConfig) -> None:
    found = judgements.suggested(stamp, view.until, view.feature)
    marks = config.feedback
    note = f"from the newest {wording.count(marks.window)} labels of each feature on each tier"
    with ui.card("Suggested moves", note, key="moves", tall=False):
        if found:
            quality_tables.suggestions(found, view)
            return
        st.caption(
            f"None: no feature is below {wording.share(marks.upgrade_below, digits=0)} on a tier, nor above "
            f"{wording.share(marks.downgrade_above, digits=0)} on one that has a cheaper neighbour, with enough labels "
            "to tell. Pinned features are left alone."
        )


def _checks(stamp: Stamp, view: View) -> None:
    found = judgements.checks(
        judgements.labels(stamp, view, ("feature", "tier", "source")), data.spend(stamp, view, ("feature", "tier"))
    )
    if found.empty:
        st.caption("No answer of this view was checked. Checks are set for each feature under `cascade`.")
        return
    quality_tables.checks(found, view)


def _routing(routing: Routing | None) -> None:
    if routing is None:
        st.caption(
            "Nobody has said yet which tier a request needed, so it is unknown whether routing is right. "
            "Ten minutes of review give a first answer."
        )
        st.page_link("app_pages/review_queue.py", label="Open the review queue", icon=":material/rate_review:")
        return
    ui.figure(
        quality_charts.needed(routing.table),
        key="needed_figure",
        alt="Tiers the router assigned against the tiers people say were needed",
    )
    count = routing.right.labels
    st.caption(
        f"Of {wording.plural(count, 'reviewed request')}, {wording.share(routing.stronger / count, digits=0)} went to "
        f"a stronger tier than needed (money), {wording.share(routing.cheaper / count, digits=0)} to a cheaper one "
        "(quality)."
    )


main()
