"""Single decisions: pages of them and all that is known of one, read from the ledger and worded for people."""

from __future__ import annotations

from dataclasses import replace
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

import pandas as pd
import streamlit as st

from dashboard import data, wording
from dashboard.data import Stamp
from router_core.config import RoutingConfig
from router_core.decision import Kind, Reason, RoutingDecision, Status, Strategy, UsageSource
from router_core.ledger.explorer import Found, Search, count, find
from router_core.ledger.record import Record, read_record
from router_core.lifecycle.versions import Version
from router_core.policy import tier_for_score
from router_core.prices import FIRST_KNOWN, Price

NANO: Final = wording.NANO
WHY: Final = {
    Reason.POLICY: "its score",
    Reason.EXPLORE: "exploration, on purpose",
    Reason.RULE: "a rule that names the tier",
    Reason.PIN: "a pin of its feature",
    Reason.STICKY: "a warm conversation",
    Reason.BUDGET: "a budget",
    Reason.CANARY: "a canary",
    Reason.NAMED: "the caller, who named the model",
    Reason.UNCERTAIN: "an uncertain score, so one tier up",
}
KINDS: Final = {
    Kind.ANSWER: "answer",
    Kind.ESCALATION: "escalation",
    Kind.FAILOVER: "fail-over",
    Kind.CLASSIFIER: "classifier",
    Kind.EMBEDDING: "embedding",
    Kind.JUDGE: "judge",
    Kind.COMPRESS: "compression",
    Kind.CHAIN: "chain step",
    Kind.SHADOW: "shadow",
    Kind.TRIAL: "trial",
}
STRATEGIES: Final = {
    Strategy.DIRECT: "direct",
    Strategy.CASCADE: "cascade",
    Strategy.CHAIN: "chain",
    Strategy.CACHE_EXACT: "exact cache",
    Strategy.CACHE_SEMANTIC: "semantic cache",
}
_ASKED: Final = {"embedding": Kind.EMBEDDING, "judge": Kind.CLASSIFIER}  # the calls that stages make
_MOVED_BY_BOUNDARIES: Final = (Reason.POLICY, Reason.EXPLORE, Reason.PIN, Reason.UNCERTAIN)


@st.cache_data(max_entries=60, show_spinner=False)
def page(stamp: Stamp, search: Search, before: bytes | None, after: bytes | None, size: int) -> Found:
    """Return one page of matches; raises ``InputError`` where the search cannot be made."""
    return find(data.ledger(), search, before=before, after=after, size=size)


@st.cache_data(max_entries=60, show_spinner=False)
def matching(stamp: Stamp, search: Search) -> int | None:
    """Return how many decisions match, None where only reading them all could tell."""
    return count(data.ledger(), search)


@st.cache_data(max_entries=60, show_spinner=False)
def neighbour(stamp: Stamp, search: Search, of: bytes, newer: bool) -> bytes | None:
    """Return the match next to a decision on any day, None where there is none."""
    lone = replace(search, id_start="", since=None, until=None)
    found = find(data.ledger(), lone, after=of if newer else None, before=None if newer else of, size=1)
    return found.lines[0].id if found.lines else None


@st.cache_data(max_entries=60, ttl=30, show_spinner=False)
def record(stamp: Stamp, decision_id: bytes) -> Record:
    """Return what is known of one decision; raises ``LedgerError`` where the ledger does not hold it."""
    return read_record(data.ledger(), decision_id)


@st.cache_data(max_entries=12, show_spinner=False)
def version(stamp: Stamp, number: int) -> Version | None:
    """Return the configuration of that version, None where the ledger does not know it (an imported decision)."""
    return next((one for one in data.history(stamp) if one.version == number), None)


def written(decision_id: bytes) -> str:
    """Write an id as callers get it, with dashes."""
    return str(UUID(bytes=decision_id))


def listed(found: Found, zone: ZoneInfo) -> pd.DataFrame:
    """Return a page as a frame, a row a decision."""
    rows = [
        {
            "at": pd.Timestamp(line.decided_at_ms, unit="ms", tz=zone),
            "feature": line.feature,
            "team": line.team,
            "tier": line.tier,
            "reason": line.reason.name.lower(),
            "score": line.score,
            "model": line.model or STRATEGIES[line.strategy],
            "status": line.status.name.lower().replace("_", " "),
            "attempts": line.attempts,
            "input": line.input_tokens,
            "output": line.output_tokens,
            "usd": None if line.cost_nusd is None else line.cost_nusd / NANO,
            "latency": line.latency_ms / 1000,
            "quality": line.quality,
            "judged_by": "" if line.quality_source is None else line.quality_source.name.lower(),
            "id": written(line.id),
        }
        for line in found.lines
    ]
    names = ["score", "input", "output", "usd", "quality"]
    frame = pd.DataFrame(rows, columns=list(rows[0]) if rows else None)
    return frame.astype({name: "Float64" for name in names if name in frame})


def calls(decision: RoutingDecision) -> pd.DataFrame:
    """Return the attempts of a decision in the order they were made."""
    rows = [
        {
            "number": place,
            "kind": KINDS[call.kind],
            "tier": call.tier,
            "model": call.model,
            "provider": call.provider_name,
            "status": call.status.name.lower().replace("_", " "),
            "why": call.reason,
            "final": call.final,
            "offset": call.offset_ms / 1000,
            "latency": call.latency_ms / 1000,
            "ttft": None if call.ttft_ms is None else call.ttft_ms / 1000,
            "input": None if call.usage is None else call.usage.input_tokens,
            "cached": None if call.usage is None else call.usage.cache_read_input_tokens,
            "output": None if call.usage is None else call.usage.output_tokens,
            "reasoning": None if call.usage is None else call.usage.reasoning_output_tokens,
            "estimated": call.usage is not None and call.usage_source is UsageSource.ESTIMATED,
            "usd": None if call.list_cost_nusd is None else call.list_cost_nusd / NANO,
            "reported": None if call.reported_cost_nusd is None else call.reported_cost_nusd / NANO,
            "price": call.price_id,
        }
        for place, call in enumerate(decision.attempts, start=1)
    ]
    frame = pd.DataFrame(rows)
    numbers = ["ttft", "input", "cached", "output", "reasoning", "usd", "reported", "price"]
    return frame.astype(dict.fromkeys(numbers, "Float64")) if rows else frame


def priced(record: Record) -> pd.DataFrame:
    """Return the price rows that priced a decision's calls, and which calls each one priced."""
    by_price: dict[int, list[str]] = {}
    for place, call in enumerate(record.decision.attempts, start=1):
        if call.price_id is not None:
            by_price.setdefault(call.price_id, []).append(str(place))
    rows = [{"calls": ", ".join(by_price.get(number, [])), **_rates(price)} for number, price in record.prices.items()]
    return pd.DataFrame(rows)


def _rates(price: Price) -> dict[str, object]:
    given = {
        "input": price.input_usd_per_mtok,
        "output": price.output_usd_per_mtok,
        "cache_read": price.cache_read_usd_per_mtok,
        "cache_write": price.cache_write_usd_per_mtok,
    }
    return {
        "model": price.model,
        "provider": price.provider_name,
        "layer": price.layer,
        "from": None if price.effective_from == FIRST_KNOWN else price.effective_from,
        **{name: None if rate is None else float(rate) for name, rate in given.items()},
        "processing": price.processing,
        "source": price.source,
        "note": price.note,
    }


def stages(decision: RoutingDecision, config: RoutingConfig) -> list[tuple[str, str]]:
    """Return what each stage of the configuration that routed a request said of it, in the order they are asked.

    The ledger keeps the score that decided; of a stage that was asked and not sure, only that it was.
    """
    if decision.score is None:
        return []
    decided = "embedding" if decision.stage == "reference" else decision.stage
    order: list[str] = list(config.classifier.stages)
    if decided not in order:
        order.append(decided)
    unsure = decision.reason is Reason.UNCERTAIN
    return [(name, _said(decision, name, order, decided, unsure=unsure)) for name in order]


def _said(decision: RoutingDecision, name: str, order: list[str], decided: str, *, unsure: bool) -> str:
    asked = [call for call in decision.attempts if call.kind is _ASKED.get(name)]
    if name == decided:
        who = " by the reference, which stands in for a fitted scorer" if decision.stage == "reference" else ""
        return f"{decision.score}{who}, {'the surest, though none was sure' if unsure else 'which decided'}"
    if name == "rules":
        return "no rule matched"
    if asked and any(call.status is not Status.OK for call in asked):
        return "was asked, and did not answer"
    if asked or unsure or order.index(name) < order.index(decided):
        return "was asked, and was not sure enough"
    return "was not asked"


def routed_by(decision: RoutingDecision, config: RoutingConfig) -> tuple[str | None, str]:
    """Return the tier this configuration would give the same request with the same score, and why.

    None where that cannot be told: nothing was scored, or what decided then was no boundary and is not known now.
    """
    feature = config.features.get(decision.feature)
    if feature is not None and feature.pin is not None:
        return feature.pin, "pinned"
    if decision.reason not in _MOVED_BY_BOUNDARIES:
        return decision.tier if decision.tier in config.tier_names else None, f"unchanged: {WHY[decision.reason]}"
    if decision.score is None:
        return None, "it was not scored"
    tier = tier_for_score(config, decision.feature, decision.score)
    if decision.reason is Reason.UNCERTAIN:
        names = config.tier_names
        return names[min(names.index(tier) + 1, len(names) - 1)], "one above its score, which was uncertain"
    return tier, f"score {decision.score}"
