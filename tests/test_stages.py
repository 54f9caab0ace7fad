"""Who decided, as cells tell it: requests by the stage whose score stands, how good they were, what judging took."""

from __future__ import annotations

from collections import Counter
from datetime import date

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from decisions import DAY_MS, NOON_MS, a_decision, an_attempt, traffic

from router_core.decision import Kind, QualitySource, Reason
from router_core.errors import InputError
from router_core.ledger import schema
from router_core.ledger.rollup import refresh
from router_core.ledger.stages import stages
from router_core.ledger.store import Ledger

DAY = date(2026, 3, 1)


def test_a_judges_call_stands_with_the_stage_that_decided(ledger: Ledger) -> None:
    judge = an_attempt(kind=Kind.CLASSIFIER, final=False, latency_ms=250, list_cost_nusd=900)
    vector = an_attempt(kind=Kind.EMBEDDING, final=False, latency_ms=40, list_cost_nusd=10)
    answered = an_attempt(list_cost_nusd=50_000)
    ledger.write_decisions(
        [
            a_decision(
                stage="judge", attempts=(vector, judge, answered), quality=0.5, quality_source=QualitySource.CHECK
            ),
            a_decision(stage="rules", attempts=(answered,)),
            a_decision(stage="rules", reason=Reason.PIN, attempts=()),
        ]
    )
    refresh(ledger)
    by_judge, by_pin, by_rules = stages(ledger, ("day", "stage", "reason"))
    assert by_judge.keys == (DAY, "judge", "policy")
    assert (by_judge.decisions, by_judge.labelled, by_judge.quality_ppm_sum) == (1, 1, 500_000)
    assert (by_judge.calls, by_judge.latency_ms, by_judge.list_cost_nusd) == (2, 290, 910)
    assert (by_pin.keys[1:], by_pin.decisions, by_pin.calls) == (("rules", "pin"), 1, 0)
    assert (by_rules.keys[1:], by_rules.labelled, by_rules.list_cost_nusd) == (("rules", "policy"), 0, 0)


def test_a_judge_without_a_known_price_is_counted_and_not_taken_for_free(ledger: Ledger) -> None:
    unknown = an_attempt(kind=Kind.CLASSIFIER, final=False, list_cost_nusd=None, price_id=None)
    silent = an_attempt(kind=Kind.CLASSIFIER, final=False, usage=None, list_cost_nusd=None, price_id=None)
    ledger.write_decisions([a_decision(attempts=(silent, unknown, an_attempt()))])
    refresh(ledger)
    (line,) = stages(ledger, ())
    assert (line.calls, line.unpriced_calls, line.list_cost_nusd) == (2, 1, 0)


def test_cells_equal_a_plain_count_of_the_decisions(ledger: Ledger) -> None:
    decisions = list(traffic(800, seed=4, span_ms=3 * DAY_MS))
    ledger.write_decisions(decisions)
    refresh(ledger)
    counted = Counter((one.feature, one.stage, one.reason.name.lower()) for one in decisions)
    asked = [call for one in decisions for call in one.attempts if call.kind is Kind.CLASSIFIER]
    found = stages(ledger, ("feature", "stage", "reason"))
    assert asked
    assert {line.keys: line.decisions for line in found} == dict(counted)
    assert sum(line.labelled for line in found) == sum(one.quality is not None for one in decisions)
    assert sum(line.quality_ppm_sum for line in found) == sum(round((one.quality or 0) * 1e6) for one in decisions)
    assert sum(line.calls for line in found) == len(asked)
    assert sum(line.latency_ms for line in found) == sum(call.latency_ms for call in asked)
    assert sum(line.list_cost_nusd for line in found) == sum(call.list_cost_nusd or 0 for call in asked)
    by_rules = stages(ledger, (), DAY, DAY, {"stage": ("rules",)})[0].decisions
    first_day = [one for one in decisions if one.decided_at_ms < NOON_MS + DAY_MS // 2]
    assert by_rules == sum(one.stage == "rules" for one in first_day)


def test_nothing_is_told_of_an_empty_ledger_and_an_unknown_question_is_refused(ledger: Ledger) -> None:
    assert stages(ledger, ("stage",)) == []
    with pytest.raises(InputError, match="not something these figures are kept by"):
        stages(ledger, ("team",))


def test_an_older_ledger_sums_its_stages_when_it_is_next_summed(ledger: Ledger) -> None:
    ledger.write_decisions([a_decision(NOON_MS), a_decision(NOON_MS + 2 * DAY_MS, stage="judge")])
    refresh(ledger)
    before = stages(ledger, ("day", "stage"))
    step = ScriptDirectory.from_config(schema._config()).get_revision("0011")
    with ledger.writing() as connection:
        connection.execute(sa.text("DROP TABLE stage_cell"))
        with Operations.context(MigrationContext.configure(connection)):
            step.module.upgrade()
    assert stages(ledger, ("stage",)) == []
    assert refresh(ledger).days == 2
    assert stages(ledger, ("day", "stage")) == before
