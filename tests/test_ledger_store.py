"""What is written into a ledger is what is read from it, once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from decisions import NOON_MS, a_decision, an_attempt, any_decision, traffic
from hypothesis import given, settings

from router_core.decision import Attempt, Kind, QualitySource, RoutingDecision, Status, new_decision_id
from router_core.errors import LedgerError
from router_core.ledger.days import day_number, id_time_ms
from router_core.ledger.lines import decode, encode
from router_core.ledger.rows import ATTEMPT_COLUMNS, COST_NUSD, DECISION_COLUMNS
from router_core.ledger.store import Ledger, open_ledger


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    with open_ledger(tmp_path_factory.mktemp("ledger") / "ledger.db") as opened:
        yield opened


def count(ledger: Ledger, table: str, decision_id: bytes) -> int:
    key = "id" if table == "decision" else "decision_id"
    with ledger.reading() as connection:
        found = connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table} WHERE {key} = ?", (decision_id,))
        return int(found.scalar_one())


@given(decision=any_decision())
@settings(max_examples=150, deadline=None)
def test_a_recorded_decision_reads_back_unchanged(ledger: Ledger, decision: RoutingDecision) -> None:
    decision = replace(decision, id=new_decision_id(decision.decided_at_ms))
    ledger.write_decisions([decision])
    assert ledger.read_decision(decision.id) == decision
    assert costs(ledger, decision) == {decision.cost_nusd}


@given(decision=any_decision())
@settings(max_examples=100, deadline=None)
def test_a_decision_written_as_a_line_reads_back_unchanged(decision: RoutingDecision) -> None:
    line = encode(decision)
    assert line.count(b"\n") == 1
    assert decode(line) == decision


def test_a_decision_written_twice_counts_once_with_its_attempts_and_its_label(ledger: Ledger) -> None:
    decision = a_decision(quality=0.5, quality_source=QualitySource.FEEDBACK, attempts=(an_attempt(), an_attempt()))
    assert ledger.write_decisions([decision]) == 1
    assert ledger.write_decisions([decision]) == 0
    assert ledger.write_decisions([decision, a_decision(), decision]) == 1
    for table, times in (("decision", 1), ("attempt", 2), ("quality_label", 1)):
        assert count(ledger, table, decision.id) == times


def test_a_decision_twice_in_one_batch_counts_once(ledger: Ledger) -> None:
    decision = a_decision(quality=1.0, quality_source=QualitySource.CHECK)
    assert ledger.write_decisions([decision, decision]) == 1
    for table in ("decision", "attempt", "quality_label"):
        assert count(ledger, table, decision.id) == 1


def test_what_was_recorded_first_stays_when_the_same_id_comes_with_other_figures(ledger: Ledger) -> None:
    first = a_decision()
    later = replace(first, score=99, attempts=(an_attempt(), an_attempt(kind=Kind.FAILOVER)))
    ledger.write_decisions([first])
    assert ledger.write_decisions([later]) == 0
    assert ledger.read_decision(first.id) == first


def test_exactly_one_attempt_is_final_whatever_is_given(ledger: Ledger) -> None:
    both = a_decision(attempts=(an_attempt(final=True), an_attempt(final=True)))
    neither = a_decision(attempts=(an_attempt(final=False), an_attempt(final=False)))
    earlier = a_decision(attempts=(an_attempt(final=True), an_attempt(kind=Kind.SHADOW, final=False)))
    ledger.write_decisions([both, neither, earlier])
    assert [call.final for call in ledger.read_decision(both.id).attempts] == [False, True]
    assert [call.final for call in ledger.read_decision(neither.id).attempts] == [False, True]
    assert [call.final for call in ledger.read_decision(earlier.id).attempts] == [True, False]


def costs(ledger: Ledger, decision: RoutingDecision) -> set[int | None]:
    """Return what a decision cost: by itself, as it is kept, and by the rows of its attempts."""
    look = f"SELECT d.cost_nusd, (SELECT {COST_NUSD} FROM attempt a WHERE a.decision_id = d.id) FROM decision d "
    with ledger.reading() as connection:
        kept, summed = connection.exec_driver_sql(f"{look} WHERE d.id = ?", (decision.id,)).one()
    return {decision.cost_nusd, kept, summed}


PRICED, UNPRICED = an_attempt(list_cost_nusd=7), an_attempt(list_cost_nusd=None)
UNCOUNTED = an_attempt(usage=None, list_cost_nusd=None)
FAILED = an_attempt(usage=None, list_cost_nusd=None, status=Status.TIMEOUT)


@pytest.mark.parametrize(
    ("attempts", "nusd"),
    [
        ((), 0),
        ((FAILED,), 0),
        ((FAILED, PRICED), 7),
        ((PRICED, PRICED), 14),
        ((UNPRICED, PRICED), None),
        ((PRICED, UNPRICED), None),
        ((UNCOUNTED,), None),
        ((FAILED, UNCOUNTED), None),
        ((UNCOUNTED, PRICED), 7),
        ((UNCOUNTED, an_attempt(list_cost_nusd=0)), 0),
    ],
)
def test_a_cost_is_unknown_without_a_price_or_where_nobody_counted(
    ledger: Ledger, attempts: tuple[Attempt, ...], nusd: int | None
) -> None:
    decision = a_decision(attempts=attempts)
    ledger.write_decisions([decision])
    assert costs(ledger, decision) == {nusd}


def test_rows_given_as_tuples_in_the_order_of_the_columns_are_kept(ledger: Ledger) -> None:
    at_ms = NOON_MS + 1
    decision = a_decision(at_ms)
    number = ledger.dimension_id
    row = {
        "id": decision.id,
        "decided_at_ms": at_ms,
        "day": day_number(date(2026, 3, 1)),
        "hour": 12,
        "config_version": 1,
        "scorer_id": number("scorer", "tfidf-1"),
        "feature_id": number("feature", "chat"),
        "team_id": number("team", "support"),
        "user_tier_id": number("user_tier", ""),
        "score": 37,
        "stage_id": number("stage", "rules"),
        "tier_id": number("tier", "SIMPLE"),
        "reason": 0,
        "propensity_ppm": 950_000,
        "strategy": 0,
        "status": 0,
        "attempts": 1,
        "escalations": 0,
        "failovers": 0,
        "latency_ms": 430,
        "cost_nusd": 71_250,
    }
    call = {
        "decision_id": decision.id,
        "seq": 0,
        "kind": 0,
        "tier_id": number("tier", "SIMPLE"),
        "provider_id": number("provider", "openai"),
        "model_id": number("model", "gpt-4.1-nano"),
        "status": 0,
        "final": 1,
        "why_id": number("why", ""),
        "offset_ms": 0,
        "latency_ms": 420,
        "latency_bin": 0,
        "ttft_ms": 80,
        "input_tokens": 300,
        "output_tokens": 120,
        "cache_read_input_tokens": 50,
        "cache_write_input_tokens": 0,
        "reasoning_output_tokens": 20,
        "usage_source": 0,
        "list_cost_nusd": 71_250,
        "price_id": 1,
    }
    written = ledger.write_rows(
        [tuple(row.get(name) for name in DECISION_COLUMNS)], [tuple(call.get(name) for name in ATTEMPT_COLUMNS)]
    )
    assert written == 1
    assert ledger.read_decision(decision.id) == decision


def test_a_thousand_decisions_of_every_shape_read_back_unchanged(ledger: Ledger) -> None:
    decisions = list(traffic(1000, seed=4))
    assert ledger.write_decisions(decisions) == 1000
    assert all(ledger.read_decision(decision.id) == decision for decision in decisions[::37])


def test_a_decision_stands_on_the_day_its_id_was_made(ledger: Ledger) -> None:
    decision = a_decision(decided_at_ms=NOON_MS + 5)
    ledger.write_decisions([decision])
    with ledger.reading() as connection:
        day, hour = connection.exec_driver_sql("SELECT day, hour FROM decision WHERE id = ?", (decision.id,)).one()
    assert (day, hour) == ledger.days.of(id_time_ms(decision.id))


def test_an_id_of_another_length_is_refused(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="16 bytes"):
        ledger.write_decisions([a_decision(id=b"short")])


def test_an_unknown_decision_is_a_clear_error(ledger: Ledger) -> None:
    with pytest.raises(LedgerError, match="holds no decision 0000"):
        ledger.read_decision(bytes(16))


def test_facts_and_events_are_kept(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        assert ledger.meta("colour") is None
        ledger.set_meta("colour", "red")
        ledger.set_meta("colour", "blue")
        ledger.event("ada", "push", "version 2")
        assert ledger.meta("colour") == "blue"
        with ledger.reading() as connection:
            assert connection.exec_driver_sql("SELECT who, what, detail FROM event").one() == (
                "ada",
                "push",
                "version 2",
            )
