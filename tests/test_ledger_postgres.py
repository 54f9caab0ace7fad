"""A ledger in PostgreSQL keeps, sums and survives what one in SQLite does."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from decisions import a_decision, traffic

from router_core.config import Budget
from router_core.decision import QualitySource
from router_core.errors import NotALedgerError, VersionConflictError
from router_core.ledger.alert_notices import notices, see, take, unsee
from router_core.ledger.budgets import Budgets
from router_core.ledger.config_versions import add_version, live_version, versions
from router_core.ledger.evidence import evidence
from router_core.ledger.labels import Label, add_labels
from router_core.ledger.price_rows import read_prices
from router_core.ledger.queries import latency, spend, window
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.ledger.writer import LedgerWriter

psycopg = pytest.importorskip("psycopg")

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


class Server:
    """A PostgreSQL server of our own, on a free port of this machine."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder, self.programs = folder, programs
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        # The server refuses to run as root.
        self.prefix = ["runuser", "-u", "postgres", "--"] if getpass.getuser() == "root" else []
        if self.prefix:
            shutil.chown(folder, "postgres")
        self.run("initdb", "--username=postgres", "--auth=trust", "--no-sync", "-D", str(folder / "data"))

    def run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self.prefix, str(self.programs / program), *arguments],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self.run("pg_ctl", "start", "-w", "-D", f"{self.folder}/data", "-l", f"{self.folder}/log", "-o", options)

    def stop(self) -> None:
        self.run("pg_ctl", "stop", "-m", "immediate", "-D", f"{self.folder}/data")

    def database(self, name: str) -> str:
        with psycopg.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"


def _programs() -> Path | None:
    found = shutil.which("pg_ctl")
    if found is not None:
        return Path(found).resolve().parent
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    folder = Path(tempfile.mkdtemp(prefix="tierwise-pg-"))
    started = Server(folder, programs)
    started.start()
    yield started
    started.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ledger(server: Server, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    with open_ledger(server.database(f"t{abs(hash(request.node.name))}"), timezone="Asia/Kolkata") as opened:
        yield opened


def cells(ledger: Ledger) -> dict[str, list[tuple[Any, ...]]]:
    with ledger.reading() as connection:
        return {
            table: sorted(tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table}"))
            for table in TABLES
        }


def test_every_cell_and_every_answer_equals_those_of_sqlite(ledger: Ledger, db_path: Path) -> None:
    decisions = list(traffic(1500, seed=31))
    labels = [
        Label(one.id, place % 11 / 10, QualitySource(1 + place % 4), place, needed_tier="COMPLEX")
        for place, one in enumerate(decisions[:400])
    ]
    with open_ledger(db_path, timezone="Asia/Kolkata") as local:
        for one in (ledger, local):
            assert one.write_decisions(decisions[:1000]) == 1000
            refresh(one)
            assert one.write_decisions(decisions) == 500
            add_labels(one, labels)
            refresh(one)
        assert cells(ledger) == cells(local)
        refresh(ledger, rebuild=True)
        assert cells(ledger) == cells(local)
        assert spend(ledger, ["day", "tier", "model", "kind"]) == spend(local, ["day", "tier", "model", "kind"])
        assert latency(ledger, ["tier"]) == latency(local, ["tier"])
        assert (evidence(ledger).list_cost_nusd.sum(), window(ledger).decisions) == (
            evidence(local).list_cost_nusd.sum(),
            window(local).decisions,
        )
        assert read_prices(ledger) == read_prices(local)
    assert all(ledger.read_decision(one.id).attempts == one.attempts for one in decisions[::50])


def test_evidence_over_months_is_that_of_sqlite(ledger: Ledger, db_path: Path) -> None:
    decisions = list(traffic(400, seed=34, span_ms=40 * 86_400_000))
    with open_ledger(db_path, timezone="Asia/Kolkata") as local:
        found = []
        for one in (ledger, local):
            one.write_decisions(decisions)
            refresh(one)
            with one.reading() as connection:
                rows = connection.exec_driver_sql("SELECT * FROM evidence_span").all()
            found.append((sorted(tuple(row) for row in rows), evidence(one).decisions.sum()))
        assert found[0] == found[1]
        assert found[0][1] == 400
        assert len({row[0] for row in found[0][0]}) == 2


def test_writers_of_the_same_decisions_together_count_each_once(ledger: Ledger) -> None:
    decisions = list(traffic(600, seed=32))
    with ThreadPoolExecutor(4) as pool:
        list(
            pool.map(
                lambda turn: [ledger.write_decisions(decisions[at : at + 50]) for at in range(0, 600, 50)][turn:],
                range(4),
            )
        )
    refresh(ledger)
    (line,) = spend(ledger, [])
    assert line.decisions == 600
    assert line.attempts == sum(len(one.attempts) for one in decisions)


def test_rollups_at_once_while_gateways_write_agree_with_a_rebuild(ledger: Ledger) -> None:
    decisions = list(traffic(1_200, seed=35, span_ms=3 * 86_400_000))
    url = ledger.engine.url.render_as_string(hide_password=False)
    done = threading.Event()

    def keep_refreshing() -> int:
        rounds = 0
        with open_ledger(url) as own:
            while not done.is_set():
                refresh(own)
                rounds += 1
        return rounds

    def write(place: int) -> None:
        with open_ledger(url) as own:
            for start in range(place * 100, 1_200, 300):
                own.write_decisions(decisions[start : start + 100])

    with ThreadPoolExecutor(5) as pool:
        rollups = [pool.submit(keep_refreshing) for _ in range(2)]
        list(pool.map(write, range(3)))
        done.set()
        assert all(one.result() > 0 for one in rollups)
    refresh(ledger)
    kept = cells(ledger)
    refresh(ledger, rebuild=True)
    assert cells(ledger) == kept
    assert spend(ledger, [])[0].decisions == 1_200


def test_two_pushes_from_the_same_draft_conflict(ledger: Ledger) -> None:
    first = add_version(ledger, "{}", "ada", "one", 0)
    assert (first, live_version(ledger)) == (1, 1)
    with pytest.raises(VersionConflictError):
        add_version(ledger, "{}", "bob", "two", 0)

    def push(author: str) -> int | None:
        try:
            return add_version(ledger, "{}", author, "", 1)
        except VersionConflictError:
            return None

    with ThreadPoolExecutor(4) as pool:
        pushed = list(pool.map(push, "abcd"))
    assert sorted(number for number in pushed if number is not None) == [2]
    assert len(versions(ledger)) == 2


def test_a_server_that_stops_fills_the_spool_and_its_return_empties_it(
    server: Server, ledger: Ledger, tmp_path: Path
) -> None:
    decisions = list(traffic(200, seed=33))
    with LedgerWriter(ledger, spool=tmp_path / "decisions.spool") as writer:
        writer.submit(decisions[0]).result(timeout=10)
        server.stop()
        try:
            for receipt in [writer.submit(decision) for decision in decisions[1:]]:
                receipt.result(timeout=20)
            assert writer.stats().spooled == 199
        finally:
            server.start()
        deadline = time.monotonic() + 20
        while writer.stats().away and time.monotonic() < deadline:
            time.sleep(0.05)
        writer.submit(a_decision()).result(timeout=10)
        assert writer.stats().replayed == 199
    assert all(ledger.read_decision(decision.id) == decision for decision in decisions)


def test_a_decision_the_server_cannot_keep_does_not_harm_its_neighbours(ledger: Ledger, tmp_path: Path) -> None:
    with LedgerWriter(ledger, spool=tmp_path / "decisions.spool", group_ms=50) as writer:
        good = [a_decision() for _ in range(6)]
        receipts = [writer.submit(one) for one in (*good[:3], a_decision(latency_ms=2**40), *good[3:])]
        for place, receipt in enumerate(receipts):
            if place == 3:
                with pytest.raises(Exception, match="cannot be kept"):
                    receipt.result(timeout=10)
            else:
                receipt.result(timeout=10)
    assert not (tmp_path / "decisions.spool").exists()


def test_a_database_of_somebody_else_is_refused(server: Server) -> None:
    url = server.database("somebody_else")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE invoices (id integer)")
    with pytest.raises(NotALedgerError, match="invoices"):
        open_ledger(url)


def test_requests_at_once_set_aside_no_more_than_a_budget_has(ledger: Ledger) -> None:
    budget = Budget(max_budget=1.0, mode="block")
    held: list[bool] = []

    def work() -> None:
        budgets = Budgets(ledger)
        held.extend(bool(budgets.reserve_now([budget], 50_000_000, 1_700_000_000_000).held) for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert held.count(True) == 20
    assert Budgets(ledger).spent(budget, 1_700_000_000_000) == (0, 10**9)


def test_an_alert_is_seen_and_taken_on_by_one_alone(server: Server) -> None:
    with open_ledger(server.database("alerts")) as ledger:
        assert take(ledger, "k", 1_000_000)
        assert not take(ledger, "k", 1_000_500)
        assert see(ledger, "k", who="ada", sentence="S", at_ms=7)
        assert not see(ledger, "k", who="bob", sentence="S", at_ms=9)
        assert not take(ledger, "k", 9_000_000)
        assert (notices(ledger)["k"].seen_by, notices(ledger)["k"].sent_at_ms) == ("ada", None)
        assert unsee(ledger, "k", who="bob", sentence="S")
        assert take(ledger, "k", 9_000_000)
