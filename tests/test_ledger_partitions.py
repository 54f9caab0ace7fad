"""A ledger in PostgreSQL has a table a day: made ahead and on demand, by many gateways at once, dropped when pruned."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from router_core.ledger.labels import label

pytest.importorskip("psycopg")

from decisions import DAY_MS, NOON_MS, a_decision, traffic
from test_ledger_postgres import Server, cells, server

from router_core.decision import QualitySource
from router_core.ledger import partitions, schema
from router_core.ledger.archive import archive
from router_core.ledger.cells import EVIDENCE, LATENCIES, SPEND_HOURS
from router_core.ledger.connect import ledger_url, make_engine, transaction
from router_core.ledger.days import date_of
from router_core.ledger.label_cells import AGREEMENTS, LABELS
from router_core.ledger.queries import spend
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger, write_meta

__all__ = ["server"]

BEFORE = date(2026, 3, 4)
_GATEWAY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from decisions import traffic
from router_core.ledger.store import open_ledger
from router_core.ledger.writer import LedgerWriter
mine, shared = traffic(1_000, seed=int(sys.argv[3])), traffic(500, seed=99)
with open_ledger(sys.argv[1]) as ledger, LedgerWriter(ledger, spool=Path(sys.argv[4])) as writer:
    for receipt in [writer.submit(one) for one in (*mine, *shared)]:
        receipt.result()
    print(writer.stats().rejected)
"""


@pytest.fixture
def url(server: Server, request: pytest.FixtureRequest) -> str:
    return server.database(f"p{abs(hash(request.node.name))}")


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with open_ledger(url, timezone="Asia/Kolkata") as opened:
        yield opened


def tables(ledger: Ledger, of: str = "decision") -> list[str]:
    with ledger.reading() as connection:
        found = connection.exec_driver_sql(
            "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid "
            f"WHERE i.inhparent = CAST('{of}' AS regclass) ORDER BY 1"
        )
        return list(found.scalars())


def count(ledger: Ledger, table: str) -> int:
    with ledger.reading() as connection:
        return int(connection.exec_driver_sql(f"SELECT COUNT(*) FROM {table}").scalar_one())


def test_rows_of_a_day_lie_in_the_tables_of_that_day(ledger: Ledger) -> None:
    ledger.write_decisions([a_decision(NOON_MS + day * DAY_MS) for day in (0, 0, 1, 5)])

    assert tables(ledger) == ["decision_20260301", "decision_20260302", "decision_20260306"]
    assert tables(ledger, "attempt") == ["attempt_20260301", "attempt_20260302", "attempt_20260306"]
    assert (count(ledger, "decision_20260301"), count(ledger, "attempt_20260302")) == (2, 1)


def test_the_id_alone_is_the_key_so_a_decision_sent_twice_is_kept_once(ledger: Ledger, url: str) -> None:
    decision = a_decision()
    with open_ledger(url) as other:
        assert [one.write_decisions([decision]) for one in (ledger, other, ledger)] == [1, 0, 0]
    with ledger.reading() as connection:
        key = connection.exec_driver_sql(
            "SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'decision'::regclass AND indisprimary"
        ).scalar_one()
    assert key.endswith("(id)")


def test_the_tables_of_the_days_to_come_are_made_with_todays(ledger: Ledger) -> None:
    now = time.time_ns() // 1_000_000
    ledger.write_decisions([a_decision(now)])
    today, _ = ledger.days.of(now)

    assert tables(ledger) == [f"decision_{date_of(day):%Y%m%d}" for day in range(today, today + 8)]


def test_gateways_that_begin_together_count_every_decision_once(ledger: Ledger, url: str, tmp_path: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _GATEWAY, url, str(Path(__file__).parent), str(seed), str(tmp_path / f"{seed}")],
            stdout=subprocess.PIPE,
            text=True,
        )
        for seed in (41, 42, 43)
    ]
    said = [process.communicate(timeout=60)[0] for process in running]
    assert [(process.returncode, text.strip()) for process, text in zip(running, said, strict=True)] == [(0, "0")] * 3
    expected = [
        one for seed, size in ((41, 1_000), (42, 1_000), (43, 1_000), (99, 500)) for one in traffic(size, seed=seed)
    ]
    refresh(ledger)

    (line,) = spend(ledger, [])
    assert (line.decisions, line.attempts) == (3_500, sum(len(one.attempts) for one in expected))
    assert line.list_cost_nusd == sum(call.list_cost_nusd or 0 for one in expected for call in one.attempts)
    assert count(ledger, "attempt") == line.attempts


def test_an_older_ledger_is_brought_up_to_date_with_its_rows(url: str, db_path: Path) -> None:
    decisions = list(traffic(400, seed=44))
    engine = make_engine(ledger_url(url))
    with transaction(engine, writes=True) as connection:
        schema.upgrade(connection, "0006")
        write_meta(connection, "timezone", "Asia/Kolkata")
    older = Ledger(engine, ZoneInfo("Asia/Kolkata"))
    older.partitions = _None(older.days)
    older.write_decisions(decisions)
    older.close()
    with open_ledger(url) as ledger, open_ledger(db_path, timezone="Asia/Kolkata") as local:
        local.write_decisions(decisions)
        refresh(local)
        refresh(ledger)

        assert len(tables(ledger)) == len(tables(ledger, "attempt")) == 11
        assert cells(ledger) == cells(local)
        assert ledger.write_decisions(decisions) == 0
        assert ledger.write_decisions([a_decision(NOON_MS + 40 * DAY_MS)]) == 1


class _None(partitions.Partitions):
    """What a Tierwise that knew of no partitions did."""

    def provide(self, *_: Any) -> None:
        pass


def test_a_pruned_day_drops_its_tables_and_keeps_its_cells(ledger: Ledger, tmp_path: Path) -> None:
    decisions = list(traffic(1_200, seed=45, span_ms=6 * DAY_MS))
    ledger.write_decisions(decisions)
    label(ledger, decisions[0].id, 0.5, QualitySource.PERSON)
    refresh(ledger)
    before, there = cells(ledger), tables(ledger)
    report = archive(ledger, tmp_path / "archive", before=BEFORE, prune=True)
    _, high = ledger.days.id_range(0, (BEFORE - date(1970, 1, 1)).days - 1)

    assert report.pruned == 3
    assert tables(ledger) == there[3:]
    assert tables(ledger, "attempt") == [name.replace("decision", "attempt") for name in there[3:]]
    with ledger.reading() as connection:
        left = connection.exec_driver_sql(
            f"SELECT COUNT(*) FROM quality_label WHERE decision_id < '\\x{high.hex()}'"
        ).scalar_one()
    assert left == 0
    refresh(ledger, rebuild=True)
    assert cells(ledger) == before


def test_rows_that_come_late_to_a_dropped_day_join_the_others(ledger: Ledger, url: str, tmp_path: Path) -> None:
    decisions = list(traffic(900, seed=46, span_ms=4 * DAY_MS))
    with open_ledger(url) as gateway:  # it wrote to these days, and does not hear that their tables were dropped
        gateway.write_decisions(decisions)
        refresh(ledger)
        archive(ledger, tmp_path / "archive", before=BEFORE, prune=True)
        late = a_decision(NOON_MS)
        assert gateway.write_decisions([late, a_decision(NOON_MS + 10 * DAY_MS)]) == 2
        refresh(ledger)

    (line,) = spend(ledger, [])
    assert line.decisions == 902
    assert ledger.read_decision(late.id) == late
    day_of = ledger.days.of
    first_day = [one for one in decisions if day_of(one.decided_at_ms)[0] == day_of(NOON_MS)[0]]
    assert len(first_day) > 50
    assert all(ledger.read_decision(one.id) == one for one in first_day)


def test_where_a_table_is_in_use_its_rows_are_deleted_instead(
    ledger: Ledger, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_PATIENCE_MS", 100)
    ledger.write_decisions(list(traffic(600, seed=47, span_ms=6 * DAY_MS)))
    refresh(ledger)
    before = cells(ledger)
    with open_ledger(url) as other, other.reading() as connection:  # a long report, say
        connection.exec_driver_sql("SELECT COUNT(*) FROM decision").scalar_one()
        report = archive(ledger, tmp_path / "archive", before=BEFORE, prune=True)

    assert report.pruned == 3
    assert count(ledger, "decision_20260301") == count(ledger, "attempt_20260301") == 0
    assert cells(ledger) == before


@pytest.mark.parametrize("text", [SPEND_HOURS, LATENCIES, EVIDENCE, LABELS, AGREEMENTS])
def test_to_sum_a_day_only_its_own_tables_are_read(ledger: Ledger, text: str) -> None:
    ledger.write_decisions([a_decision(NOON_MS + day * DAY_MS) for day in range(5)])
    day, _ = ledger.days.of(NOON_MS + 2 * DAY_MS)
    low, high = (f"'\\x{bound.hex()}'" for bound in ledger.days.id_range(day, day))
    with ledger.reading() as connection:
        plan = "\n".join(
            connection.exec_driver_sql(
                "EXPLAIN " + text.replace(":low", low).replace(":high", high).replace("%", "%%")
            ).scalars()
        )

    assert "decision_20260303" in plan
    assert not any(f"_2026030{other}" in plan for other in (1, 2, 4, 5))
