"""Endpoints that rest: those whose newest calls failed just now, as far as the ledger tells."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from decisions import NOON_MS, a_decision, an_attempt

from router_core.decision import Kind, RoutingDecision, Status
from router_core.ledger.endpoints import Resting, resting
from router_core.ledger.store import Ledger, open_ledger


@pytest.fixture
def ledger(db_path: Path) -> Iterator[Ledger]:
    """A new ledger."""
    with open_ledger(db_path) as opened:
        yield opened


def failed(at_ms: int, model: str = "gpt-4.1-nano", status: Status = Status.TIMEOUT) -> RoutingDecision:
    first = an_attempt(model=model, status=status, final=False, usage=None, list_cost_nusd=None, price_id=None)
    second = an_attempt(kind=Kind.FAILOVER, model="other", offset_ms=420)
    return a_decision(at_ms=at_ms, attempts=(first, second))


def test_an_endpoint_whose_newest_calls_failed_rests(ledger: Ledger) -> None:
    ledger.write_decisions([a_decision(NOON_MS - 9000), failed(NOON_MS - 5000), failed(NOON_MS - 3000)])
    assert resting(ledger, NOON_MS, 30) == [Resting("openai", "gpt-4.1-nano", 2, NOON_MS - 3000 + 420)]


def test_one_that_has_answered_since_does_not(ledger: Ledger) -> None:
    ledger.write_decisions([failed(NOON_MS - 5000), a_decision(NOON_MS - 2000, attempts=(an_attempt(),))])
    assert resting(ledger, NOON_MS, 30) == []


def test_a_rest_ends_and_a_refused_answer_is_none(ledger: Ledger) -> None:
    ledger.write_decisions([failed(NOON_MS - 60_000), failed(NOON_MS - 1000, "strict", Status.REJECTED)])
    assert resting(ledger, NOON_MS, 30) == []
    assert resting(ledger, NOON_MS, 90) == [Resting("openai", "gpt-4.1-nano", 1, NOON_MS - 60_000 + 420)]
