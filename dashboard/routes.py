"""Routes of requests: who serves which model, which tier answered in the end, and why some calls were not the last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import pandas as pd
import streamlit as st

from dashboard import data, summary
from dashboard.data import Stamp
from dashboard.filters import View
from router_core.config import RoutingConfig
from router_core.decision import Kind, Status
from router_core.ledger.fallbacks import fallbacks
from router_core.ledger.latency import quantiles
from router_core.ledger.queries import latency_histograms
from router_core.lifecycle.feedback import mean
from router_core.prices import ANY_PROVIDER

CACHE: Final = "cache"
NOBODY: Final = "no answer"
ELSEWHERE: Final = "another model"
UNKNOWN_PROVIDER: Final = "unknown"
_QUANTILES: Final = (0.5, 0.95, 0.99)
FAILED: Final = {
    "refused": "Refused by the provider",
    "timeout": "Timed out",
    "rate_limited": "Rate limited",
    "context_overflow": "Prompt too long",
    "bad_answer": "Broken answer",
    "aborted": "Cut short",
    "rejected": "Turned down by a check",
    "blocked": "Blocked",
}
STEPPED_IN: Final = {"escalation": "A stronger tier stepped in", "failover": "Another model stepped in"}


def providers(stamp: Stamp, view: View) -> dict[str, str]:
    """Return who serves each model called: by the configuration, else by the price row that priced most calls."""
    config = data.live(stamp).config
    calls = data.calls(stamp, View(view.since, view.until))
    rows = {price.id: price.provider_name for price in data.prices(stamp)}
    found: dict[str, dict[str, int]] = {}
    for model, row, attempts in zip(calls.model, calls.price_id, calls.attempts, strict=True):
        name = rows.get(int(row), UNKNOWN_PROVIDER)
        counts = found.setdefault(calls.models[model], {})
        counts[name] = counts.get(name, 0) + int(attempts)
    shown = {}
    for model, counts in found.items():
        priced = max(counts, key=lambda name: (name not in (UNKNOWN_PROVIDER, ANY_PROVIDER), counts[name]))
        by_price = UNKNOWN_PROVIDER if priced == ANY_PROVIDER else priced
        shown[model] = config.price_names(model)[0] if model in config.models else by_price
    return shown


@st.cache_data(max_entries=24, show_spinner=False)
def waits(stamp: Stamp, view: View, by: str) -> pd.DataFrame:
    """Return how long calls took by ``tier``, ``model`` or ``provider``: it, and ``p50``, ``p95`` and ``p99`` in
    seconds; all teams and features."""
    if by != "provider":
        frame = data.latency(stamp, View(view.since, view.until), (by,))
        return pd.DataFrame({by: frame[by], **{name: frame[f"{name}_ms"] / 1000 for name in ("p50", "p95", "p99")}})
    serves = providers(stamp, view)
    merged: dict[str, np.ndarray] = {}
    for (model,), counts in latency_histograms(data.ledger(), ("model",), view.since, view.until).items():
        name = serves.get(str(model), UNKNOWN_PROVIDER)
        merged[name] = merged[name] + counts if name in merged else counts
    rows = [(name, *(_seconds(end) for end in quantiles(counts, _QUANTILES))) for name, counts in merged.items()]
    return pd.DataFrame(rows, columns=["provider", "p50", "p95", "p99"])


def broken_down(stamp: Stamp, view: View, by: str) -> pd.DataFrame:
    """Return what ``summary.breakdown`` does by tier, model, feature, team, provider or route, with the ends of the
    interval of quality in ``low`` and ``high``, and how long calls took where that is kept."""
    keys = {"provider": ("model",), "route": ("feature", "tier")}.get(by, (by,))
    lines = data.spend(stamp, view, (*keys, "day", "status"))
    if by == "provider":
        serves = providers(stamp, view)
        lines = lines.assign(
            provider=[serves.get(model, UNKNOWN_PROVIDER) if model else "" for model in lines["model"]]
        )
    elif by == "route":
        lines = lines.assign(route=lines["feature"].replace("", "no feature") + " → " + lines["tier"])
    frame = summary.breakdown(lines, by)
    found = [mean(int(n), float(total)) for n, total in zip(frame["labelled"], frame["quality_sum"], strict=True)]
    ends = {
        "low": [np.nan if one is None else one.low for one in found],
        "high": [np.nan if one is None else one.high for one in found],
    }
    frame = frame.assign(**ends)
    if by in ("tier", "model", "provider"):
        frame = frame.merge(waits(stamp, view, by), on=by, how="left")
    return frame


def answered(lines: pd.DataFrame, config: RoutingConfig) -> pd.DataFrame:
    """Return requests by ``feature``, assigned ``tier`` and the tier that ``answered``, as ``decisions``.

    From spend lines by feature, tier, model, kind and status. The tier that answered is the assigned one where the
    model that did is one of its own, else the cheapest above it that has that model, after an escalation, or the
    cheapest of all.
    """
    homes = {tier.name: frozenset(tier.models) for tier in config.tiers}
    order = list(config.tier_names)

    def home(tier: str, model: str, kind: str, status: str) -> str:
        if status != Status.OK.name.lower():
            return NOBODY
        if not model:
            return CACHE
        if model in homes.get(tier, ()) and kind != Kind.ESCALATION.name.lower():
            return tier
        above = order[order.index(tier) + 1 :] if tier in order else []
        return next((name for name in (*above, *order) if model in homes[name]), ELSEWHERE)

    rows = lines[lines["decisions"] > 0]
    keys = ("tier", "model", "kind", "status")
    ends = [home(*key) for key in zip(*(rows[key] for key in keys), strict=True)]
    shown = rows.assign(answered=ends)
    return shown.groupby(["feature", "tier", "answered"], as_index=False)[["decisions"]].sum()


@st.cache_data(max_entries=24, show_spinner=False)
def setbacks(stamp: Stamp, view: View) -> pd.DataFrame:
    """Return calls that failed, were turned down or stepped in for others: by ``feature``, ``tier`` (the one assigned),
    ``model``, ``kind``, ``status`` and ``why``, with the sums ``attempts``, ``unpriced``, ``seconds`` and ``usd``."""
    by = ("feature", "tier", "model", "kind", "status", "why")
    where = {"feature": (view.feature,)} if view.feature else {}
    lines = fallbacks(data.ledger(), by, view.since, view.until, where)
    columns: dict[str, list[object]] = {key: [line.keys[place] for line in lines] for place, key in enumerate(by)}
    columns |= {
        "attempts": [line.attempts for line in lines],
        "unpriced": [line.unpriced_attempts for line in lines],
        "seconds": [line.latency_ms / 1000 for line in lines],
        "usd": [line.list_cost_nusd / data.NANO for line in lines],
    }
    return pd.DataFrame(columns)


def reasons(frame: pd.DataFrame) -> pd.DataFrame:
    """Return ``setbacks`` by what happened, model and reason, the most frequent first, each with its mean ``wait``."""
    frame = frame[frame["kind"] != Kind.SHADOW.name.lower()]
    what = [
        FAILED.get(status, status) if status != Status.OK.name.lower() else STEPPED_IN.get(kind, kind)
        for kind, status in zip(frame["kind"], frame["status"], strict=True)
    ]
    groups = frame.assign(what=what).groupby(["what", "model", "why"], as_index=False)
    found = groups[["attempts", "unpriced", "seconds", "usd"]].sum()
    found = found.assign(wait=found["seconds"] / found["attempts"].where(found["attempts"] > 0))
    ordered: pd.DataFrame = found.sort_values(["attempts", "what"], ascending=[False, True], ignore_index=True)
    return ordered


def totals(frame: pd.DataFrame, requests: int, escalated: int) -> Mapping[str, float | None]:
    """Return what falling back took, in seconds and dollars.

    ``draft_wait`` and ``failure_wait`` are the mean of a refused draft and of a failed call; ``cascade_wait`` is what
    refused drafts add to a request that escalated, ``spread`` to any request; ``wasted`` what calls cost that became no
    answer.
    """
    refused = frame[frame["status"] == Status.REJECTED.name.lower()]
    failed = frame[~frame["status"].isin([Status.OK.name.lower(), Status.REJECTED.name.lower()])]

    def over(part: float, whole: float) -> float | None:
        return part / whole if whole else None

    drafts, failures = float(refused["seconds"].sum()), float(failed["seconds"].sum())
    return {
        "draft_wait": over(drafts, float(refused["attempts"].sum())),
        "failure_wait": over(failures, float(failed["attempts"].sum())),
        "cascade_wait": over(drafts, escalated),
        "spread": over(drafts, requests),
        "drafts": float(refused["attempts"].sum()),
        "failures": float(failed["attempts"].sum()),
        "wasted_drafts": float(refused["usd"].sum()),
        "wasted": float(refused["usd"].sum() + failed["usd"].sum()),
    }


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
