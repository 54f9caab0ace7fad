"""Opening a ledger: a new one is made, an older one upgraded, and anything else refused with one sentence."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from decisions import a_decision, traffic

from router_core.errors import LedgerError, LedgerLockedError, NotALedgerError
from router_core.ledger import schema
from router_core.ledger.connect import ledger_url, make_engine, transaction
from router_core.ledger.price_rows import read_prices
from router_core.ledger.queries import spend
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger, write_meta


def one_sentence(text: str) -> bool:
    return "\n" not in text and "Traceback" not in text and len(text) < 300


def test_a_new_ledger_knows_the_prices_of_the_catalogue(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        prices = read_prices(ledger)
    assert len(prices) > 1000
    assert {price.layer for price in prices} == {"catalogue"}
    assert all(price.id is not None for price in prices)


def test_a_ledger_keeps_the_zone_it_was_started_with(db_path: Path) -> None:
    open_ledger(db_path, timezone="Asia/Kolkata").close()
    with open_ledger(db_path, timezone="Europe/Zurich") as ledger:
        assert ledger.zone.key == "Asia/Kolkata"


def test_the_numbered_steps_lead_to_the_tables_of_the_code(db_path: Path) -> None:
    with open_ledger(db_path) as ledger, ledger.reading() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": schema.VERSION_TABLE, "compare_type": True}
        )
        assert compare_metadata(context, schema.declared()) == []
        assert schema.current(connection, ledger.engine.url) == schema.HEAD


def test_an_older_ledger_opens_with_its_rows_and_is_upgraded(db_path: Path, tmp_path: Path) -> None:
    decisions = list(traffic(300))
    with open_ledger(tmp_path / "today.db") as ledger:
        ledger.write_decisions(decisions)
        refresh(ledger)
        expected = spend(ledger, ["day", "model"])

    engine = make_engine(ledger_url(db_path))
    with transaction(engine, writes=True) as connection:
        schema.upgrade(connection, "0001")
        write_meta(connection, "timezone", "UTC")
    first = Ledger(engine, ZoneInfo("UTC"))
    first.write_decisions(decisions)
    with first.writing() as connection:  # its cells held the hour then, and all of its days had been summed
        connection.exec_driver_sql(
            "INSERT INTO spend_cell SELECT day, 0, 1, 1, 1, 1, 0, 0, " + ", ".join("0" * 19) + " FROM dirty_day"
        )
        connection.exec_driver_sql("DELETE FROM dirty_day")
    first.close()

    with open_ledger(db_path) as ledger:
        assert all(ledger.read_decision(decision.id) == decision for decision in decisions[::10])
        refresh(ledger)
        assert spend(ledger, ["day", "model"]) == expected


def test_a_newer_ledger_is_refused_and_left_alone(db_path: Path) -> None:
    open_ledger(db_path).close()
    with sqlite3.connect(db_path) as connection:
        connection.execute("UPDATE tierwise_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(LedgerError, match="made by a newer Tierwise") as caught:
        open_ledger(db_path)
    assert one_sentence(str(caught.value))


def test_a_text_file_is_not_a_ledger(db_path: Path) -> None:
    db_path.write_text("prompt,answer\nhello,world\n")
    with pytest.raises(NotALedgerError, match="not a Tierwise ledger") as caught:
        open_ledger(db_path)
    assert str(db_path) in str(caught.value)
    assert db_path.read_text().startswith("prompt")


def test_a_short_file_is_not_a_ledger(db_path: Path) -> None:
    db_path.write_bytes(b"S")
    with pytest.raises(NotALedgerError):
        open_ledger(db_path)


def test_a_file_cut_after_its_head_is_not_a_ledger(db_path: Path) -> None:
    db_path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 3000)
    with pytest.raises(LedgerError) as caught:
        open_ledger(db_path)
    assert one_sentence(str(caught.value))


def test_a_database_of_somebody_else_is_refused_and_left_alone(db_path: Path) -> None:
    with sqlite3.connect(db_path) as connection:
        connection.execute("CREATE TABLE invoices (id INTEGER)")
    connection.close()
    before = db_path.read_bytes()
    with pytest.raises(NotALedgerError, match="invoices"):
        open_ledger(db_path)
    assert db_path.read_bytes() == before


def test_an_empty_file_becomes_a_ledger(db_path: Path) -> None:
    db_path.touch()
    with open_ledger(db_path) as ledger:
        ledger.write_decisions([a_decision()])


def test_a_folder_is_not_a_ledger(tmp_path: Path) -> None:
    with pytest.raises(NotALedgerError, match="folder"):
        open_ledger(tmp_path)


@pytest.mark.parametrize("path", ["/proc/ledger.db", "missing/ledger.db"])
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, path: str) -> None:
    with pytest.raises(LedgerError) as caught:
        open_ledger(tmp_path / path)
    assert one_sentence(str(caught.value))


def test_a_missing_ledger_is_not_made_where_one_is_expected(db_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no ledger at"):
        open_ledger(db_path, create=False)
    assert not db_path.exists()


@pytest.mark.parametrize("url", ["", ":memory:", "sqlite://", "nonsense://x", "postgresql+nodriver://h/d"])
def test_what_is_neither_a_path_nor_a_usable_url_is_one_sentence(url: str) -> None:
    with pytest.raises(LedgerError) as caught:
        open_ledger(url)
    assert one_sentence(str(caught.value))


def test_a_server_that_does_not_answer_is_one_sentence_without_the_password() -> None:
    with pytest.raises(LedgerError, match="cannot be reached") as caught:
        open_ledger("postgresql+psycopg://tester:secret@127.0.0.1:9/ledger")
    assert one_sentence(str(caught.value))
    assert "secret" not in str(caught.value)


def test_a_ledger_that_another_process_is_writing_says_so(db_path: Path) -> None:
    open_ledger(db_path).close()
    holder = sqlite3.connect(db_path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with open_ledger(db_path) as ledger:
        sa.event.listen(ledger.engine, "checkout", lambda raw, *_: raw.execute("PRAGMA busy_timeout=50"))
        with pytest.raises(LedgerLockedError, match="locked by another process"):
            ledger.write_decisions([a_decision(feature="chat")])
    holder.execute("ROLLBACK")
    holder.close()


def test_processes_that_open_a_new_ledger_together_make_one(db_path: Path) -> None:
    program = (
        "import sys; from router_core.ledger.store import open_ledger; "
        "ledger = open_ledger(sys.argv[1]); print(ledger.dimension_id('feature', 'chat')); ledger.close()"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(db_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=60)[0].strip() for process in running]
    assert [process.returncode for process in running] == [0, 0, 0]
    assert set(said) == {"1"}
    with open_ledger(db_path) as ledger:
        prices = read_prices(ledger)
    assert len({replace(price, id=None) for price in prices}) == len(prices)
