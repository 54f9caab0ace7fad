"""What part of the ledger a page looks at: days, team and feature, kept in the URL so that a view can be sent on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import streamlit as st

from router_core.config import RoutingConfig

RANGES = (7, 30, 90)
USUAL = 30
ALL = "All"


@dataclass(frozen=True)
class View:
    """Days from ``since`` to ``until``, both included, of one team and feature; an empty name is all of them."""

    since: date
    until: date
    team: str = ""
    feature: str = ""

    @property
    def days(self) -> int:
        """How many days it covers."""
        return (self.until - self.since).days + 1

    @property
    def where(self) -> dict[str, tuple[str, ...]]:
        """The conditions to ask the ledger for."""
        chosen = {"team": self.team, "feature": self.feature}
        return {kind: (name,) for kind, name in chosen.items() if name}

    def before(self) -> View:
        """Return the days just before, as many of them."""
        return View(self.since - timedelta(days=self.days), self.since - timedelta(days=1), self.team, self.feature)


def choose(last_day: date, *, teams: Sequence[str] = (), features: Sequence[str] = ()) -> View:
    """Show the controls and return what they say; nonsense in the URL falls back to the usual view."""
    team = _one("Team", "team", teams)
    feature = _one("Feature", "feature", features)
    return last(last_day, choose_days(), team, feature)


def last(last_day: date, days: int, team: str = "", feature: str = "") -> View:
    """Return the view of that many days, the last of them included."""
    return View(last_day - timedelta(days=days - 1), last_day, team, feature)


def choose_feature(features: Sequence[str]) -> str:
    """Show the choice of one feature, or all (the empty name), and return it."""
    return _one("Feature", "feature", features)


def choose_baseline(config: RoutingConfig, models: Sequence[str]) -> str:
    """Show the choice of what savings are measured against, and return it: a tier, or the name of any priced model.

    ``models`` are those to offer; any other may be written.
    """
    tiers = list(config.tier_names)
    usual = next((tier.name for tier in reversed(config.tiers) if tier.models[0] == config.baseline_model), tiers[-1])
    offered = [*tiers, *(name for name in models if name not in tiers)]
    chosen = st.selectbox(
        "Baseline",
        offered,
        index=offered.index(usual),
        format_func=lambda name: f"vs. all {name}",
        key="baseline",
        bind="query-params",
        label_visibility="collapsed",
        accept_new_options=True,
        width=190,
        help="What savings are measured against: every request on this tier or model. Write any model with a price, "
        "such as openai/gpt-4o.",
    )
    return str(chosen).removeprefix("vs. all ").strip()[:200] if chosen else usual


def choose_days() -> int:
    """Show the choice of days and return it."""
    days = st.segmented_control(
        "Days",
        RANGES,
        default=USUAL,
        required=True,
        format_func=lambda days: f"{days}d",
        key="days",
        bind="query-params",
        label_visibility="collapsed",
    )
    return days if days in RANGES else USUAL


def _one(label: str, key: str, names: Sequence[str]) -> str:
    if not names:
        return ""
    everything = f"{ALL} {key}s"
    chosen = st.selectbox(
        label,
        [everything, *names],
        key=key,
        bind="query-params",
        label_visibility="collapsed",
        width=150,
    )
    return "" if chosen in (None, everything) else str(chosen)
