"""Evidence of any window is the sum of its days' cells, however much of it was summed beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from decisions import DAY_MS, NOON_MS, a_decision, traffic
from hypothesis import given, settings
from hypothesis import strategies as st

from router_core.decision import QualitySource
from router_core.ledger.evidence import Evidence, evidence
from router_core.ledger.labels import label
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger

FIRST = date(2026, 3, 1)
DAYS = 60


def summed(ledger: Ledger) -> list[int]:
    with ledger.reading() as connection:
        return list(connection.exec_driver_sql("SELECT DISTINCT span FROM evidence_span ORDER BY span").scalars())


def without_spans(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        connection.exec_driver_sql("DELETE FROM evidence_span")


def same(one: Evidence, other: Evidence) -> bool:
    """Whether two answers are the same, cell for cell."""
    return all(
        np.array_equal(mine, theirs) if isinstance(mine, np.ndarray) else mine == theirs
        for mine, theirs in ((getattr(one, field.name), getattr(other, field.name)) for field in fields(Evidence))
    )


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, Ledger]]:
    """Two ledgers of the same decisions, one of which knows single days alone."""
    folder = tmp_path_factory.mktemp("spans")
    with open_ledger(folder / "with.db") as first, open_ledger(folder / "without.db") as second:
        for ledger in (first, second):
            ledger.write_decisions(list(traffic(3_000, seed=61, span_ms=DAYS * DAY_MS)))
            refresh(ledger)
        without_spans(second)
        yield first, second


@given(start=st.none() | st.integers(-3, DAYS + 3), length=st.none() | st.integers(0, DAYS + 3), where=st.booleans())
@settings(max_examples=40)
def test_evidence_of_any_window_equals_the_sum_of_its_days(
    pair: tuple[Ledger, Ledger], start: int | None, length: int | None, where: bool
) -> None:
    since = None if start is None else FIRST + timedelta(start)
    until = None if length is None else (since or FIRST) + timedelta(length)
    only = {"feature": ["chat"], "kind": ["answer"]} if where else {}
    with_spans, without = (evidence(ledger, since, until, only) for ledger in pair)

    assert summed(pair[0])
    assert same(with_spans, without)


def test_spans_that_are_over_are_summed_and_the_newest_is_not(pair: tuple[Ledger, Ledger]) -> None:
    first, last = (pair[0].days.of(NOON_MS + days * DAY_MS)[0] // 16 for days in (0, DAYS))

    assert summed(pair[0]) == list(range(first, last))


@pytest.mark.parametrize("change", ["late", "label", "rebuild"])
def test_what_changes_an_old_day_reaches_its_span(db_path: Path, change: str) -> None:
    decisions = list(traffic(1_000, seed=62, span_ms=DAYS * DAY_MS))
    oldest = min(decisions, key=lambda one: one.id)
    with open_ledger(db_path) as ledger:
        ledger.write_decisions(decisions)
        refresh(ledger)
        before, spans = evidence(ledger), summed(ledger)
        if change == "late":
            ledger.write_decisions([a_decision(NOON_MS + DAY_MS)])
        elif change == "label":
            label(ledger, oldest.id, 0.5, QualitySource.PERSON)
        refresh(ledger, rebuild=change == "rebuild")
        after = evidence(ledger)
        assert summed(ledger) == spans
        without_spans(ledger)

        assert same(evidence(ledger), after)
        assert same(before, after) == (change == "rebuild")
