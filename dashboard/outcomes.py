"""How a projection is shown: its figures beside today's, its controls, and its effect by feature."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import ui, wording
from router_core.projection import Projection
from router_core.projection.result import CONTRADICTED, Estimate, Interval

NANO: Final = wording.NANO
SUPPORT: Final[dict[str, tuple[str, ui.Good]]] = {
    "plain": ("good", "this"),
    "amber": ("thin", "perhaps"),
    "red": ("too thin", "not this"),
}
SHORT: Final = {"all_cheapest": "all cheapest", "all_strongest": "all strongest", "shuffled": "shuffled"}
CONTROLS: Final = {
    "all_cheapest": "All on the cheapest tier",
    "all_strongest": "All on the strongest tier",
    "shuffled": "Same shares, shuffled",
}


def figures(projection: Projection) -> None:
    """The row of figures: cost, saving, quality, fallbacks, waiting, what moves, and how well the log supports it."""
    cost, saving, quality, support = projection.cost, projection.saving, projection.quality, projection.support
    unchanged = support.moved_share == 0 and cost.change == 0
    with st.grid(6, min_column_width=165, gap=12):
        ui.metric(
            f"Cost, {wording.plural(projection.days, 'day')}",
            _or_range(cost.projected, cost.low, cost.high, cost.logged, wording.usd),
            None if unchanged else _signed(cost.change, wording.usd),
            against=f"of {_short(cost.logged)}",
            good="down",
            help="What the same requests would have cost under the draft, at list prices.",
        )
        ui.metric(
            "Saving",
            wording.share(0.0) if unchanged else wording.share(saving.value, signed=False),
            None if unchanged else _range(saving.low, saving.high, lambda value: wording.share(value)),
            good="neither",
            arrow=False,
            help="Share of today's cost saved, after all overheads; negative where the draft costs more. "
            "The interval covers 95 of 100 such previews.",
        )
        ui.metric(
            "Quality",
            _or_range(quality.projected, quality.low, quality.high, quality.logged, wording.share),
            None if unchanged else _signed(quality.change, wording.points),
            against=_ends_of(quality, wording.points),
            good="up",
            help="Mean quality of answers, 0 to 100%, where they were judged; the interval is of the change.",
        )
        _served(projection, unchanged=unchanged)
        word, good = SUPPORT[support.colour]
        ui.metric(
            "Requests moved",
            wording.share(support.moved_share),
            None if unchanged else f"{word} evidence",
            good=good,
            arrow=False,
            help=f"Of {wording.count(projection.decisions)} requests, those the draft gives to another tier. For "
            f"{wording.share(support.unsupported_share)} of all, fewer than ten of like difficulty were judged on that "
            "tier: up to 2% is good evidence, above 10% is too thin for a single figure.",
        )


def _served(projection: Projection, *, unchanged: bool) -> None:
    fallbacks, wait = projection.fallbacks, projection.latency_p95_ms
    ui.metric(
        "Fallback rate",
        wording.share(None if fallbacks is None else fallbacks.projected),
        None if unchanged or fallbacks is None else _signed(fallbacks.change, wording.points),
        against="" if fallbacks is None else _ends_of(fallbacks, wording.points),
        good="down",
        help="Share of requests that another model than the first one asked had to answer, after fail-over or "
        "escalation; the interval is of the change.",
    )
    ui.metric(
        "Slowest 5%",
        _seconds(None if wait is None else wait.projected),
        None if unchanged or wait is None else _signed(wait.change, _seconds),
        against="" if wait is None else _ends_of(wait, _seconds),
        good="down",
        help="95th percentile of how long a call takes: one in twenty takes longer; the interval is of the change.",
    )


def _short(nusd: int) -> str:
    amount = nusd / NANO
    return f"${amount:,.0f}" if amount >= 100 else wording.dollars(amount)


def _seconds(ms: float | None, *, signed: bool = False) -> str:
    if ms is None:
        return wording.UNKNOWN
    text = f"{ms / 1000:+.1f} s" if signed else f"{ms / 1000:.1f} s"
    return text.lstrip("+-") if float(text.removesuffix(" s")) == 0 else text


def controls(projection: Projection) -> pd.DataFrame:
    """Return the draft, today and the controls side by side, ready to show."""
    rows = [_row("Today", projection, logged=True), _row("Draft", projection)]
    rows += [_row(CONTROLS.get(name, name), estimate) for name, estimate in projection.controls.items()]
    return pd.DataFrame(rows)


def points(projection: Projection, *, draft: bool = True) -> pd.DataFrame:
    """Return where today, the draft and the controls stand, as ``standing.cost_and_quality`` reads it."""
    cost, quality = projection.cost, projection.quality
    rows: list[dict[str, Any]] = []
    for name, estimate in projection.controls.items():
        rows.append(_point(SHORT.get(name, name), "control", estimate))
    rows.append({"name": "today", "role": "live", "usd": cost.logged / NANO, "quality": quality.logged})
    if draft and projection.support.moved_share > 0:
        rows.append(
            _point("draft", "draft", projection)
            | _ends("usd", cost.logged, cost.low, cost.high, NANO)
            | _quality_ends(projection)
        )
    return pd.DataFrame(rows)


def by_feature(projection: Projection) -> pd.DataFrame:
    """Return the change in cost of each feature that changes, as ``charts.effect_by`` reads it, with quality."""
    rows = [
        {
            "name": part.feature or "no feature",
            "usd": part.cost.change / NANO,
            "low": _first(part.cost.low, part.cost.change) / NANO,
            "high": _first(part.cost.high, part.cost.change) / NANO,
            "requests": part.decisions,
            "moved": part.moved,
            "quality": part.quality.change,
            "quality_low": part.quality.low,
            "quality_high": part.quality.high,
        }
        for part in projection.by_feature
        if part.moved and part.cost.change is not None
    ]
    columns = ["name", "usd", "low", "high", "requests", "moved", "quality", "quality_low", "quality_high"]
    return pd.DataFrame(rows, columns=columns)


def by_team(features: pd.DataFrame, shares: pd.DataFrame) -> pd.DataFrame:
    """Share the changes of ``by_feature`` out among teams; ``shares`` has ``team``, ``feature`` and ``share`` of cost.

    Exact where a feature is one team's. Ends are added up, so intervals of teams with several features are wide.
    """
    joined = shares.merge(features, left_on="feature", right_on="name")
    for name in ("usd", "low", "high", "requests", "moved"):
        joined[name] = joined[name] * joined["share"]
    found = joined.groupby("team", as_index=False)[["usd", "low", "high", "requests", "moved"]].sum()
    return found.rename(columns={"team": "name"})


def mix(projection: Projection) -> pd.DataFrame:
    """Return the share of each tier in each feature under the draft, as ``charts.tier_mix`` reads it."""
    return pd.DataFrame(
        [
            {"name": part.feature or "no feature", "requests": part.decisions, **part.tier_shares}
            for part in projection.by_feature
        ]
    )


def controls_table(frame: pd.DataFrame, *, key: str) -> None:
    """Show ``controls`` as a table."""
    text = st.column_config.TextColumn
    st.dataframe(
        frame,
        key=key,
        hide_index=True,
        row_height=34,
        height="content",
        column_config={
            "policy": text("Policy", pinned=True, width=150),
            "cost": text("Cost", alignment="right"),
            "saving": text("Saving", alignment="right"),
            "quality": text("Quality", alignment="right", help="A range where too few like it were judged."),
        },
        alt="Cost and quality of the draft beside today and three controls",
    )


def notes(projection: Projection) -> None:
    """Say what the log could not answer."""
    for sentence in (*projection.notes, *([CONTRADICTED] if projection.contradicted else [])):
        st.caption(f":material/info: {wording.sentence(sentence)}")


def _row(name: str, estimate: Estimate, *, logged: bool = False) -> dict[str, str]:
    cost, quality = estimate.cost, estimate.quality
    if logged:
        return {
            "policy": name,
            "cost": wording.usd(cost.logged),
            "saving": wording.UNKNOWN,
            "quality": wording.share(quality.logged),
        }
    return {
        "policy": name,
        "cost": wording.usd(cost.projected),
        "saving": wording.share(estimate.saving.value),
        "quality": _or_range(quality.projected, quality.low, quality.high, quality.logged, wording.share),
    }


def _point(name: str, role: str, estimate: Estimate) -> dict[str, Any]:
    cost = estimate.cost.projected
    return {
        "name": name,
        "role": role,
        "usd": None if cost is None else cost / NANO,
        "quality": estimate.quality.projected,
        **(_quality_ends(estimate) if estimate.quality.projected is None else {}),
    }


def _quality_ends(estimate: Estimate) -> dict[str, Any]:
    return _ends("quality", estimate.quality.logged, estimate.quality.low, estimate.quality.high, 1)


def _ends(name: str, base: float | None, low: float | None, high: float | None, unit: float) -> dict[str, Any]:
    if base is None or low is None or high is None:
        return {}
    return {f"{name}_low": (base + low) / unit, f"{name}_high": (base + high) / unit}


def _signed(value: Any, write: Any) -> str | None:
    return None if value is None else str(write(value, signed=True))


def _range(low: Any, high: Any, write: Any) -> str | None:
    if low is None or high is None:
        return None
    least, most = str(write(low)), str(write(high))
    unit = next((unit for unit in (" pp", "%", " s") if most.endswith(unit)), "")
    return f"{least.removesuffix(unit)} to {most}"


def _ends_of(found: Interval, write: Any) -> str:
    """Write the interval of a change shortly, in the unit that stands before it: ``-0.6 to -0.3``."""
    return (_range(found.low, found.high, write) or "").removesuffix(" pp").removesuffix(" s")


def _or_range(value: Any, low: Any, high: Any, base: Any, write: Any) -> str:
    """Write the figure; where only its range is known, the range."""
    if value is not None or low is None or high is None or base is None:
        return str(write(value))
    if write is wording.share:
        return f"{wording.share(base + low, digits=0).removesuffix('%')} to {wording.share(base + high, digits=0)}"
    return f"{write(base + low)} to {write(base + high)}"


def _first(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
