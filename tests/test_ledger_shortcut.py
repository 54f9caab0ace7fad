"""An event loop commits what little it records itself, never waits for anybody, and leaves the rest to the thread."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from decisions import a_decision

from router_core.ledger.store import Ledger, open_ledger
from router_core.ledger.writer import LedgerWriter


def count(path: Path, table: str = "decision") -> int:
    """What another process would count."""
    connection = sqlite3.connect(path)
    try:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
    finally:
        connection.close()


@asynccontextmanager
async def at_work(ledger: Ledger) -> AsyncIterator[LedgerWriter]:
    """A writer that has seen its ledger, and the names in it, as all have after the first request."""
    with LedgerWriter(ledger) as writer:
        await writer.record(a_decision())
        while not writer.stats().committed:  # counted a moment after it is acknowledged
            await asyncio.sleep(0.001)
        yield writer


def by_loop(writer: LedgerWriter) -> int:
    """How many decisions event loops have committed."""
    assert writer._shortcut is not None
    return writer._shortcut.committed


async def test_a_decision_alone_is_committed_on_the_loop(ledger: Ledger) -> None:
    async with at_work(ledger) as writer:
        decision = a_decision()
        await writer.record(decision)
        assert (by_loop(writer), writer.stats().committed) == (1, 2)
        assert ledger.read_decision(decision.id) == decision


async def test_what_one_turn_of_the_loop_records_is_one_commit(ledger: Ledger, db_path: Path) -> None:
    async with at_work(ledger) as writer:
        await asyncio.gather(*(writer.record(a_decision()) for _ in range(100)))
        assert (writer.stats().committed, writer.stats().groups) == (101, 2)
        assert by_loop(writer) == 100
    assert count(db_path) == 101


async def test_a_loop_does_not_wait_for_somebody_elses_lock(ledger: Ledger, db_path: Path) -> None:
    holder = sqlite3.connect(db_path, isolation_level=None)
    async with at_work(ledger) as writer:
        holder.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(writer.record(a_decision()))
        longest, before = 0.0, time.perf_counter()
        for _ in range(30):
            await asyncio.sleep(0.01)
            longest, before = max(longest, time.perf_counter() - before), time.perf_counter()
        assert not waiting.done()  # nobody was told that it is durable
        assert longest < 0.25  # a lock is waited for much longer, by the thread
        holder.execute("ROLLBACK")
        await asyncio.wait_for(waiting, 10)
        assert by_loop(writer) == 0
    holder.close()
    assert count(db_path) == 2


async def test_a_new_name_is_left_to_the_thread(ledger: Ledger, db_path: Path) -> None:
    async with at_work(ledger) as writer:
        decision = a_decision(feature="never seen before")
        await writer.record(decision)
        assert by_loop(writer) == 0
        await writer.record(a_decision(feature="never seen before"))
        assert by_loop(writer) == 1
    with open_ledger(db_path) as again:
        assert again.read_decision(decision.id) == decision


async def test_a_decision_that_is_there_already_does_no_harm(ledger: Ledger, db_path: Path) -> None:
    async with at_work(ledger) as writer:
        decision = a_decision()
        await writer.record(decision)
        await asyncio.gather(writer.record(decision), writer.record(a_decision()))
    assert count(db_path) == 3


async def test_another_ledger_in_its_place_gets_names_of_its_own(ledger: Ledger, db_path: Path) -> None:
    async with at_work(ledger) as writer:
        await writer.record(a_decision())
        for path in (db_path, *db_path.parent.glob(f"{db_path.name}-*")):
            path.unlink()
        with open_ledger(db_path) as other:
            other.dimension_id("feature", "takes the first number")
        decision = a_decision()
        await writer.record(decision)
    with open_ledger(db_path) as again:
        assert again.read_decision(decision.id) == decision


def left_behind(loop: asyncio.AbstractEventLoop, writer: LedgerWriter) -> asyncio.Task[None]:
    """Record a decision on a loop, then another that the loop stops before it commits."""
    loop.run_until_complete(writer.record(a_decision()))
    task = loop.create_task(writer.record(a_decision()))
    loop.call_soon(loop.stop)
    loop.run_forever()
    return task


def test_a_loop_that_stops_before_its_turn_loses_nothing(ledger: Ledger, db_path: Path) -> None:
    loop = asyncio.new_event_loop()
    with LedgerWriter(ledger) as writer:
        task = left_behind(loop, writer)
        assert not task.done()
        writer.submit(a_decision()).result(timeout=10)  # from elsewhere; what the loop left behind comes along
        assert count(db_path) == 3
        loop.run_until_complete(task)
    loop.close()


def test_closing_makes_durable_what_a_loop_had_no_turn_for(ledger: Ledger, db_path: Path) -> None:
    loop = asyncio.new_event_loop()
    with LedgerWriter(ledger) as writer:
        task = left_behind(loop, writer)
    assert count(db_path) == 2
    loop.run_until_complete(task)
    loop.close()


async def test_the_log_is_brought_into_the_file_by_the_thread(ledger: Ledger, db_path: Path) -> None:
    async with at_work(ledger) as writer:
        before = db_path.stat().st_size
        for _ in range(1_500):
            await writer.record(a_decision())
        assert by_loop(writer) > 1_200
        until = time.monotonic() + 10
        while db_path.stat().st_size == before and time.monotonic() < until:
            await asyncio.sleep(0.01)
        assert db_path.stat().st_size > before  # with fewer pages in the log than make a commit do that
