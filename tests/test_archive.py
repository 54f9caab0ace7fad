"""An archive holds whole days exactly, stands alone, and lets their rows leave the ledger without their sums."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from decisions import DAY_MS, NOON_MS, a_decision, traffic

from router_core.cli import main
from router_core.decision import QualitySource
from router_core.errors import InputError
from router_core.ledger.archive import archive
from router_core.ledger.labels import label, labels_of
from router_core.ledger.manifest import read_manifest
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger

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
FIRST_DAY = date(2026, 3, 1)
BEFORE = date(2026, 3, 6)  # traffic begins on the first at noon, so that is five days
EVERYTHING = list(traffic(1_500, seed=3))

_KILLED = """
import os, sys
from datetime import date
from pathlib import Path
from router_core.ledger import archive
from router_core.ledger.store import open_ledger
count = 0
def die(*_, **__):
    global count
    count += 1
    if count == 4:
        os.kill(os.getpid(), 9)
    return real(*_, **__)
real = getattr(archive, sys.argv[3])
setattr(archive, sys.argv[3], die)
archive._PRUNED_AT_ONCE = 20
archive.archive(open_ledger(sys.argv[1]), Path(sys.argv[2]), before=date(2026, 3, 6), prune=True)
"""


@pytest.fixture
def ledger(db_path: Path) -> Iterator[Ledger]:
    with open_ledger(db_path) as opened:
        opened.write_decisions(EVERYTHING)
        refresh(opened)
        yield opened


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def cells(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    with ledger.reading() as connection:
        return {
            table: sorted(tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}"))
            for table in TABLES
        }


def rows(ledger: Ledger, table: str) -> list[tuple[Any, ...]]:
    with ledger.reading() as connection:
        return sorted(tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}"))


def count(ledger: Ledger) -> int:
    return len(rows(ledger, "decision"))


def archived_decisions() -> list[Any]:
    return [one for one in EVERYTHING if one.decided_at_ms < NOON_MS - DAY_MS // 2 + 5 * DAY_MS]


def test_an_archive_holds_every_row_of_whole_days_with_names_in_place_of_numbers(ledger: Ledger, folder: Path) -> None:
    report = archive(ledger, folder, before=BEFORE)
    expected = sorted(archived_decisions(), key=lambda one: one.id)
    table = pq.read_table(folder / "decision", partitioning=None).to_pylist()
    table.sort(key=lambda row: row["id"])

    assert (report.written, report.decisions) == (5, len(expected))
    assert [row["id"] for row in table] == [one.id for one in expected]
    for row, one in zip(table, expected, strict=True):
        assert (row["feature"], row["team"], row["tier"], row["scorer"], row["stage"]) == (
            one.feature,
            one.team,
            one.tier,
            one.scorer_version,
            one.stage,
        )
        assert (row["cost_nusd"], row["score"]) == (one.cost_nusd, one.score)
    calls = pq.read_table(folder / "attempt", partitioning=None).to_pylist()
    assert sorted((row["decision_id"], row["seq"], row["model"], row["list_cost_nusd"]) for row in calls) == sorted(
        (one.id, seq, call.model, call.list_cost_nusd) for one in expected for seq, call in enumerate(one.attempts)
    )


def test_types_are_exact_and_the_manifest_counts_sums_and_checks(ledger: Ledger, folder: Path) -> None:
    archive(ledger, folder, before=BEFORE)
    manifest = read_manifest(folder)
    first = manifest.days[min(manifest.days)]
    schema = pq.read_schema(manifest.path(min(manifest.days), "decision"))

    assert str(schema.field("cost_nusd").type) == "int64"
    assert str(schema.field("id").type) == "fixed_size_binary[16]"
    assert schema.metadata is None or b"pandas" not in schema.metadata
    expected = [one for one in EVERYTHING if one.decided_at_ms < NOON_MS + DAY_MS // 2]
    assert first.figures["decisions"] == first.files["decision"].rows == len(expected)
    assert first.figures["cost_nusd"] == sum(one.cost_nusd or 0 for one in expected)
    assert first.figures["list_cost_nusd"] == sum(call.list_cost_nusd or 0 for one in expected for call in one.attempts)
    assert manifest.prices["1"]["provider_name"]


def test_days_that_did_not_change_are_left_and_days_that_did_are_written_again(ledger: Ledger, folder: Path) -> None:
    archive(ledger, folder, before=BEFORE)
    again = archive(ledger, folder, before=BEFORE)
    label(ledger, archived_decisions()[0].id, 0.25, QualitySource.PERSON)
    third = archive(ledger, folder, before=BEFORE)

    assert (again.written, again.unchanged) == (0, 5)
    assert (third.written, third.unchanged) == (1, 4)
    assert len(list(folder.glob("decision/date=*/*"))) == 5


def test_pruned_rows_leave_and_cells_stay_through_a_rebuild(ledger: Ledger, folder: Path) -> None:
    before = cells(ledger)
    report = archive(ledger, folder, before=BEFORE, prune=True)
    refresh(ledger, rebuild=True)

    assert report.pruned == 5
    assert count(ledger) == len(EVERYTHING) - len(archived_decisions())
    assert not [row for row in rows(ledger, "attempt") if row[0] in {one.id for one in archived_decisions()}]
    assert cells(ledger) == before


def test_rows_that_come_late_to_a_pruned_day_join_the_others(ledger: Ledger, folder: Path, tmp_path: Path) -> None:
    archive(ledger, folder, before=BEFORE, prune=True)
    late = a_decision(NOON_MS + DAY_MS, feature="a new feature", quality=0.5, quality_source=QualitySource.CHECK)
    again = archived_decisions()[7]  # imported once more, as if it had never been here
    ledger.write_decisions([late, again])
    refresh(ledger)
    with open_ledger(tmp_path / "never archived.db") as other:
        for kind in ("tier", "model", "provider", "feature", "team", "stage", "scorer", "user_tier", "why"):
            for _, name in sorted(ledger.dimension_names(kind).items()):
                other.dimension_id(kind, name)
        other.write_decisions([*EVERYTHING, late])
        refresh(other)
        whole = spend_by_name(other)

    assert spend_by_name(ledger) == whole
    assert ledger.read_decision(again.id) == again
    assert len(labels_of(ledger, again.id)) == int(again.quality is not None)
    assert archive(ledger, folder, before=BEFORE, prune=True).written == 1  # the other day is as it was
    assert spend_by_name(ledger) == whole


def spend_by_name(ledger: Ledger) -> list[tuple[Any, ...]]:
    with ledger.reading() as connection:
        found = connection.exec_driver_sql(
            "SELECT c.day, f.name, t.name, SUM(c.decisions), SUM(c.attempts), SUM(c.list_cost_nusd), SUM(c.labelled), "
            "SUM(c.quality_ppm_sum) FROM spend_cell c JOIN dimension f ON f.id = c.feature_id "
            "JOIN dimension t ON t.id = c.tier_id GROUP BY c.day, f.name, t.name"
        )
        return sorted(tuple(row) for row in found)


@pytest.mark.parametrize("step", ["_write_part", "_prune_day", "_beyond"])
def test_a_kill_at_any_point_loses_nothing(ledger: Ledger, db_path: Path, folder: Path, step: str) -> None:
    before, kept = cells(ledger), count(ledger)
    ledger.close()
    killed = subprocess.run([sys.executable, "-c", _KILLED, str(db_path), str(folder), step], check=False)
    with open_ledger(db_path) as after:
        refresh(after, rebuild=True)
        cells_after_kill = cells(after)
        archive(after, folder, before=BEFORE, prune=True)
        archive(after, folder, before=BEFORE, prune=True)
        left = count(after)

        assert killed.returncode == -9
        assert cells_after_kill == before
        assert cells(after) == before
    assert left == kept - len(archived_decisions())
    assert sum(day.figures["decisions"] for day in read_manifest(folder).days.values()) == len(archived_decisions())
    assert len(list(folder.glob("*/date=*/*"))) == 15


def test_a_missing_part_is_named_and_nothing_is_pruned(ledger: Ledger, folder: Path) -> None:
    archive(ledger, folder, before=BEFORE)
    part = read_manifest(folder).path(min(read_manifest(folder).days), "attempt")
    part.unlink()

    with pytest.raises(InputError, match=f"{part.name}.*missing"):
        archive(ledger, folder, before=BEFORE, prune=True)
    assert count(ledger) == len(EVERYTHING)


def test_a_damaged_part_keeps_late_rows_waiting_and_cells_as_they_were(ledger: Ledger, folder: Path) -> None:
    archive(ledger, folder, before=BEFORE, prune=True)
    before = cells(ledger)
    part = read_manifest(folder).path(min(read_manifest(folder).days), "decision")
    whole = part.read_bytes()
    part.write_bytes(whole[:100] + b"?" + whole[101:])
    late = a_decision(NOON_MS + 5)
    ledger.write_decisions([late])
    report = refresh(ledger)

    assert [day for day, _ in report.waiting] == [FIRST_DAY]
    assert part.name in report.waiting[0][1]
    assert "SHA-256" in report.waiting[0][1]
    assert cells(ledger) == before
    part.write_bytes(whole)
    assert refresh(ledger).waiting == ()
    assert sum(row[7] for row in cells(ledger)["spend_cell"]) == len(EVERYTHING) + 1


def test_a_manifest_of_something_else_is_refused(ledger: Ledger, folder: Path) -> None:
    folder.mkdir()
    (folder / "manifest.json").write_text('{"format": "something else"}')
    with pytest.raises(InputError, match="something else"):
        archive(ledger, folder, before=BEFORE)
    (folder / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="not the manifest"):
        archive(ledger, folder, before=BEFORE)


def test_the_command_says_what_it_kept(
    ledger: Ledger, db_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ledger.close()
    with pytest.raises(SystemExit) as ended:
        main(["archive", str(folder), "--older-than", "1d", "--prune", "--json", "--db", str(db_path)])
    told = json.loads(capsys.readouterr().out)

    assert ended.value.code == 0
    assert told["written_days"] == told["pruned_days"] == len(read_manifest(folder).days)
    assert told["decisions"] == len(EVERYTHING)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--older-than", "a while"], "a number of days such as 30d"),
        (["--older-than", "-3d"], "a number of days such as 30d"),
    ],
)
def test_a_mistake_is_one_sentence(
    ledger: Ledger,
    db_path: Path,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    sentence: str,
) -> None:
    ledger.close()
    with pytest.raises(SystemExit) as ended:
        main(["archive", str(folder), *arguments, "--db", str(db_path)])

    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
    assert not folder.exists()
