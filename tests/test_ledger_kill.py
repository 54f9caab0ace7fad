"""A writer killed at any moment loses nothing it acknowledged, and counts nothing twice."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from router_core.ledger.store import Ledger, open_ledger
from router_core.ledger.writer import replay_spool

# Acknowledged ids go to standard output straight away, so what was printed was acknowledged before the kill.
_WRITER = """
import os, sys, threading
sys.path.insert(0, sys.argv[2])
from decisions import traffic
from router_core.ledger.store import open_ledger
from router_core.ledger.writer import LedgerWriter

ledger = open_ledger(sys.argv[1])
writer = LedgerWriter(ledger)

def work(seed):
    for decision in traffic(1_000_000, seed=seed):
        writer.submit(decision).result()
        os.write(1, decision.id.hex().encode() + b"\\n")

for place in range(8):
    threading.Thread(target=work, args=(int(sys.argv[3]) * 100 + place,), daemon=True).start()
threading.Event().wait()
"""


def run_and_kill(db_path: Path, seed: int, *, seconds: float) -> set[str]:
    """Start a writer, kill it once it has been acknowledging for a while, and return the ids it had acknowledged."""
    process = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(db_path), str(Path(__file__).parent), str(seed)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    said = first + process.stdout.read()
    process.wait()
    process.stdout.close()
    return {line.decode() for line in said.split(b"\n") if len(line) == 32}


def check(ledger: Ledger, acknowledged: set[str]) -> None:
    with ledger.reading() as connection:
        found = [one.hex() for one in connection.exec_driver_sql("SELECT id FROM decision").scalars()]
        orphans = connection.exec_driver_sql(
            "SELECT COUNT(*) FROM attempt WHERE decision_id NOT IN (SELECT id FROM decision)"
        ).scalar_one()
        short = connection.exec_driver_sql(
            "SELECT COUNT(*) FROM decision d WHERE d.attempts <> "
            "(SELECT COUNT(*) FROM attempt a WHERE a.decision_id = d.id)"
        ).scalar_one()
        labels = connection.exec_driver_sql(
            "SELECT COUNT(*) - COUNT(DISTINCT decision_id) FROM quality_label"
        ).scalar_one()
    assert acknowledged <= set(found)
    assert len(found) == len(set(found))
    assert (orphans, short, labels) == (0, 0, 0)


def test_five_kills_under_load_lose_nothing_that_was_acknowledged(db_path: Path) -> None:
    draw = random.Random(5)
    acknowledged: set[str] = set()
    open_ledger(db_path).close()
    for seed in range(5):
        acknowledged |= run_and_kill(db_path, seed, seconds=draw.uniform(0.05, 0.4))
    assert len(acknowledged) > 100
    with open_ledger(db_path) as ledger:
        check(ledger, acknowledged)


def test_kills_while_the_database_is_locked_and_while_it_comes_back_lose_nothing_either(db_path: Path) -> None:
    open_ledger(db_path).close()
    acknowledged = run_and_kill(db_path, 0, seconds=0.1)  # names are known then
    holder = sqlite3.connect(db_path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    acknowledged |= run_and_kill(db_path, 1, seconds=0.3)
    holder.execute("ROLLBACK")
    spool = Path(f"{db_path}.spool")
    assert spool.stat().st_size > 0
    acknowledged |= run_and_kill(db_path, 2, seconds=0.0)  # perhaps in the middle of the replay
    holder.execute("BEGIN IMMEDIATE")
    acknowledged |= run_and_kill(db_path, 3, seconds=0.2)
    holder.execute("ROLLBACK")
    holder.close()
    assert spool.stat().st_size > 0
    with open_ledger(db_path) as ledger:
        assert replay_spool(ledger) > 0
        check(ledger, acknowledged)
