"""Every engine sums the same rows to the same cells, from the ledger and from its archive."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from decisions import DAY_MS, NOON_MS, a_decision, traffic

from router_core.cli import main
from router_core.decision import QualitySource, new_decision_id
from router_core.ledger.archive import archive
from router_core.ledger.labels import label
from router_core.ledger.manifest import read_manifest
from router_core.ledger.rollup import Engine, refresh
from router_core.ledger.store import Ledger, open_ledger

pytest.importorskip("duckdb")
from router_core.ledger.engines.by_duckdb import DuckDb

TABLES = (
    "spend_cell",
    "spend_hour_cell",
    "latency_cell",
    "evidence_cell",
    "label_cell",
    "agreement_cell",
    "fallback_cell",
    "stage_cell",
)
BEFORE = date(2026, 3, 4)


@pytest.fixture
def ledger(db_path: Path) -> Iterator[Ledger]:
    with open_ledger(db_path, timezone="Asia/Kolkata") as opened:
        decisions = list(traffic(1_500, seed=5, span_ms=6 * DAY_MS))
        absurd = a_decision(NOON_MS, latency_ms=2**31 - 1, attempts=())
        # Made in the same instant, so that their ids differ late; every other one was answered from a cache.
        alike = [new_decision_id(NOON_MS, bytes(2) + place.to_bytes(8, "big")) for place in range(40)]
        crowd = [
            a_decision(NOON_MS, id=one, **({} if place % 2 else {"attempts": ()})) for place, one in enumerate(alike)
        ]
        opened.write_decisions([*decisions, absurd, *crowd])
        for one in decisions[::9]:
            label(opened, one.id, 0.25, QualitySource.JUDGE, needed_tier="REASONING")
            label(opened, one.id, 0.75, QualitySource.PERSON, at_ms=1)
            label(opened, one.id, 1, QualitySource.PERSON, at_ms=1)
        refresh(opened)
        yield opened


def cells(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    with ledger.reading() as connection:
        return {
            table: sorted(tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}"))
            for table in TABLES
        }


def emptied(ledger: Ledger) -> None:
    with ledger.writing() as connection:
        for table in TABLES:
            connection.exec_driver_sql(f"DELETE FROM {table}")


def again(ledger: Ledger, engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """The cells as an engine alone makes them."""
    emptied(ledger)
    assert refresh(ledger, rebuild=True, engine=engine).days >= 6
    return cells(ledger)


def test_duckdb_makes_every_cell_that_the_database_makes(ledger: Ledger) -> None:
    expected = cells(ledger)

    assert all(expected.values())
    assert again(ledger, DuckDb()) == expected


def test_duckdb_does_so_without_its_quick_reader(ledger: Ledger, tmp_path: Path) -> None:
    expected = cells(ledger)
    emptied(ledger)
    # A folder in front of all others, whose module of that name cannot be found in it.
    (tmp_path / "adbc_driver_sqlite.py").write_text("raise ModuleNotFoundError('not installed')")
    program = (
        "import sys\nfrom router_core.ledger.engines.by_duckdb import DuckDb\n"
        "from router_core.ledger.rollup import refresh\nfrom router_core.ledger.store import open_ledger\n"
        "if __name__ == '__main__':\n"
        "    refresh(open_ledger(sys.argv[1]), rebuild=True, engine=DuckDb())\n"
    )
    (tmp_path / "program.py").write_text(program)
    subprocess.run(
        [sys.executable, str(tmp_path / "program.py"), str(ledger.engine.url.database)],
        check=True,
        env={"PYTHONPATH": f"{tmp_path}:{Path.cwd()}"},
    )

    assert cells(ledger) == expected


def test_duckdb_sums_days_that_only_the_archive_has(ledger: Ledger, tmp_path: Path) -> None:
    expected = cells(ledger)
    archive(ledger, tmp_path / "it's an archive", before=BEFORE, prune=True)

    assert again(ledger, DuckDb()) == expected
    with ledger.reading() as connection:
        assert connection.exec_driver_sql("SELECT COUNT(*) FROM archived_day WHERE pruned = 1").scalar() == 3


def test_rows_that_come_late_to_an_archived_day_are_summed_with_the_others(ledger: Ledger, tmp_path: Path) -> None:
    archive(ledger, tmp_path / "archive", before=BEFORE, prune=True)
    before = sum(row[7] for row in cells(ledger)["spend_cell"])
    ledger.write_decisions([a_decision(NOON_MS + 1)])

    refresh(ledger, engine=DuckDb())
    by_duckdb = cells(ledger)
    assert sum(row[7] for row in by_duckdb["spend_cell"]) == before + 1
    refresh(ledger, rebuild=True)
    assert cells(ledger) == by_duckdb


def test_a_damaged_archive_leaves_its_cells_and_is_named(
    ledger: Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive(ledger, tmp_path / "archive", before=BEFORE, prune=True)
    before = cells(ledger)
    manifest = read_manifest(tmp_path / "archive")
    part = manifest.path(min(manifest.days), "attempt")
    part.unlink()
    ledger.close()
    command = ["rollup", "--rebuild", "--engine", "duckdb", "--json", "--db", str(ledger.engine.url.database)]
    with pytest.raises(SystemExit) as ended:
        main(command)
    told = json.loads(capsys.readouterr().out)

    assert ended.value.code == 0
    assert [one["day"] for one in told["waiting"]] == ["2026-03-01"]
    assert part.name in told["waiting"][0]["why"]
    assert cells(ledger) == before


def test_an_unknown_engine_is_one_sentence(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["rollup", "--engine", "abacus", "--db", str(ledger.engine.url.database)])

    assert ended.value.code == 2
    assert "--engine is auto, sql, duckdb or spark, not 'abacus'" in capsys.readouterr().err
