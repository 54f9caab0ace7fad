"""Overview: where the money went, what routing saved, how good the answers were, and how sure all that is."""

from __future__ import annotations

from datetime import date
from typing import Final

import pandas as pd
import streamlit as st

from dashboard import charts, data, filters, outcomes, standing, summary, tables, ui, wording
from dashboard.data import Stamp
from dashboard.filters import View
from dashboard.summary import Saving, Totals
from router_core.errors import NoSupportError

BREAKDOWNS: Final = {"feature": "Feature", "team": "Team", "model": "Model", "tier": "Tier"}


def main() -> None:
    stamp = data.stamp()
    window = data.window(stamp)
    place = ui.header("Overview")
    if window.last_day is None:
        ui.no_traffic()
        return
    live = data.live(stamp)
    with place.controls:
        view = filters.choose(window.last_day, teams=data.names(stamp, "team"), features=data.names(stamp, "feature"))
        baseline = filters.choose_baseline(live.config)
        ui.share_link()
    lines = data.spend(stamp, view, ("day", "tier", "feature", "status"))
    now = summary.totals(lines)
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
        return
    before = _before(stamp, view, window.first_day)
    _figures(stamp, view, lines, now, before, baseline)
    left, right = st.columns([3, 2])
    with left, ui.card("Daily spend by tier", f"US dollars, days in {window.timezone}", key="spend"):
        by_day = lines.groupby(["day", "tier"], as_index=False)["list_cost_nusd"].sum()
        ui.figure(
            charts.spend_by_tier(by_day.assign(usd=by_day["list_cost_nusd"] / wording.NANO), live.config.tier_names),
            key="spend_by_tier",
            alt="Spend of each day in US dollars, stacked by assigned tier",
        )
    with right, ui.card("Cost and quality", "all traffic; dotted: best boundaries", key="picture"):
        _picture(stamp, view)
    _table(stamp, view)


def _before(stamp: Stamp, view: View, first_day: date | None) -> Totals | None:
    """Return the totals of as many days before, where the ledger holds them all."""
    earlier = view.before()
    if first_day is None or earlier.since < first_day:
        return None
    return summary.totals(data.spend(stamp, earlier, ("day", "tier", "feature", "status")))


def _figures(stamp: Stamp, view: View, lines: pd.DataFrame, now: Totals, before: Totals | None, baseline: str) -> None:
    def then(name: str) -> float | None:
        return None if before is None else getattr(before, name)

    smooth = summary.smoothed(summary.daily(lines))
    with st.grid(6, min_column_width=160, gap=14):
        ui.metric(
            "Spend",
            wording.usd(now.cost_nusd),
            _relative(now.cost_nusd, then("cost_nusd")),
            good="down",
            trend=smooth["usd"].tolist(),
            help="List cost of all calls, failed ones, classifiers and rejected drafts included.",
        )
        saving = _saved(stamp, view, lines, baseline)
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
            "Per 1k successes",
            wording.usd(now.cost_per_thousand_nusd),
            _relative(now.cost_per_thousand_nusd, then("cost_per_thousand_nusd")),
            good="down",
            trend=smooth["usd_per_thousand"].dropna().tolist(),
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
            help="Calls whose model has a known price. The rest is missing from every dollar figure here: add prices.",
        )
    _reading(view, before, saving, baseline)


def _saved(stamp: Stamp, view: View, lines: pd.DataFrame, tier: str) -> Saving | None:
    label = "Saved"
    explained = (
        f"What the same requests would have cost on {tier} alone, less what was spent, all overheads included. "
        "The baseline is an estimate, since the log cannot say how many tokens another model would have used; "
        "the range holds 95 times in 100."
    )
    try:
        baseline = data.baseline(stamp, view.since, view.until, tier)
    except NoSupportError:
        baseline = None
    saving = None if baseline is None else summary.saving(lines, baseline, whole=not view.where)
    if baseline is None or saving is None:
        ui.metric(label, wording.UNKNOWN, help=explained)
        return None
    ui.metric(
        label,
        wording.usd(saving.nusd),
        f"{wording.share(saving.share)} of {wording.usd(saving.baseline_nusd)}",
        good="this" if saving.nusd >= 0 else "not this",
        arrow=False,
        trend=summary.smoothed(summary.daily_saving(lines, baseline)).tolist(),
        help=explained,
    )
    return saving


def _reading(view: View, before: Totals | None, saving: Saving | None, tier: str) -> None:
    """Say what the row of figures is measured against."""
    parts = []
    if saving is not None:
        between = ""
        if saving.low_nusd is not None and saving.high_nusd is not None:
            between = f"; the saving is {wording.usd(saving.low_nusd)} to {wording.usd(saving.high_nusd)} (95%)"
        parts.append(
            f"Saved: against every request on {tier}, an estimated {wording.usd(saving.baseline_nusd)}{between}."
        )
    if before is not None:
        parts.append(f"Changes: against the {wording.plural(view.days, 'day')} before.")
    if view.days >= summary.WEEKS:
        parts.append("Lines: means of seven days.")
    st.caption(" ".join(parts).replace("$", "\\$"))


def _relative(now: float | None, before: float | None) -> str | None:
    change = summary.change(now, before)
    return None if change is None else wording.share(change, signed=True)


def _difference(now: float | None, before: float | None, *, digits: int = 1) -> str | None:
    return None if now is None or before is None else wording.points(now - before, digits=digits)


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
        standing.cost_and_quality(points, data.best(stamp, view.since, view.until)),
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
        frame = summary.breakdown(data.spend(stamp, view, (key, "day", "status")), key)
        tables.breakdown(frame, key, BREAKDOWNS[key], view)


main()
