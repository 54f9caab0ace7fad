"""A disk that is really full: decisions go to the spool or their callers are told, and nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
_ALONE = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
_MOUNT = 'mount -t tmpfs -o size="$1" tmpfs "$2" && shift 2 && exec "$@"'

# Each program is told the folder of the small disk and a folder beside it, and answers in JSON.
_BEGIN = """
import json, logging, sys, time
from pathlib import Path
small, beside = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, sys.argv[3])
from decisions import NOON_MS, DAY_MS, a_decision, traffic
from router_core.errors import TierwiseError
from router_core.ledger.store import open_ledger
from router_core.ledger.writer import LedgerWriter

said = []
class Said(logging.Handler):
    def emit(self, record):
        said.append(record.getMessage())
logging.getLogger().addHandler(Said())

def fill_up():
    with open(small / "ballast", "ab", buffering=0) as file:
        for size in (65536, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                pass

def make_room():
    (small / "ballast").unlink()

def submit(writer, decisions):
    kept, errors = [], []
    for decision in decisions:
        try:
            writer.submit(decision).result(timeout=20)
            kept.append(decision)
        except TierwiseError as error:
            errors.append(f"{type(error).__name__}: {error}")
    return kept, errors

def held(ledger, decisions):
    def same(one):
        try:
            return ledger.read_decision(one.id) == one
        except TierwiseError:
            return False
    return sum(map(same, decisions))
"""

_SPOOL_BESIDE = (
    _BEGIN
    + """
with open_ledger(small / "ledger.db") as ledger:
    with LedgerWriter(ledger, spool=beside / "spool") as writer:
        first, none = submit(writer, traffic(200, seed=1))
        fill_up()
        second, errors = submit(writer, traffic(500, seed=2))
        during = writer.stats()
        make_room()
        time.sleep(0.6)
        third, after = submit(writer, traffic(50, seed=3))
    everything = [*first, *second, *third]
    with ledger.reading() as connection:
        damage = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
    print(json.dumps({"kept": len(everything), "held": held(ledger, everything), "errors": [*none, *errors, *after],
        "spooled": during.spooled, "left": writer.stats().spool_bytes, "said": said, "damage": damage}))
"""
)

_SPOOL_ON_IT_TOO = (
    _BEGIN
    + """
with open_ledger(small / "ledger.db") as ledger:
    with LedgerWriter(ledger) as writer:
        first, none = submit(writer, traffic(200, seed=1))
        fill_up()
        began = time.monotonic()
        second, errors = [], []
        for decision in traffic(100_000, seed=2):
            kept, refused = submit(writer, [decision])
            second += kept
            errors += refused
            if len(errors) == 5:
                break
        waited = time.monotonic() - began
        make_room()
        time.sleep(0.6)
        third, after = submit(writer, traffic(50, seed=3))
    everything = [*first, *second, *third]
    with ledger.reading() as connection:
        damage = connection.exec_driver_sql("PRAGMA integrity_check").scalar()
        total = connection.exec_driver_sql("SELECT COUNT(*) FROM decision").scalar()
    print(json.dumps({"kept": len(everything), "held": held(ledger, everything), "errors": [*none, *errors],
        "after": after, "total": total, "left": writer.stats().spool_bytes, "said": said, "damage": damage,
        "waited": waited}))
"""
)

_ROLLUP = (
    _BEGIN
    + """
from router_core.ledger.archive import archive
from router_core.ledger.queries import spend
from router_core.ledger.rollup import refresh
from datetime import date
with open_ledger(small / "ledger.db") as ledger:
    ledger.write_decisions(list(traffic(400, seed=1, span_ms=5 * DAY_MS)))
    refresh(ledger)
    before = [str(line) for line in spend(ledger, ["day"])]
    ledger.write_decisions(list(traffic(400, seed=2, span_ms=5 * DAY_MS)))
    fill_up()
    errors = []
    for act in (lambda: refresh(ledger), lambda: archive(ledger, small / "archive", before=date(2026, 3, 5))):
        try:
            act()
        except TierwiseError as error:
            errors.append(f"{type(error).__name__}: {error}")
    lines = {str(line) for line in spend(ledger, ["day"])}
    make_room()
    refresh(ledger)
    after = [str(line) for line in spend(ledger, ["day"])]
    refresh(ledger, rebuild=True)
    print(json.dumps({"errors": errors, "same": lines <= {*before, *after}, "total": sum(line.decisions for line in
        spend(ledger, [])), "rebuilt": after == [str(line) for line in spend(ledger, ["day"])],
        "archived": archive(ledger, small / "archive", before=date(2026, 3, 5)).written}))
"""
)


@cache
def can_mount() -> bool:
    if shutil.which("unshare") is None:
        return False
    tried = subprocess.run(
        [*_ALONE, _MOUNT, "sh", "1m", "/tmp", "true"],
        capture_output=True,
        check=False,
    )
    return tried.returncode == 0


def on_a_small_disk(program: str, folder: Path, size: str = "8m") -> dict[str, Any]:
    """Run a program in a world of its own, where ``small`` is a disk of ``size`` that is filled and emptied again."""
    if not can_mount():
        pytest.skip("mounting a small disk needs user namespaces (unshare --map-root-user --mount)")
    small = folder / "small"
    small.mkdir()
    script = folder / "program.py"
    script.write_text(program)
    done = subprocess.run(
        [*_ALONE, _MOUNT, "sh", size, str(small), sys.executable, str(script), str(small), str(folder), str(HERE)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "PYTHONPATH": str(HERE.parent)},
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def test_a_spool_on_another_disk_takes_what_the_ledger_cannot(tmp_path: Path) -> None:
    told = on_a_small_disk(_SPOOL_BESIDE, tmp_path)

    assert told["errors"] == []
    assert told["kept"] == told["held"] == 750
    assert told["spooled"] > 300
    assert (told["left"], told["damage"]) == (0, "ok")
    assert len(told["said"]) == 2
    assert "is full; make room" in told["said"][0]
    assert "is back" in told["said"][1]


def test_with_the_spool_on_the_same_disk_callers_are_told_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    told = on_a_small_disk(_SPOOL_ON_IT_TOO, tmp_path)

    assert len(told["errors"]) == 5
    for sentence in told["errors"]:
        assert sentence.startswith("LedgerFullError: neither the ledger")
        assert "No space left on device" in sentence
        assert "make room" in sentence
        assert "\n" not in sentence
    assert told["waited"] < 15  # the first waits for room, the others are told soon
    assert told["after"] == []
    assert told["held"] == told["kept"] == told["total"]
    assert (told["left"], told["damage"]) == (0, "ok")
    assert len(told["said"]) <= 4, told["said"]


def test_sums_are_those_of_before_until_there_is_room_and_then_of_everything(tmp_path: Path) -> None:
    told = on_a_small_disk(_ROLLUP, tmp_path, "12m")

    assert told["errors"]
    for sentence in told["errors"]:
        assert "full" in sentence or "No space left" in sentence
        assert "\n" not in sentence
    assert told["same"]
    assert told["total"] == 800
    assert told["rebuilt"]
    assert told["archived"] == 4
