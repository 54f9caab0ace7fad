"""While the database is away decisions wait in the spool; when it is back they are in the ledger, each once."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from decisions import a_decision, traffic

from router_core.decision import RoutingDecision
from router_core.errors import LedgerFullError
from router_core.ledger.lines import decode, encode
from router_core.ledger.spool import Spool
from router_core.ledger.store import Ledger, open_ledger
from router_core.ledger.writer import LedgerWriter, default_spool, replay_spool


@pytest.fixture
def ledger(db_path: Path) -> Iterator[Ledger]:
    with open_ledger(db_path) as opened:
        opened.write_decisions(list(traffic(200, seed=9)))  # names are known
        yield opened


@pytest.fixture
def lock(db_path: Path, ledger: Ledger) -> Iterator[sqlite3.Connection]:
    """Another process's connection, to lock the database with."""
    holder = sqlite3.connect(db_path, isolation_level=None)
    yield holder
    holder.close()


def held(ledger: Ledger) -> list[bytes]:
    with ledger.reading() as connection:
        return list(connection.exec_driver_sql("SELECT id FROM decision").scalars())


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def test_a_locked_database_fills_the_spool_and_its_return_empties_it(
    ledger: Ledger, lock: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    decisions = list(traffic(300))
    with LedgerWriter(ledger) as writer, caplog.at_level(logging.WARNING):
        lock.execute("BEGIN IMMEDIATE")
        for receipt in [writer.submit(decision) for decision in decisions]:
            receipt.result(timeout=20)
        assert writer.stats().away
        assert writer.stats().spooled == 300
        assert default_spool(ledger).stat().st_size > 0
        assert not set(held(ledger)) & {decision.id for decision in decisions}
        lock.execute("ROLLBACK")
        until(lambda: not writer.stats().away)
        assert writer.stats().replayed == 300
        writer.submit(a_decision()).result(timeout=10)
    assert default_spool(ledger).stat().st_size == 0
    assert sorted(set(held(ledger)) & {d.id for d in decisions}) == sorted(d.id for d in decisions)
    assert all(ledger.read_decision(decision.id) == decision for decision in decisions[::17])
    assert any("locked by another process" in record.message for record in caplog.records)


def test_a_writer_that_starts_replays_what_an_earlier_one_left(ledger: Ledger) -> None:
    decisions = list(traffic(50))
    Spool(default_spool(ledger), 10**6).append(decisions)
    with LedgerWriter(ledger) as writer:
        until(lambda: writer.stats().replayed == 50)
    assert all(ledger.read_decision(decision.id) == decision for decision in decisions)


def test_replaying_again_what_was_half_replayed_counts_nothing_twice(ledger: Ledger) -> None:
    decisions = list(traffic(50))
    before = len(held(ledger))
    ledger.write_decisions(decisions[:30])
    Spool(default_spool(ledger), 10**6).append(decisions)
    assert replay_spool(ledger) == 50
    assert replay_spool(ledger) == 0
    assert len(held(ledger)) == before + 50


def test_a_torn_last_line_is_skipped_with_a_note_and_the_rest_is_kept(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    decisions = list(traffic(5))
    path = default_spool(ledger)
    Spool(path, 10**6).append(decisions)
    with path.open("ab") as file:
        file.write(encode(a_decision())[:-40])
    with caplog.at_level(logging.WARNING):
        replay_spool(ledger)
    assert "torn" in caplog.text
    assert all(ledger.read_decision(decision.id) == decision for decision in decisions)


def test_what_follows_a_torn_line_is_kept(ledger: Ledger) -> None:
    path = default_spool(ledger)
    spool = Spool(path, 10**6)
    first, last = a_decision(), a_decision()
    spool.append([first])
    with path.open("ab") as file:
        file.write(encode(a_decision())[:100])
    assert spool.append([last]) == 1
    replay_spool(ledger)
    assert {first.id, last.id} <= set(held(ledger))


@pytest.mark.parametrize(
    "line", [b"not json\n", b'{"id": "00"}\n', b"[1]\n", b'{"id":"zz","attempts":[]}\n', b"\xff\n"]
)
def test_a_line_that_cannot_be_used_is_set_aside_not_lost(ledger: Ledger, line: bytes) -> None:
    path = default_spool(ledger)
    decision = a_decision()
    path.write_bytes(line + encode(decision))
    replay_spool(ledger)
    assert decision.id in held(ledger)
    assert path.with_name(path.name + ".rejected").read_bytes() == line


def test_a_decision_no_ledger_can_keep_is_set_aside(ledger: Ledger) -> None:
    path = default_spool(ledger)
    bad, good = a_decision(prompt_hash=2**70), a_decision()
    Spool(path, 10**6).append([bad, good])
    replay_spool(ledger)
    assert good.id in held(ledger)
    assert decode(path.with_name(path.name + ".rejected").read_bytes()) == bad


def test_a_line_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    decision = a_decision()
    line = encode(decision).replace(b'{"id"', b'{"colour":"red","id"', 1)
    assert decode(line) == decision


def test_a_ledger_that_was_deleted_is_not_written_into_the_void(ledger: Ledger, db_path: Path, tmp_path: Path) -> None:
    safe = tmp_path / "elsewhere.spool"
    decisions: list[RoutingDecision] = list(traffic(20))
    with LedgerWriter(ledger, spool=safe) as writer:
        writer.submit(a_decision()).result(timeout=10)
        for name in (db_path.name, f"{db_path.name}-wal", f"{db_path.name}-shm"):
            db_path.with_name(name).unlink(missing_ok=True)
        for receipt in [writer.submit(decision) for decision in decisions]:
            receipt.result(timeout=10)
        assert writer.stats().spooled == 20
        assert not db_path.exists()
        # Another ledger comes in its place, in which names have other numbers.
        with open_ledger(tmp_path / "other.db") as other:
            for name in ("zebra", "yak", "xerus"):
                other.dimension_id("feature", name)
                other.dimension_id("tier", name)
        os.rename(tmp_path / "other.db", db_path)
        until(lambda: writer.stats().replayed == 20)
        writer.submit(a_decision(feature="zebra")).result(timeout=10)
    with open_ledger(db_path, create=False) as found:
        assert len(held(found)) == 21
        assert all(found.read_decision(decision.id) == decision for decision in decisions)


def test_queue_and_spool_full_refuses_and_loses_nothing_that_was_taken(
    ledger: Ledger, lock: sqlite3.Connection
) -> None:
    lock.execute("BEGIN IMMEDIATE")
    before = len(held(ledger))
    with LedgerWriter(ledger, max_queue=30, max_spool_bytes=8_000) as writer:
        taken = [writer.submit(a_decision())]
        taken[0].result(timeout=10)  # in the spool
        refused = None
        while refused is None and len(taken) < 1000:
            try:
                taken.append(writer.submit(a_decision()))
            except LedgerFullError as error:
                refused = error
            time.sleep(0.005)
        assert "are waiting for the ledger" in str(refused)
        assert 1 < sum(receipt.done() for receipt in taken) < len(taken)
        assert default_spool(ledger).stat().st_size <= 8_000
        lock.execute("ROLLBACK")
        for receipt in taken:
            receipt.result(timeout=20)
    assert len(held(ledger)) == before + len(taken)


def test_closing_with_nowhere_to_go_tells_whoever_waits(ledger: Ledger, lock: sqlite3.Connection) -> None:
    lock.execute("BEGIN IMMEDIATE")
    writer = LedgerWriter(ledger, max_spool_bytes=1)
    receipt = writer.submit(a_decision())
    writer.close()
    with pytest.raises(LedgerFullError, match="neither the ledger"):
        receipt.result(timeout=1)


def test_a_spool_that_cannot_be_written_holds_decisions_back_until_the_ledger_is_there(
    ledger: Ledger, lock: sqlite3.Connection, tmp_path: Path
) -> None:
    lock.execute("BEGIN IMMEDIATE")
    with LedgerWriter(ledger, spool=tmp_path / "missing" / "x.spool") as writer:
        receipt = writer.submit(a_decision())
        with pytest.raises(TimeoutError):
            receipt.result(timeout=1.5)
        lock.execute("ROLLBACK")
        receipt.result(timeout=10)
