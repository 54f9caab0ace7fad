"""Fall-backs and failed calls as cells tell them: what failed, what stepped in, why, how long and at what cost."""

from __future__ import annotations

from datetime import date

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from decisions import DAY_MS, NOON_MS, a_decision, an_attempt, traffic

from router_core.decision import Kind, Status
from router_core.errors import InputError
from router_core.ledger import schema
from router_core.ledger.fallbacks import fallbacks
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger

DAY = date(2026, 3, 1)


def test_a_refused_draft_and_its_escalation_are_told_with_why_and_what_they_cost(ledger: Ledger) -> None:
    draft = an_attempt(status=Status.REJECTED, final=False, latency_ms=700, list_cost_nusd=50)
    better = an_attempt(
        kind=Kind.ESCALATION,
        tier="MEDIUM",
        model="gpt-4.1-mini",
        reason="check schema",
        latency_ms=900,
        list_cost_nusd=400,
    )
    ledger.write_decisions([a_decision(attempts=(draft, better)), a_decision(attempts=(an_attempt(),))])
    refresh(ledger)
    lines = fallbacks(ledger, ("day", "feature", "tier", "model", "kind", "status", "why"))
    assert [(line.keys, line.attempts, line.latency_ms, line.list_cost_nusd) for line in lines] == [
        ((DAY, "chat", "SIMPLE", "gpt-4.1-mini", "escalation", "ok", "check schema"), 1, 900, 400),
        ((DAY, "chat", "SIMPLE", "gpt-4.1-nano", "answer", "rejected", ""), 1, 700, 50),
    ]


def test_a_failed_call_of_an_unknown_price_is_counted_as_such(ledger: Ledger) -> None:
    failed = an_attempt(status=Status.ABORTED, final=False, list_cost_nusd=None, price_id=None)
    silent = an_attempt(status=Status.TIMEOUT, final=False, usage=None, list_cost_nusd=None, price_id=None)
    ledger.write_decisions([a_decision(attempts=(failed, silent, an_attempt(kind=Kind.FAILOVER)))])
    refresh(ledger)
    (line,) = fallbacks(ledger, ())
    assert (line.attempts, line.unpriced_attempts) == (3, 1)
    assert fallbacks(ledger, ("status",), where={"status": ("timeout",)})[0].attempts == 1


def test_cells_equal_a_plain_count_of_the_rows(ledger: Ledger) -> None:
    decisions = list(traffic(800, seed=4, span_ms=3 * DAY_MS))
    ledger.write_decisions(decisions)
    refresh(ledger)
    calls = [
        call
        for one in decisions
        for call in one.attempts
        if call.status is not Status.OK or call.kind in (Kind.ESCALATION, Kind.FAILOVER, Kind.SHADOW)
    ]
    assert calls
    (line,) = fallbacks(ledger, ())
    assert line.attempts == len(calls)
    assert line.latency_ms == sum(call.latency_ms for call in calls)
    assert line.list_cost_nusd == sum(call.list_cost_nusd or 0 for call in calls)
    assert sum(one.attempts for one in fallbacks(ledger, ("day", "why"))) == len(calls)


def test_nothing_is_told_of_an_empty_ledger_and_an_unknown_question_is_refused(ledger: Ledger) -> None:
    assert fallbacks(ledger, ("why",)) == []
    with pytest.raises(InputError, match="not something these figures are kept by"):
        fallbacks(ledger, ("team",))


def test_an_older_ledger_sums_its_fallbacks_when_it_is_next_summed(ledger: Ledger) -> None:
    failed = an_attempt(status=Status.TIMEOUT, final=False)
    quiet = a_decision(NOON_MS + 2 * DAY_MS, attempts=(an_attempt(),))
    ledger.write_decisions([a_decision(NOON_MS, attempts=(failed, an_attempt(kind=Kind.FAILOVER))), quiet])
    refresh(ledger)
    before = fallbacks(ledger, ("kind", "status"))
    step = ScriptDirectory.from_config(schema._config()).get_revision("0009")
    with ledger.writing() as connection:
        connection.execute(sa.text("DROP TABLE fallback_cell"))
        with Operations.context(MigrationContext.configure(connection)):
            step.module.upgrade()
    assert fallbacks(ledger, ("kind",)) == []
    assert refresh(ledger).days == 1
    assert fallbacks(ledger, ("kind", "status")) == before
