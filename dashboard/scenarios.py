"""Scenarios on the log's own traffic: examples, saved ones, the draft and one being built, each worked out once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import data, wording
from dashboard.data import Stamp
from dashboard.draft import Draft
from router_core.config import RoutingConfig
from router_core.errors import TierwiseError
from router_core.lifecycle import scenarios
from router_core.projection import Projection
from router_core.projection.scenario import EVERY, Scenario, build_scenario

NANO: Final = wording.NANO
TODAY: Final = "today"
DRAFT: Final = "Your draft"
MOST: Final = 8  # side by side, more cannot be read


@dataclass(frozen=True)
class Known:
    """A scenario that can be chosen, and where it comes from: ``example``, ``draft``, or who saved it."""

    scenario: Scenario
    origin: str


@dataclass(frozen=True)
class Outcome:
    """What a scenario comes to, in plain figures; money in nano-dollars, ends are of the changes, None is unknown.

    ``problem`` says why it could not be worked out; all figures are then unknown.
    """

    name: str
    note: str
    requests: int = 0
    logged: int = 0
    cost: int | None = None
    change: int | None = None
    low: int | None = None
    high: int | None = None
    saving: float | None = None
    quality: float | None = None
    quality_low: float | None = None
    quality_high: float | None = None
    quality_logged: float | None = None
    support: str = ""
    moved: float = 0.0
    assumptions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    problem: str = ""


def examples(config: RoutingConfig, by_cost: Sequence[str]) -> list[Scenario]:
    """Return scenarios to begin with; ``by_cost`` are the features of the log, dearest first."""
    found: list[dict[str, Any]] = [
        {
            "name": "Prices fall by a fifth",
            "note": "All models, all rates.",
            "prices": {model: {"change": -0.2} for model in config.models},
        },
        {"name": "Traffic up by half", "note": "Of the same kind.", "growth": {EVERY: 0.5}},
    ]
    if by_cost:
        name = by_cost[0] or "No feature"
        found.append({"name": f"{name} by batch", "note": "Its answers may wait a day.", "batch": {by_cost[0]: 1.0}})
    if len(config.tiers) > 1:
        strongest, below = config.tiers[-1], config.tiers[-2]
        found.append(
            {
                "name": f"No {strongest.models[0]}",
                "note": f"{below.models[0]} answers for {strongest.name}, too.",
                "swaps": {strongest.name: {"model": below.models[0]}},
            }
        )
        raised = tuple(f"boundaries.{tier.name}={min(100, tier.score_min + 5)}" for tier in config.tiers[1:])
        found.append({"name": "Boundaries up by five", "note": "More for the cheaper tiers.", "settings": raised})
    return [build_scenario(one) for one in found]


def of_draft(draft: Draft, config: RoutingConfig) -> Scenario | None:
    """Return the draft of Tuning as a scenario, None where it changes nothing."""
    settings = draft.settings(config)
    if not settings:
        return None
    return build_scenario({"name": DRAFT, "note": "As it stands in Tuning.", "settings": settings})


def choices(saved: Sequence[Known], shipped: Sequence[Scenario], draft: Scenario | None) -> dict[str, Known]:
    """Return what can be set side by side, by name: the draft, what was saved, and examples nobody saved over."""
    known = {one.name: Known(one, "example") for one in shipped}
    known |= {one.scenario.name: one for one in saved}
    ordered = sorted(known, key=lambda name: known[name].origin == "example")
    found = {} if draft is None else {DRAFT: Known(draft, "draft")}
    return found | {name: known[name] for name in ordered}


def saved() -> list[Known]:
    """Return the ledger's scenarios; where one can no longer be read, none is offered."""
    try:
        return [Known(one.scenario, one.author or "somebody") for one in scenarios.saved(data.ledger())]
    except TierwiseError:
        return []


@st.cache_data(max_entries=60, show_spinner=False)
def outcome(stamp: Stamp, since: date, until: date, scenario_json: str) -> Outcome:
    """Work a scenario out on the traffic of some days; a scenario that does not fit says so in its outcome."""
    scenario = Scenario.model_validate_json(scenario_json)
    try:
        (found,) = scenarios.compare(data.ledger(), data.preview(stamp, since, until), [scenario])
    except TierwiseError as error:
        return Outcome(scenario.name, scenario.note, problem=wording.sentence(error))
    return _figures(scenario, found.projection, found.assumptions)


def _figures(scenario: Scenario, projection: Projection, assumptions: Sequence[str]) -> Outcome:
    cost, quality = projection.cost, projection.quality
    return Outcome(
        name=scenario.name,
        note=scenario.note,
        requests=projection.decisions,
        logged=cost.logged,
        cost=cost.projected,
        change=cost.change,
        low=cost.low,
        high=cost.high,
        saving=projection.saving.value,
        quality=quality.projected,
        quality_low=quality.low,
        quality_high=quality.high,
        quality_logged=quality.logged,
        support=projection.support.colour,
        moved=projection.support.moved_share,
        assumptions=tuple(assumptions),
        notes=(*map(str, projection.ranges), *projection.notes),
    )


def today(projection: Projection) -> Outcome:
    """Return the log as it is, as the row that all others are set against."""
    cost, quality = projection.cost, projection.quality
    return Outcome(
        name=TODAY,
        note="As it was.",
        requests=projection.decisions,
        logged=cost.logged,
        cost=cost.logged,
        quality=quality.logged,
        quality_logged=quality.logged,
    )


def table(found: Sequence[Outcome]) -> pd.DataFrame:
    """Return outcomes one a row as figure and table read them; ends are of the figures themselves, not the changes."""
    numbers = ["usd", "change", "low", "high", "saving", "quality", "quality_low", "quality_high", "requests", "moved"]
    rows: list[Mapping[str, Any]] = [
        {
            "name": one.name,
            "usd": _usd(one.cost),
            "change": _usd(one.change),
            "low": _usd(None if one.low is None else one.logged + one.low),
            "high": _usd(None if one.high is None else one.logged + one.high),
            "saving": one.saving,
            "quality": one.quality,
            "quality_low": _end(one.quality_logged, one.quality_low),
            "quality_high": _end(one.quality_logged, one.quality_high),
            "requests": one.requests or None,
            "moved": None if one.problem or one.name == TODAY else one.moved,
            "support": one.support,
        }
        for one in found
    ]
    return pd.DataFrame(rows, columns=["name", *numbers, "support"]).astype(dict.fromkeys(numbers, float))


def _usd(nusd: int | None) -> float | None:
    return None if nusd is None else nusd / NANO


def _end(logged: float | None, change: float | None) -> float | None:
    return None if logged is None or change is None else logged + change
