"""What-if: scenarios on the log side by side, a plan priced without a log, and published savings recomputed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any, Final

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard import charts, comparing, data, filters, plan, plan_charts, previewing, published, ui, wording
from dashboard.data import Stamp
from dashboard.plan import Start
from dashboard.ui import Place
from router_core.config import RoutingConfig
from router_core.errors import TierwiseError
from router_core.prices import Price, PriceBook
from router_core.projection.calculator import Bill, Traffic

SCENARIOS, CALCULATOR, CLAIMS = "Scenarios", "Calculator", "Published claims"
LOG_DAYS: Final = 30
PERIODS: Final = ("day", "week", "month", "year")


def main() -> None:
    stamp = data.stamp()
    last_day = data.window(stamp).last_day
    place = ui.header("What-if")
    with place.controls:
        chosen = st.segmented_control(
            "View",
            [SCENARIOS, CALCULATOR, CLAIMS],
            default=CALCULATOR if last_day is None else SCENARIOS,
            required=True,
            key="view",
            bind="query-params",
            label_visibility="collapsed",
        )
        days = filters.choose_days() if chosen == SCENARIOS and last_day is not None else filters.USUAL
        ui.share_link()
    if chosen == CLAIMS:
        with place.caption:
            ui.about("recomputed from the requests, tokens and prices that each article states")
        _claims()
    elif chosen == SCENARIOS:
        _scenarios(stamp, last_day, days, place)
    else:
        _calculator(stamp, place)


def _scenarios(stamp: Stamp, last_day: date | None, days: int, place: Place) -> None:
    if last_day is None:
        ui.empty(
            "No requests yet",
            "Scenarios are worked out on your own log. The calculator needs none; or look around with simulated "
            "traffic:",
            "tierwise demo",
        )
        return
    live, view = data.live(stamp), filters.last(last_day, days)
    preview = previewing.begun(stamp, view, live, place)
    if preview is None:
        return
    known, given = comparing.begin(stamp, preview, live.config)
    comparing.compare(stamp, view, preview, known, given)


def _calculator(stamp: Stamp, place: Place) -> None:
    live = data.live(stamp)
    start = _start(stamp, live.config)
    with place.caption:
        ui.about(
            "list prices of today, in US dollars",
            "starts from your own last 30 days" if start else "starts from a made-up million requests",
            "change anything",
        )
    calculator(data.prices(stamp), live.config, start or plan.from_config(live.config))


def _start(stamp: Stamp, config: RoutingConfig) -> Start | None:
    window = data.window(stamp)
    if window.last_day is None or window.first_day is None:
        return None
    view = filters.last(window.last_day, LOG_DAYS)
    days = min(LOG_DAYS, (window.last_day - window.first_day).days + 1)
    return plan.from_log(data.spend(stamp, view, ("model", "kind")), days, config)


@st.fragment
def calculator(book: PriceBook, config: RoutingConfig, start: Start) -> None:
    """The inputs and, beside them, what they cost: redrawn together."""
    now_ms = time.time_ns() // 1_000_000
    left, right = st.columns([3, 2])
    with left:
        with ui.card("Traffic", "means of one request", key="traffic", tall=False):
            traffic = _traffic(start)
        with ui.card("Who serves it", "shares of requests, and rates per million tokens", key="plan", tall=False):
            names = _models(book, config, start)
            weights, prices = _plan(book, names, start, now_ms, int(traffic.input_tokens))
        with ui.card("Overheads", "what routing itself costs", key="overheads", tall=False):
            classifier, drafts = _overheads(names)
    with right:
        _result(book, config, traffic, weights, prices, classifier, drafts, now_ms)


def _traffic(start: Start) -> Traffic:
    with st.grid(3, min_column_width=130, gap="small"):
        requests = _number("Requests", "requests", start.requests, most=10**12, step=10_000)
        per = st.selectbox("Each", PERIODS, index=2, key="per", bind="query-params")
        cached = _number(
            "Cached input, %", "cached", start.cached, most=100, step=5, help="Read from the provider's own cache."
        )
        sent = _number("Tokens in", "tokens_in", start.input_tokens, most=10**7, step=100)
        received = _number("Tokens out", "tokens_out", start.output_tokens, most=10**7, step=50)
    return Traffic(
        Decimal(requests), Decimal(sent), Decimal(received), Decimal(cached) / 100, per if per in PERIODS else "month"
    )


def _number(label: str, key: str, value: int, *, most: int, step: int, help: str | None = None) -> int:
    chosen = st.number_input(label, 0, most, value, step, key=key, bind="query-params", help=help)
    return value if chosen is None else max(0, min(most, int(chosen)))


def _models(book: PriceBook, config: RoutingConfig, start: Start) -> list[str]:
    options = plan.sold(book, config)
    chosen = st.multiselect(
        "Models",
        options,
        default=[name for name in start.shares if name in options],
        format_func=plan.short,
        key="models",
        bind="query-params",
        label_visibility="collapsed",
        placeholder="Choose models",
        max_selections=12,
    )
    return [name for name in chosen if name in options]


def _plan(
    book: PriceBook, names: list[str], start: Start, now_ms: int, input_tokens: int
) -> tuple[dict[str, float], dict[str, Price]]:
    """Ask for the share and rates of each model; a rate that is not known starts empty."""
    weights, prices = {}, {}
    for name in names:
        title, figures = st.columns([3, 6], vertical_alignment="bottom")
        with title.container(gap=None):
            st.markdown(f"**{plan.short(name)}**")
            st.caption(name.partition("/")[0])
        with figures, st.grid(3, min_column_width=90, gap="small"):
            share, sent, received = (st.container() for _ in range(3))
        weight = share.number_input(
            "Share",
            0,
            100,
            value=start.shares.get(name, 10),
            step=5,
            key=f"share.{name}",
            bind="query-params",
            help="Whatever the shares sum to is taken as all requests.",
        )
        known = plan.price(book, name, now_ms, input_tokens) or plan.unknown(name)
        rates = [
            _rate(cell, label, f"{key}.{name}", rate)
            for cell, label, key, rate in (
                (sent, "$ per M in", "in", known.input_usd_per_mtok),
                (received, "$ per M out", "out", known.output_usd_per_mtok),
            )
        ]
        weights[name] = float(weight or 0)
        prices[name] = plan.with_rates(known, rates[0], rates[1])
    return weights, prices


def _rate(cell: DeltaGenerator, label: str, key: str, rate: Decimal | None) -> float | None:
    """Ask for one rate; it stays empty where it is not known."""
    start: Any = None if rate is None else float(rate)
    found: float | None = cell.number_input(
        label,
        0.0,
        1_000_000.0,
        value=start,
        step=0.05,
        format="%.4g",
        key=key,
        bind="query-params",
        placeholder="unknown",
    )
    return found


def _overheads(names: list[str]) -> tuple[str, tuple[str, float] | None]:
    left, middle, right = st.columns([2, 2, 1])
    classifier = left.selectbox(
        "Judge every request with",
        ["", *names],
        format_func=lambda name: plan.short(name) if name else "no model: rules and local scoring",
        key="classifier",
        bind="query-params",
        help="It reads the whole request and answers with one token.",
    )
    model = middle.selectbox(
        "Try first, and check",
        ["", *names],
        format_func=lambda name: plan.short(name) if name else "no cascade",
        key="drafts_of",
        bind="query-params",
        help="Drafts that are turned down are paid in vain.",
    )
    share = right.number_input("Turned down, %", 0, 100, 20, 5, key="drafts", bind="query-params", disabled=not model)
    return classifier or "", (model, float(share or 0) / 100) if model else None


def _result(
    book: PriceBook,
    config: RoutingConfig,
    traffic: Traffic,
    weights: Mapping[str, float],
    prices: Mapping[str, Price],
    classifier: str,
    drafts: tuple[str, float] | None,
    now_ms: int,
) -> None:
    if not weights:
        st.caption("Choose a model to see what it costs.")
        return
    figures = st.container()
    with ui.card("Bill", f"US dollars a {traffic.per}", key="bill", tall=False):
        baseline = _baseline(config, list(weights))
        try:
            own = plan.cost(traffic, weights, prices, classifier=classifier, drafts=drafts)
            against = prices.get(baseline) or plan.price(book, baseline, now_ms, int(traffic.input_tokens))
            whole = plan.cost(traffic, {baseline: 1}, {baseline: against or plan.unknown(baseline)})
        except TierwiseError as error:
            ui.problem(error)
            return
        ui.figure(
            plan_charts.bills(plan.lines(own, whole, list(weights)), _colours(config), own.per),
            key="bills",
            alt="Cost of the plan by model, above the cost of everything on one model",
        )
    with figures:
        _figures(own, whole, traffic)
    with ui.card("What this leaves out", key="left_out", tall=False):
        st.caption(
            "Quality: the calculator knows no answers. Tokens: a model may say the same in more or fewer of them. "
            "Retries and failures. A preview on your own log has all of these: see Tuning."
        )


def _colours(config: RoutingConfig) -> dict[str, str]:
    """Return the colours of the parts of a bill: a model has that of the cheapest tier it serves."""
    tiers = charts.tier_colours(config.tier_names)
    return {plan.CLASSIFIER: charts.OTHER} | {
        plan.short(plan.seller(config, model)): tiers[tier.name]
        for tier in reversed(config.tiers)
        for model in tier.models
    }


def _baseline(config: RoutingConfig, names: list[str]) -> str:
    model = config.baseline_model
    usual = plan.seller(config, model) if model is not None and model in config.models else names[-1]
    options = list(dict.fromkeys([usual, *names]))
    chosen = st.selectbox(
        "Set against everything on",
        options,
        format_func=plan.short,
        key="against",
        bind="query-params",
    )
    return chosen if chosen in options else usual


def _figures(own: Bill, whole: Bill, traffic: Traffic) -> None:
    saving = own.saving(whole)
    overheads = sum(own.extras.values(), Decimal(0))
    each = own.cost / traffic.requests * 1000 if traffic.requests else None
    with st.grid(2, min_column_width=140, gap=14):
        ui.metric(f"Cost a {own.per}", wording.dollars(float(own.cost)), good="neither")
        ui.metric(
            "Saving",
            wording.share(None if saving is None else float(saving)),
            wording.dollars(float(whole.cost - own.cost), signed=True),
            good="this" if own.cost <= whole.cost else "not this",
            arrow=False,
            help="Share of the cost of everything on one model; negative where the plan costs more.",
        )
        ui.metric("Per 1k requests", wording.dollars(None if each is None else float(each)))
        ui.metric(
            "Overheads",
            wording.dollars(float(overheads)),
            wording.share(float(overheads / own.cost) if own.cost else None),
            against="of the cost",
            good="neither",
            arrow=False,
        )


def _claims() -> None:
    found = published.claims()
    wrong = sum(not claim.follows for claim in found)
    with st.grid(3, min_column_width=150, gap=14):
        articles = len({claim.source for claim in found})
        ui.metric("Claims", str(len(found)), f"{articles} articles", good="neither", arrow=False)
        ui.metric(
            "Follow", str(len(found) - wrong), good="up", help="The stated figure is the recomputed one, rounded."
        )
        ui.metric("Do not follow", str(wrong), good="down", help="Their own inputs give another figure.")
    with ui.card("Claims", "those that do not follow first", key="claims_card", tall=False):
        published.table(found)
        st.caption("A claim is judged by its own inputs alone, prices as it states them, a month of 30 days.")


main()
