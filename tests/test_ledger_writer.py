"""The writer acknowledges a decision once it is durable, groups what comes together, and refuses rather than drops."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from pathlib import Path

import pytest
from decisions import a_decision, traffic

from router_core.errors import LedgerError, LedgerFullError
from router_core.ledger.store import Ledger
from router_core.ledger.writer import LedgerWriter


def ids(path: Path) -> list[bytes]:
    """The ids another process would see."""
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT id FROM decision")]
    finally:
        connection.close()


def test_a_receipt_is_done_once_others_can_read_the_decision(ledger: Ledger, db_path: Path) -> None:
    with LedgerWriter(ledger) as writer:
        decision = a_decision()
        writer.submit(decision).result(timeout=10)
        assert ids(db_path) == [decision.id]
        assert ledger.read_decision(decision.id) == decision


async def test_record_returns_once_the_decision_is_durable(ledger: Ledger, db_path: Path) -> None:
    with LedgerWriter(ledger) as writer:
        decision = a_decision()
        await writer.record(decision)
        assert ids(db_path) == [decision.id]


async def test_what_comes_together_is_committed_together(ledger: Ledger, db_path: Path) -> None:
    decisions = list(traffic(2000))
    ledger.write_decisions(decisions[:100])  # names are known, as they are after the first seconds
    with LedgerWriter(ledger) as writer:
        await asyncio.gather(*(writer.record(decision) for decision in decisions))
        stats = writer.stats()
    assert stats.committed == 2000
    assert stats.groups < 1000  # some dozens, unless the machine is very busy
    assert sorted(ids(db_path)) == sorted(decision.id for decision in decisions)


def test_threads_and_event_loops_may_share_a_writer(ledger: Ledger, db_path: Path) -> None:
    decisions = list(traffic(800))

    def in_a_thread(part: list) -> None:  # type: ignore[type-arg]
        for receipt in [writer.submit(decision) for decision in part]:
            receipt.result(timeout=20)

    def in_a_loop(part: list) -> None:  # type: ignore[type-arg]
        async def all_of_them() -> None:
            await asyncio.gather(*(writer.record(decision) for decision in part))

        asyncio.run(all_of_them())

    with LedgerWriter(ledger) as writer:
        threads = [
            threading.Thread(target=(in_a_thread, in_a_loop)[place % 2], args=(decisions[place::4],))
            for place in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(ids(db_path)) == sorted(decision.id for decision in decisions)


async def test_a_caller_that_goes_away_loses_nothing(ledger: Ledger, db_path: Path) -> None:
    with LedgerWriter(ledger) as writer:
        decision = a_decision()
        task = asyncio.create_task(writer.record(decision))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await writer.record(a_decision())
    assert decision.id in ids(db_path)


def test_closing_makes_everything_durable_first(ledger: Ledger, db_path: Path) -> None:
    writer = LedgerWriter(ledger)
    receipts = [writer.submit(decision) for decision in traffic(3000)]
    writer.close()
    assert all(receipt.done() for receipt in receipts)
    assert len(ids(db_path)) == 3000
    with pytest.raises(LedgerError, match="closed"):
        writer.submit(a_decision())
    writer.close()  # again does no harm


def test_one_decision_that_can_never_be_kept_does_not_harm_its_neighbours(ledger: Ledger, db_path: Path) -> None:
    with LedgerWriter(ledger, group_ms=50) as writer:
        good = [a_decision() for _ in range(20)]
        bad = a_decision(prompt_hash=2**70)
        worse = a_decision(id=b"short")
        receipts = [writer.submit(decision) for decision in (*good[:10], bad, worse, *good[10:])]
        for place, receipt in enumerate(receipts):
            if place in (10, 11):
                with pytest.raises(LedgerError, match="cannot be kept"):
                    receipt.result(timeout=10)
            else:
                receipt.result(timeout=10)
        assert (writer.stats().committed, writer.stats().rejected) == (20, 2)
    assert sorted(ids(db_path)) == sorted(decision.id for decision in good)


def test_a_decision_submitted_twice_counts_once(ledger: Ledger, db_path: Path) -> None:
    decision = a_decision()
    with LedgerWriter(ledger) as writer:
        for receipt in [writer.submit(decision), writer.submit(decision)]:
            receipt.result(timeout=10)
        writer.submit(decision).result(timeout=10)
    assert ids(db_path) == [decision.id]


def test_a_full_queue_refuses_at_once_and_what_waits_is_kept(ledger: Ledger, db_path: Path) -> None:
    holder = sqlite3.connect(db_path, isolation_level=None)
    with LedgerWriter(ledger, max_queue=50) as writer:
        writer.submit(a_decision()).result(timeout=10)
        holder.execute("BEGIN IMMEDIATE")
        receipts = [writer.submit(a_decision())]
        time.sleep(0.1)  # the writer now waits for the lock with that one
        receipts += [writer.submit(a_decision()) for _ in range(50)]
        with pytest.raises(LedgerFullError, match="50 decisions are waiting"):
            writer.submit(a_decision())
        holder.execute("ROLLBACK")
        for receipt in receipts:
            receipt.result(timeout=10)
    holder.close()
    assert len(ids(db_path)) == 52


def test_power_durability_waits_for_the_disk(ledger: Ledger, db_path: Path) -> None:
    with LedgerWriter(ledger, durability="power") as writer:
        writer.submit(a_decision()).result(timeout=10)
        connection = writer._link.reach().connection.dbapi_connection
        assert connection is not None
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    assert len(ids(db_path)) == 1


def test_submitting_takes_microseconds(ledger: Ledger) -> None:
    decisions = list(traffic(5000))
    with LedgerWriter(ledger) as writer:
        spent = time.thread_time()
        for decision in decisions:
            writer.submit(decision)
        spent = time.thread_time() - spent
    assert spent / len(decisions) < 50e-6  # about 1 when nothing else runs
