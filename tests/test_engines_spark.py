"""Spark on a real cluster of two workers makes the cells that the database makes."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from decisions import DAY_MS, NOON_MS, a_decision, traffic

from router_core.cli import main
from router_core.decision import QualitySource
from router_core.errors import InputError
from router_core.ledger.archive import archive
from router_core.ledger.engines.by_spark import Spark
from router_core.ledger.labels import label
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


def cells(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    with ledger.reading() as connection:
        return {
            table: sorted(tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}"))
            for table in TABLES
        }


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_cluster_sums_days_of_the_ledger_and_of_its_archive(db_path: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyspark", reason="pyspark is not installed (tierwise[spark])")
    if shutil.which("java") is None:
        pytest.skip("Java is not installed (Debian: openjdk-17-jre-headless)")
    with open_ledger(db_path, timezone="Asia/Kolkata") as ledger:
        decisions = list(traffic(1_500, seed=5, span_ms=6 * DAY_MS))
        ledger.write_decisions([*decisions, a_decision(NOON_MS, attempts=())])
        for one in decisions[::9]:
            label(ledger, one.id, 0.25, QualitySource.JUDGE, needed_tier="REASONING")
            label(ledger, one.id, 0.75, QualitySource.PERSON, at_ms=1)
        refresh(ledger)
        expected = cells(ledger)
        archive(ledger, tmp_path / "archive", before=date(2026, 3, 4), prune=True)  # these days only it has
        archive(ledger, tmp_path / "archive", before=date(2026, 3, 5))  # this one is in both, the rest is staged
        with ledger.writing() as connection:
            for table in TABLES:
                connection.exec_driver_sql(f"DELETE FROM {table}")
        staging = tmp_path / "staging"
        staging.mkdir()
        report = refresh(ledger, rebuild=True, engine=Spark("local-cluster[2,1,1024]", staging))

        assert report.days == 7
        assert report.waiting == ()
        assert cells(ledger) == expected
        assert not list(staging.iterdir())


def test_without_java_it_says_what_to_install(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyspark", reason="pyspark is not installed (tierwise[spark])")
    open_ledger(db_path).close()
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="install Java 17"):
        Spark()
    with pytest.raises(SystemExit) as ended:
        main(["rollup", "--engine", "spark", "--db", str(db_path)])

    assert ended.value.code == 2
    assert "Java 17" in capsys.readouterr().err
