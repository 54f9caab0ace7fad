"""A decision carries the judgement of highest precedence, and of those the newest."""

from __future__ import annotations

import pytest
from decisions import a_decision
from hypothesis import given, settings
from hypothesis import strategies as st

from router_core.decision import QualitySource, RoutingDecision
from router_core.errors import LedgerError
from router_core.ledger.labels import Label, add_labels, label
from router_core.ledger.store import Ledger, open_ledger

_labels = st.lists(
    st.tuples(st.sampled_from(QualitySource), st.integers(0, 5), st.integers(0, 1000)), min_size=1, max_size=8
)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Ledger:
    return open_ledger(tmp_path_factory.mktemp("ledger") / "ledger.db")


def written(ledger: Ledger, **changes: object) -> RoutingDecision:
    decision = a_decision(**changes)
    ledger.write_decisions([decision])
    return decision


def test_a_person_outranks_a_judge_outranks_feedback_outranks_a_check(ledger: Ledger) -> None:
    decision = written(ledger, quality=0.1, quality_source=QualitySource.CHECK)
    for source, quality in (
        (QualitySource.FEEDBACK, 0.2),
        (QualitySource.PERSON, 0.4),
        (QualitySource.JUDGE, 0.3),
        (QualitySource.CHECK, 0.9),
    ):
        label(ledger, decision.id, quality, source)
    carried = ledger.read_decision(decision.id)
    assert (carried.quality, carried.quality_source) == (0.4, QualitySource.PERSON)


def test_the_newest_of_one_source_counts_even_where_it_comes_late(ledger: Ledger) -> None:
    decision = written(ledger)
    label(ledger, decision.id, 0.7, QualitySource.JUDGE, at_ms=2_000)
    label(ledger, decision.id, 0.2, QualitySource.JUDGE, at_ms=1_000)
    assert ledger.read_decision(decision.id).quality == 0.7


@given(labels=_labels)
@settings(max_examples=60, deadline=None)
def test_the_order_in_which_labels_arrive_does_not_matter_but_for_equal_times(
    ledger: Ledger, labels: list[tuple[QualitySource, int, int]]
) -> None:
    decision = written(ledger)
    add_labels(ledger, [Label(decision.id, share / 1000, source, at) for source, at, share in labels])
    best = max(enumerate(labels), key=lambda entry: (entry[1][0], entry[1][1], entry[0]))[1]
    carried = ledger.read_decision(decision.id)
    assert (carried.quality, carried.quality_source) == (best[2] / 1000, best[0])


def test_a_label_keeps_who_gave_it_and_which_tier_was_needed(ledger: Ledger) -> None:
    decision = written(ledger)
    label(ledger, decision.id, 0.0, QualitySource.PERSON, needed_tier="COMPLEX", author="ada", note="wrong sum")
    with ledger.reading() as connection:
        row = connection.exec_driver_sql(
            "SELECT needed_tier_id, author, note FROM quality_label WHERE decision_id = ?", (decision.id,)
        ).one()
    assert row == (ledger.dimension_id("tier", "COMPLEX"), "ada", "wrong sum")


def test_an_unlabelled_decision_stays_unlabelled(ledger: Ledger) -> None:
    carried = ledger.read_decision(written(ledger).id)
    assert (carried.quality, carried.quality_source) == (None, None)


@pytest.mark.parametrize("quality", [-0.1, 1.5, float("nan")])
def test_a_quality_outside_0_to_1_is_refused(ledger: Ledger, quality: float) -> None:
    decision = written(ledger)
    with pytest.raises(LedgerError, match="from 0 to 1"):
        label(ledger, decision.id, quality, QualitySource.PERSON)


def test_a_batch_with_an_unknown_decision_keeps_none_of_its_labels(ledger: Ledger) -> None:
    decision = written(ledger)
    with pytest.raises(LedgerError, match="holds no decision"):
        add_labels(
            ledger,
            [Label(decision.id, 1.0, QualitySource.PERSON, 1), Label(bytes(16), 1.0, QualitySource.PERSON, 1)],
        )
    assert ledger.read_decision(decision.id).quality is None
