"""The state of the ledger and of what feeds it, as the Health page tells it: each fact with a verdict and a remedy."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Final, Literal

import pandas as pd
import streamlit as st

from dashboard import data, wording
from dashboard.data import Stamp
from dashboard.filters import View
from router_core.config import RoutingConfig
from router_core.ledger.endpoints import Resting, resting
from router_core.ledger.gateway_keys import GatewayKey, gateway_keys
from router_core.ledger.health import Event, Freshness, Storage, events, freshness, storage
from router_core.ledger.scorers import StoredScorer, read_scorer, scorer_versions

DAY_MS: Final = 86_400_000
EVENTS: Final = 20

Verdict = Literal["good", "watch", "bad", "unknown"]


@dataclass(frozen=True)
class Fact:
    """One line of the state: what, how it is, what that means, and what to do where it is not good."""

    name: str
    verdict: Verdict
    state: str
    remedy: str = ""


@st.cache_data(max_entries=2, ttl=5, show_spinner=False)
def weight(url: str) -> Storage:
    """Return what the ledger weighs."""
    return storage(data.ledger())


@st.cache_data(max_entries=2, ttl=5, show_spinner=False)
def lag(url: str) -> Freshness:
    """Return how far cells are behind rows."""
    return freshness(data.ledger())


@st.cache_data(max_entries=4, ttl=5, show_spinner=False)
def resting_now(url: str, cooldown_s: float) -> list[Resting]:
    """Return the endpoints that failed just now and have not answered since."""
    return resting(data.ledger(), time.time_ns() // 1_000_000, cooldown_s)


@st.cache_data(max_entries=2, ttl=5, show_spinner=False)
def keys(url: str) -> list[GatewayKey]:
    """Return every gateway key ever made."""
    return gateway_keys(data.ledger())


@st.cache_data(max_entries=8, ttl=5, show_spinner=False)
def audit(url: str, before: int | None) -> list[Event]:
    """Return a page of the audit log, newest first."""
    return events(data.ledger(), before=before, size=EVENTS + 1)


@st.cache_data(max_entries=4, ttl=30, show_spinner=False)
def scorer(stamp: Stamp, version: str) -> StoredScorer | None:
    """Return a fitted scorer, None where the ledger holds none of that version."""
    if version not in scorer_versions(data.ledger()):
        return None
    return read_scorer(data.ledger(), version)


def place(url: str) -> tuple[str, str]:
    """Return what a ledger is called, its file or database, and where that is, without anything secret."""
    whole = url.rsplit("@", 1)[-1]
    return PurePath(whole.partition("?")[0]).name or whole, whole


def from_here(database: str) -> str:
    """Return a ledger as it is named in the folder where the dashboard was started: shorter, where it is in there."""
    path = Path(database)
    return str(path.relative_to(Path.cwd())) if path.is_absolute() and path.is_relative_to(Path.cwd()) else database


def rows(stamp: Stamp) -> tuple[int, int]:
    """Return how many decisions and calls the ledger holds, as of the cells."""
    window = data.window(stamp)
    if window.first_day is None or window.last_day is None:
        return 0, 0
    lines = data.spend(stamp, View(window.first_day, window.last_day), ())
    return int(lines["decisions"].sum()), int(lines["attempts"].sum())


def spooled(found: Storage) -> Fact:
    """Judge what waits to be kept."""
    name = "Writer and spool"
    if found.spool is None:
        return Fact(name, "unknown", "each gateway keeps its own spool beside it; its log says when it uses it")
    if found.aside_bytes:
        where = f"{found.spool.name}.rejected"
        return Fact(name, "bad", f"{wording.size(found.aside_bytes)} could never be kept", f"look into {where}")
    if not found.spool_bytes:
        return Fact(name, "good", "nothing waits in the spool")
    waiting = "many decisions" if found.spooled is None else wording.plural(found.spooled, "decision")
    return Fact(
        name,
        "watch",
        f"{waiting} in the spool, {wording.size(found.spool_bytes)}",
        "a running gateway brings them in by itself; else start one",
    )


def summed(found: Freshness) -> Fact:
    """Judge how far the cells are behind the rows."""
    name = "Sums"
    if found.newest_ms is None:
        return Fact(name, "unknown", "there are no requests yet", "send some through the gateway")
    if not found.dirty:
        return Fact(name, "good", "every day is summed")
    days = wording.plural(len(found.dirty), "day")
    if len(found.dirty) <= 2:
        return Fact(name, "good", f"{days} with new rows or labels, summed within seconds of a visit")
    return Fact(name, "watch", f"{days} wait to be summed", "run tierwise rollup; this page's visits do it, too")


def arriving(found: Freshness, now_ms: int) -> Fact:
    """Say when the newest request came; silence may be meant."""
    name = "Requests"
    if found.newest_ms is None:
        return Fact(name, "unknown", "none yet")
    age = now_ms - found.newest_ms
    state = f"the newest came {wording.ago(age)}"
    if age <= DAY_MS:
        return Fact(name, "good", state)
    return Fact(name, "watch", state, "is a gateway still running, and does it write to this ledger?")


def answering(found: Sequence[Resting], cooldown_s: float) -> Fact:
    """Say which endpoints are left alone, as far as their newest calls in the ledger tell."""
    name = "Endpoints"
    if not found:
        return Fact(name, "good", f"none failed within the last {cooldown_s:g} s")
    named = ", ".join(f"{one.model} at {one.provider_name}" for one in found[:3])
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return Fact(
        name, "watch", f"left alone for {cooldown_s:g} s: {named}{more}", "others answer meanwhile; see why in Tiers"
    )


def pricing(by_model: pd.DataFrame) -> Fact:
    """Judge whether every call that used tokens has a price, from spend lines by ``model``."""
    name = "Prices"
    unknown = by_model[by_model["unpriced_attempts"] > 0].sort_values("unpriced_attempts", ascending=False)
    if unknown.empty:
        calls = int(by_model["priced_attempts"].sum())
        return Fact(
            name, "good" if calls else "unknown", f"all {wording.plural(calls, 'call')} that used tokens priced"
        )
    calls, models = int(unknown["unpriced_attempts"].sum()), list(unknown["model"])
    named = ", ".join(models[:3]) + (f" and {len(models) - 3} more" if len(models) > 3 else "")
    return Fact(
        name, "bad", f"{wording.plural(calls, 'call')} without a price: {named}", "add prices on the Prices page"
    )


def scoring(config: RoutingConfig, found: StoredScorer | None, now_ms: int) -> Fact:
    """Judge the scorer that requests are scored with."""
    name = "Scorer"
    version = config.classifier.scorer
    if version is None:
        return Fact(name, "watch", "the shipped reference scale, fitted on no traffic of yours", "run tierwise fit")
    if found is None:
        return Fact(name, "bad", f"{version} is configured, but the ledger does not hold it", "fit it again")
    age = now_ms - found.fitted_at_ms
    state = f"{version}, fitted {wording.ago(age)}"
    if found.skill.get("beats_baselines") is False:
        return Fact(name, "watch", f"{state}, no better than its baselines", "label more answers, then fit again")
    if age > 90 * DAY_MS:
        return Fact(name, "watch", state, "traffic changes: fit it again on newer labels")
    return Fact(name, "good", state)


def access(found: Sequence[GatewayKey]) -> Fact:
    """Say how many keys the gateway takes."""
    name = "Gateway keys"
    used = sum(key.revoked_at_ms is None for key in found)
    if not found:
        return Fact(name, "watch", "none made: the gateway asks for no key", "tierwise keys add makes one")
    return Fact(name, "good", f"{wording.plural(used, 'key')} in use, {len(found) - used} revoked")


def capturing(config: RoutingConfig) -> Fact:
    """Say whether prompt text is kept."""
    kept = config.capture
    if kept.prompts == "none":
        return Fact("Prompt text", "good", "not kept; prompts are stored as keyed hashes")
    which = "of a sample of requests" if kept.prompts == "sample" else "of every request"
    return Fact("Prompt text", "good", f"kept {which} for {wording.plural(kept.retention_days, 'day')}")


def failing(by_model: pd.DataFrame) -> pd.DataFrame:
    """Return each model's calls and how many failed, the most troubled first, from spend lines by ``model``."""
    rows = by_model[by_model["attempts"] > 0]
    frame = pd.DataFrame(
        {
            "model": rows["model"],
            "attempts": rows["attempts"],
            "failed": rows["failed_attempts"],
            "share": rows["failed_attempts"] / rows["attempts"],
        }
    )
    return frame.sort_values("share", ascending=False, ignore_index=True)


def skills(found: StoredScorer) -> pd.DataFrame:
    """Return the skill a scorer showed on held-out requests beside its baselines; empty where none was measured."""
    rows = []
    for group in found.skill.get("skill", []):
        for name, figures in group.items():
            if isinstance(figures, dict) and figures.get("apgr") is not None:
                rows.append({"group": group.get("group", ""), "n": group.get("n"), "scorer": name, **figures})
    return pd.DataFrame(rows, columns=["group", "n", "scorer", "apgr", "low", "high"])
