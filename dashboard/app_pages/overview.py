"""Overview: where the money went and is heading, what changed, what routing saved, and how sure all that is."""

from __future__ import annotations

from datetime import date
from typing import Final

import pandas as pd
import streamlit as st

from dashboard import (
    attention,
    changed,
    charts,
    data,
    filters,
    outcomes,
    outlook,
    standing,
    summary,
    tables,
    ui,
    wording,
)
from dashboard.data import Stamp
from dashboard.filters import View
from dashboard.summary import Baseline, Saving, Totals
from router_core.errors import NoSupportError, UnpricedModelError
from router_core.ledger.queries import Window

BREAKDOWNS: Final = {"feature": "Feature", "team": "Team", "model": "Model", "tier": "Tier"}


def main() -> None:
    stamp = data.stamp()
    window = data.window(stamp)
    place = ui.header("Overview")
    if window.last_day is None:
        ui.no_traffic()
        _metered_elsewhere(stamp, None)
        return
    live = data.live(stamp)
    with place.controls:
        view = filters.choose(window.last_day, teams=data.names(stamp, "team"), features=data.names(stamp, "feature"))
        offered = dict.fromkeys((*live.config.models, *data.names(stamp, "model")))
        baseline = filters.choose_baseline(live.config, list(offered))
        ui.share_link()
    lines = data.spend(stamp, view, ("day", "tier", "feature", "status"))
    now = data.totals(stamp, view)
    with place.caption:
        ui.about(
            wording.span(view.since, view.until),
            wording.plural(now.decisions, "request"),
            f"{wording.share(now.priced_share)} of calls priced",
            f"quality judged on {wording.share(now.labelled_share, digits=0)}",
            f"configuration v{live.version}",
            demo=window.is_demo,
        )
    if not now.decisions:
        ui.nothing_in_view(view)
        _metered_elsewhere(stamp, view)
        return
    before = _before(stamp, view, window.first_day)
    _figures(stamp, view, lines, now, before, baseline)
    attention.show(attention.found(stamp, view))
    left, right = st.columns([3, 2])
    with left, ui.card("Daily spend by tier", f"US dollars, days in {window.timezone}", key="spend"):
        by_day = lines.groupby(["day", "tier"], as_index=False)["list_cost_nusd"].sum()
        ui.figure(
            charts.spend_by_tier(by_day.assign(usd=by_day["list_cost_nusd"] / wording.NANO), live.config.tier_names),
            key="spend_by_tier",
            alt="Spend of each day in US dollars, stacked by assigned tier",
        )
    with right:
        _outlook(stamp, view, window)
    left, right = st.columns([3, 2])
    with left, ui.card("What changed", _windows(view), key="changed"):
        _changed(stamp, view, before)
    with right, ui.card("Cost and quality", "all traffic; dotted: best boundaries", key="picture"):
        _picture(stamp, view)
    _table(stamp, view)
    _metered_elsewhere(stamp, view)


def _before(stamp: Stamp, view: View, first_day: date | None) -> Totals | None:
    """Return the totals of as many days before, where the ledger holds them all."""
    earlier = view.before()
    if first_day is None or earlier.since < first_day:
        return None
    return data.totals(stamp, earlier)


def _figures(stamp: Stamp, view: View, lines: pd.DataFrame, now: Totals, before: Totals | None, name: str) -> None:
    def then(figure: str) -> float | None:
        return None if before is None else getattr(before, figure)

    smooth = summary.smoothed(data.daily(stamp, view))
    with st.grid(6, min_column_width=160, gap=14):
        ui.metric(
            "Spend",
            wording.usd(now.cost_nusd),
            _relative(now.cost_nusd, then("cost_nusd")),
            good="down",
            trend=smooth["usd"].tolist(),
            help="List cost of all calls, failed ones, classifiers and rejected drafts included.",
        )
        baseline, why = _baseline(stamp, view, name)
        saving = None if baseline is None else summary.saving(lines, baseline, whole=not view.where)
        _saved(lines, baseline, saving, name)
        ui.metric(
            "Quality",
            wording.share(now.quality),
            _difference(now.quality, then("quality")),
            good="up",
            trend=smooth["quality"].dropna().tolist(),
            help=f"Mean of the {wording.plural(now.labelled, 'answer')} judged by checks, feedback, a judge or people; "
            "the rest is unknown, not good or bad.",
        )
        ui.metric(
            "Cost per success",
            wording.usd(now.cost_per_success_nusd),
            _relative(now.cost_per_success_nusd, then("cost_per_success_nusd")),
            good="down",
            trend=smooth["usd_per_success"].dropna().tolist(),
            help="All cost divided by the requests that succeeded.",
        )
        ui.metric(
            "Fall-back rate",
            wording.share(now.failover_share, digits=2),
            _difference(now.failover_share, then("failover_share"), digits=2),
            good="down",
            trend=smooth["failover_share"].dropna().tolist(),
            help="Requests for which the first model failed and another took over.",
        )
        ui.metric(
            "Calls priced",
            wording.share(now.priced_share),
            _difference(now.priced_share, then("priced_share")),
            good="up",
            trend=smooth["priced"].dropna().tolist(),
            help="Calls that used tokens and whose model has a known price. The rest is missing from every dollar "
            "figure here: add prices.",
        )
    _reading(view, before, baseline, saving, why)


def _baseline(stamp: Stamp, view: View, name: str) -> tuple[Baseline | None, str]:
    """Return the baseline chosen, or the sentence that says why there is none."""
    try:
        return data.baseline(stamp, view.since, view.until, name), ""
    except NoSupportError:
        return None, ""
    except UnpricedModelError as error:
        return None, f"Saved: {error}"


def _saved(lines: pd.DataFrame, baseline: Baseline | None, saving: Saving | None, name: str) -> None:
    label = "Saved"
    explained = (
        f"What the same requests would have cost on {name} alone, less what was spent. All that routing itself costs "
        "(classifiers, judges, refused drafts, fail-overs, summaries, samples) counts against it. The baseline is an "
        "estimate, since the log cannot say how many tokens another model would have used."
    )
    if baseline is None or saving is None:
        ui.metric(label, wording.UNKNOWN, help=explained)
        return
    ui.metric(
        label,
        wording.usd(saving.nusd),
        f"{wording.share(saving.share)} of {wording.usd(saving.baseline_nusd)}",
        good="this" if saving.nusd >= 0 else "not this",
        arrow=False,
        trend=summary.smoothed(summary.daily_saving(lines, baseline)).tolist(),
        help=explained,
    )


def _reading(view: View, before: Totals | None, baseline: Baseline | None, saving: Saving | None, why: str) -> None:
    """Say what the row of figures is measured against."""
    parts = [why.removesuffix(".") + "."] if why else []
    if baseline is not None and saving is not None:
        between = ""
        if saving.low_nusd is not None and saving.high_nusd is not None:
            ends = f"{wording.usd(saving.low_nusd)} to {wording.usd(saving.high_nusd)}"
            between = f"; the saving is {ends} ({baseline.interval})"
        parts.append(f"Saved: against {baseline.of}, an estimated {wording.usd(saving.baseline_nusd)}{between}.")
    if before is not None:
        parts.append(f"Changes: against the {wording.plural(view.days, 'day')} before.")
    if view.days >= summary.WEEKS:
        parts.append("Lines: means of seven days, from the lowest to the highest.")
    st.caption(" ".join(parts).replace("$", "\\$"))


def _relative(now: float | None, before: float | None) -> str | None:
    change = summary.change(now, before)
    return None if change is None else wording.share(change, signed=True)


def _difference(now: float | None, before: float | None, *, digits: int = 1) -> str | None:
    return None if now is None or before is None else wording.points(now - before, digits=digits)


def _outlook(stamp: Stamp, view: View, window: Window) -> None:
    since, until = outlook.month_of(window)
    now = outlook.today(window)
    found = outlook.ahead(stamp, since, until, now, view.team, view.feature)
    headline, note = outlook.told(found)
    scope = f"team:{view.team}" if view.team else f"feature:{view.feature}" if view.feature else "all"
    budget = next(
        (
            one.max_budget
            for one in data.live(stamp).config.budgets
            if one.budget_duration == "month" and one.scope == scope and not (view.team and view.feature)
        ),
        None,
    )
    with ui.card("Month's end", "spend adding up, US dollars", key="outlook", help=note):
        st.markdown(headline.replace("$", "\\$"))
        ui.figure(
            outlook.month(found, outlook.by_day(stamp, since, now, view.team, view.feature), budget_usd=budget),
            key="outlook_figure",
            alt="Spend of the month adding up by day, with its forecast and interval, beside the month before",
        )


def _windows(view: View) -> str:
    earlier = view.before()
    teams = "all teams, " if view.team else ""
    return f"{teams}{wording.span(earlier.since, earlier.until)} against {wording.span(view.since, view.until)}"


def _changed(stamp: Stamp, view: View, before: Totals | None) -> None:
    if before is None or not before.decisions:
        st.caption(
            f"There is nothing to compare with: the ledger does not hold the {wording.plural(view.days, 'day')} before "
            "these. Choose fewer days."
        )
        return
    found = changed.between(stamp, view)
    figure = changed.waterfall(found, "Before", "Now")
    begins = changed.begins_at(figure)
    ui.figure(figure, key="changed_figure", alt="Steps from what the days before cost to what these days cost")
    said = changed.said(found) or ["No single cause moved spend by as much as 2%."]
    st.markdown("\n".join(f"- {line}" for line in said).replace("$", "\\$"))
    axis = f" The axis begins at {wording.dollars(begins)}." if begins else ""
    st.caption(
        f"The parts sum to the change to the nano-dollar, each taken after those to its left.{axis}".replace("$", "\\$")
    )


def _picture(stamp: Stamp, view: View) -> None:
    try:
        preview = data.preview(stamp, view.since, view.until)
    except NoSupportError as error:
        st.caption(str(error))
        return
    points = outcomes.points(preview.at(preview.config), draft=False)
    if points["quality"].isna().all():
        st.caption("No answer in these days was judged, so quality is unknown. Label some to see it: `tierwise label`.")
        return
    ui.figure(
        standing.cost_and_quality(points, data.best(stamp, view.since, view.until), height=400),
        key="cost_quality",
        alt="Cost and quality of the live configuration beside everything on one tier and shuffled tiers",
    )


def _table(stamp: Stamp, view: View) -> None:
    with ui.card("Where it goes", "dearest first, US dollars", key="where"):
        chosen = st.segmented_control(
            "Break down by",
            list(BREAKDOWNS),
            default="feature",
            required=True,
            format_func=lambda key: BREAKDOWNS[key],
            key="by",
            bind="query-params",
            label_visibility="collapsed",
        )
        key = chosen if chosen in BREAKDOWNS else "feature"
        tables.breakdown(data.breakdown(stamp, view, key), key, BREAKDOWNS[key], view)


def _metered_elsewhere(stamp: Stamp, view: View | None) -> None:
    """Show spend that reports of others summed, apart: no single requests, and maybe the same calls again."""
    lines = data.metered(stamp, None if view is None else view.since, None if view is None else view.until)
    if not lines:
        return
    days = "all days" if view is None else f"{wording.span(view.since, view.until)}, days in UTC"
    with ui.card("Metered elsewhere", f"usage and cost reports, {days}", key="metered", tall=False):
        tables.metered(lines)
        st.caption(
            "Sums from providers' own reports. They hold no single requests, and may describe calls counted above or "
            "in one another, so they are part of no figure on this page, of no quality and of no preview."
        )


main()
