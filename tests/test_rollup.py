"""Cells equal the sums of the rows: after every change, in every zone, and however often they are computed."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from decisions import DAY_MS, NOON_MS, a_decision, an_attempt, traffic
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection

from router_core.decision import QualitySource, RoutingDecision, Status, UsageSource
from router_core.errors import LedgerError
from router_core.ledger.cells import EVIDENCE_SUMS, SPEND_SUMS
from router_core.ledger.labels import label
from router_core.ledger.latency import latency_bin, pack
from router_core.ledger.queries import watermark
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.usage import Usage

TABLES = ("spend_cell", "spend_hour_cell", "latency_cell", "evidence_cell")
Cells = dict[str, list[tuple[Any, ...]]]


_KILLED = """
import os, sys
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger
refresh(open_ledger(sys.argv[1]), progress=lambda done, total: os.kill(os.getpid(), 9) if done == 17 else None)
"""
_WRITING = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from decisions import traffic
from router_core.ledger.store import open_ledger
from router_core.ledger.writer import LedgerWriter
with open_ledger(sys.argv[1]) as ledger, LedgerWriter(ledger, spool=Path(sys.argv[4])) as writer:
    for receipt in [writer.submit(one) for one in traffic(3000, seed=int(sys.argv[3]))]:
        receipt.result()
"""


def cells(ledger: Ledger) -> Cells:
    with ledger.reading() as connection:
        return {
            table: sorted(tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}"))
            for table in TABLES
        }


def by_a_plain_loop(ledger: Ledger, decisions: Sequence[RoutingDecision]) -> Cells:
    """The same cells, summed one decision after another in Python."""
    hours: dict[tuple[Any, ...], Counter[str]] = {}
    days: dict[tuple[Any, ...], Counter[str]] = {}
    evidence: dict[tuple[Any, ...], Counter[str]] = {}
    latencies: dict[tuple[Any, ...], Counter[int]] = {}
    for one in decisions:
        day, hour = ledger.days.of(one.decided_at_ms)
        kinds = [call.kind.name for call in one.attempts]
        quality = None if one.quality is None else round(one.quality * 1_000_000)
        propensity, cost = round(one.propensity * 1_000_000), one.cost_nusd
        number = ledger.dimension_id
        for call in one.attempts or (None,):
            own = int(call is None or call.final)
            usage = None if call is None else call.usage
            price = None if call is None else call.list_cost_nusd
            model = 0 if call is None else number("model", call.model)
            kind = 0 if call is None else int(call.kind)
            tokens = {
                "input_tokens": usage.input_tokens if usage else 0,
                "output_tokens": usage.output_tokens if usage else 0,
                "cache_read_input_tokens": usage.cache_read_input_tokens if usage else 0,
                "cache_write_input_tokens": usage.cache_write_input_tokens if usage else 0,
                "reasoning_output_tokens": usage.reasoning_output_tokens if usage else 0,
            }
            sent, said = min(tokens["input_tokens"], 10**7), min(tokens["output_tokens"], 10**7)
            shared = {
                **tokens,
                "decisions": own,
                "attempts": int(call is not None),
                "list_cost_nusd": price or 0,
                "labelled": own * (quality is not None),
                "quality_ppm_sum": own * (quality or 0),
            }
            reported = None if call is None else call.reported_cost_nusd
            spend = {
                **shared,
                "failed_attempts": int(call is not None and call.status != Status.OK),
                "priced_attempts": int(price is not None),
                "unpriced_attempts": int(price is None and usage is not None),
                "estimated_attempts": int(
                    call is not None and usage is not None and call.usage_source == UsageSource.ESTIMATED
                ),
                "reported_cost_nusd": reported or 0,
                "reported_attempts": int(reported is not None),
                "escalations": own * ("ESCALATION" in kinds),
                "failovers": own * ("FAILOVER" in kinds),
                "cache_hits": own * (one.strategy.name.startswith("CACHE")),
            }
            key = (
                number("team", one.team),
                number("feature", one.feature),
                number("tier", one.tier),
                model,
                int(one.status),
                kind,
            )
            hours.setdefault((day, hour, *key), Counter()).update(spend)
            days.setdefault((day, *key), Counter()).update(spend)
            moments = {
                **shared,
                "succeeded": own * (one.status == Status.OK),
                "unpriced_decisions": own * (cost is None),
                "quality_ppm_squares": own * ((quality or 0) // 1000) ** 2,
                "inverse_propensity_ppm": own * (10**12 // propensity if propensity else 0),
                "decision_cost_nusd": own * (cost or 0),
                "decision_cost_udollar_squares": own * min((cost or 0) // 1000, 10**8) ** 2,
                "metered_attempts": int(usage is not None),
                "input_squares": sent**2,
                "output_squares": said**2,
                "input_output_products": sent * said,
            }
            place = (
                day,
                number("scorer", one.scorer_version),
                number("feature", one.feature),
                -1 if one.score is None else one.score,
                number("tier", one.tier),
                int(one.strategy),
                int(one.reason),
                kind,
                model,
                0 if call is None or call.price_id is None else call.price_id,
            )
            evidence.setdefault(place, Counter()).update(moments)
            if call is not None:
                measured = latencies.setdefault((day, number("tier", call.tier), model, kind), Counter())
                measured[latency_bin(call.latency_ms)] += 1
    return {
        "spend_hour_cell": sorted((*key, *(sums[name] for name in SPEND_SUMS)) for key, sums in hours.items()),
        "spend_cell": sorted((*key, *(sums[name] for name in SPEND_SUMS)) for key, sums in days.items()),
        "evidence_cell": sorted((*key, *(sums[name] for name in EVIDENCE_SUMS)) for key, sums in evidence.items()),
        "latency_cell": sorted(
            (*key, sum(bins.values()), pack(list(bins), list(bins.values()))) for key, bins in latencies.items()
        ),
    }


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/Havana"])
def test_every_cell_equals_a_plain_loop_over_the_decisions(db_path: Path, zone: str) -> None:
    decisions = list(traffic(1500, seed=1))
    with open_ledger(db_path, timezone=zone) as ledger:
        ledger.write_decisions(decisions)
        report = refresh(ledger)
        assert cells(ledger) == by_a_plain_loop(ledger, decisions)
        assert report.days in (10, 11)
        assert report.cells >= sum(map(len, cells(ledger).values()))


def test_cells_kept_up_to_date_step_by_step_equal_a_rebuild(ledger: Ledger) -> None:
    decisions = list(traffic(1200, seed=2))
    for start in range(0, 1200, 100):  # each step holds decisions of all days, so most of them are late
        ledger.write_decisions(decisions[start : start + 100])
        refresh(ledger)
    kept = cells(ledger)
    assert kept == by_a_plain_loop(ledger, decisions)
    assert refresh(ledger, rebuild=True).days == 11
    assert cells(ledger) == kept


def test_only_days_that_changed_are_summed_again(ledger: Ledger) -> None:
    ledger.write_decisions([a_decision(NOON_MS + day * DAY_MS) for day in range(5)])
    assert refresh(ledger).days == 5
    assert refresh(ledger).days == 0
    ledger.write_decisions([a_decision(NOON_MS + 3 * DAY_MS)])
    assert refresh(ledger).days == 1


def test_a_decision_that_is_there_already_makes_no_day_dirty(ledger: Ledger) -> None:
    decision = a_decision()
    ledger.write_decisions([decision])
    refresh(ledger)
    ledger.write_decisions([decision])
    assert refresh(ledger).days == 0


def test_a_label_that_comes_later_reaches_its_day(ledger: Ledger) -> None:
    decisions = [a_decision(NOON_MS + day * DAY_MS) for day in range(3)]
    ledger.write_decisions(decisions)
    refresh(ledger)
    label(ledger, decisions[1].id, 0.25, QualitySource.FEEDBACK)
    label(ledger, decisions[1].id, 0.75, QualitySource.PERSON)
    assert refresh(ledger).days == 1
    with ledger.reading() as connection:
        sums = connection.exec_driver_sql("SELECT SUM(labelled), SUM(quality_ppm_sum) FROM spend_cell").one()
    assert sums == (1, 750_000)


@given(parts=st.lists(st.integers(0, 60), min_size=1, max_size=5), seed=st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_however_the_writing_is_cut_the_cells_are_the_same(
    tmp_path_factory: pytest.TempPathFactory, parts: list[int], seed: int
) -> None:
    decisions = list(traffic(sum(parts), seed=seed, span_ms=3 * DAY_MS))
    with open_ledger(tmp_path_factory.mktemp("cut") / "ledger.db") as ledger:
        start = 0
        for part in parts:
            ledger.write_decisions(decisions[start : start + part])
            refresh(ledger)
            start += part
        assert cells(ledger) == by_a_plain_loop(ledger, decisions)


def test_the_watermark_changes_with_the_cells_and_only_then(ledger: Ledger) -> None:
    before = watermark(ledger)
    ledger.write_decisions([a_decision()])
    assert watermark(ledger) == before
    refresh(ledger)
    after = watermark(ledger)
    assert after != before
    refresh(ledger)
    assert watermark(ledger) == after


def test_progress_is_told_from_the_first_day_to_the_last(ledger: Ledger) -> None:
    ledger.write_decisions([a_decision(NOON_MS + day * DAY_MS) for day in range(4)])
    told: list[tuple[int, int]] = []
    refresh(ledger, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]


def once_a_day_was_read(ledger: Ledger, act: Callable[[], object]) -> None:
    """Have something happen when the next rollup has read its first day and not yet written it."""
    seen = 0

    def committed(_: Connection) -> None:
        nonlocal seen
        seen += 1  # the first transaction lists the days, the second reads one
        if seen == 2:
            act()

    sa.event.listen(ledger.engine, "commit", committed)


def test_rows_that_come_between_reading_and_writing_a_day_leave_it_dirty(db_path: Path, ledger: Ledger) -> None:
    decisions = list(traffic(200, seed=3, span_ms=DAY_MS // 4))
    ledger.write_decisions(decisions[:100])
    with open_ledger(db_path) as other:
        once_a_day_was_read(ledger, lambda: other.write_decisions(decisions[100:]))
        refresh(ledger)
    assert cells(ledger) == by_a_plain_loop(ledger, decisions[:100])
    assert refresh(ledger).days == 1
    assert cells(ledger) == by_a_plain_loop(ledger, decisions)


def test_a_slow_rollup_never_goes_over_what_a_later_one_summed(db_path: Path, ledger: Ledger) -> None:
    decisions = list(traffic(200, seed=3, span_ms=DAY_MS // 4))
    ledger.write_decisions(decisions[:100])
    with open_ledger(db_path) as other:
        once_a_day_was_read(ledger, lambda: (other.write_decisions(decisions[100:]), refresh(other)))
        refresh(ledger)
    assert cells(ledger) == by_a_plain_loop(ledger, decisions)
    assert refresh(ledger).days == 0


def test_two_rollups_at_once_while_somebody_writes_agree_with_the_rows(db_path: Path, ledger: Ledger) -> None:
    decisions = list(traffic(3000, seed=6, span_ms=3 * DAY_MS))
    ledger.write_decisions(decisions[:500])
    done = threading.Event()
    failed: list[BaseException] = []

    def keep_refreshing() -> None:
        try:
            with open_ledger(db_path) as own:
                while not done.is_set():
                    refresh(own)
        except BaseException as error:  # noqa: BLE001 - a thread's failure must fail the test
            failed.append(error)

    threads = [threading.Thread(target=keep_refreshing) for _ in range(2)]
    for thread in threads:
        thread.start()
    for start in range(500, 3000, 100):
        ledger.write_decisions(decisions[start : start + 100])
    done.set()
    for thread in threads:
        thread.join()
    refresh(ledger)
    assert failed == []
    assert cells(ledger) == by_a_plain_loop(ledger, decisions)


def test_a_rollup_killed_in_the_middle_is_simply_run_again(db_path: Path, ledger: Ledger) -> None:
    decisions = list(traffic(2000, seed=7, span_ms=40 * DAY_MS))
    ledger.write_decisions(decisions)
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(db_path)], check=False)
    assert killed.returncode == -9
    with ledger.reading() as connection:
        left = connection.execute(sa.text("SELECT COUNT(*) FROM dirty_day")).scalar_one()
    assert left in (23, 24)
    assert refresh(ledger).days == left
    assert cells(ledger) == by_a_plain_loop(ledger, decisions)


def test_two_processes_that_write_together_lose_nothing(db_path: Path, ledger: Ledger) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITING, str(db_path), str(Path(__file__).parent), str(seed), f"{db_path}.{seed}"]
        )
        for seed in (21, 22)
    ]
    assert [process.wait(timeout=60) for process in running] == [0, 0]
    decisions = [*traffic(3000, seed=21), *traffic(3000, seed=22)]
    refresh(ledger)
    assert cells(ledger) == by_a_plain_loop(ledger, decisions)


def test_rows_filed_under_a_day_their_id_denies_are_an_error_not_a_wrong_sum(ledger: Ledger) -> None:
    ledger.write_decisions([a_decision()])
    with ledger.writing() as connection:
        connection.exec_driver_sql("UPDATE decision SET day = day + 1")
    with pytest.raises(LedgerError, match="carry another day"):
        refresh(ledger)


def test_absurd_figures_do_not_take_a_sum_beyond_64_bits(ledger: Ledger) -> None:
    huge = Usage(2**31 - 1, 2**31 - 1, 2**31 - 1, 0, 2**31 - 1)
    calls = (an_attempt(usage=huge, list_cost_nusd=10**15),)
    decisions = [a_decision(propensity=0.000001, quality=1.0, attempts=calls) for _ in range(500)]
    ledger.write_decisions(decisions)
    refresh(ledger)
    assert cells(ledger) == by_a_plain_loop(ledger, decisions)
