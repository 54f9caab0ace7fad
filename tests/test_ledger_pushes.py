"""A gateway on a ledger in PostgreSQL hears of a push at once, from whichever process, and asks nobody meanwhile."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("psycopg")

import psycopg
from gateways import TIERWISE, write_config
from test_ledger_postgres import Server, server
from upstream import upstream

from router_core.config import RoutingConfig, default_config, load_config, set_values
from router_core.ledger.store import Ledger, open_ledger
from router_core.lifecycle import versions
from router_core.lifecycle.versions import ConfigWatch

__all__ = ["server"]

_PUSH = """
import sys
from router_core.config import default_config, set_values
from router_core.ledger.store import open_ledger
from router_core.lifecycle.versions import push
with open_ledger(sys.argv[1]) as ledger:
    push(ledger, set_values(default_config(), ["boundaries.COMPLEX=70"]), author="ada", note="cheaper")
"""


@pytest.fixture
def url(server: Server, request: pytest.FixtureRequest) -> str:
    return server.database(f"w{abs(hash(request.node.name))}")


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    with open_ledger(url) as opened:
        yield opened


def moved(complex_from: int) -> RoutingConfig:
    return set_values(default_config(), [f"boundaries.COMPLEX={complex_from}"])


def wait_for(condition: Callable[[], bool], seconds: float) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, "it did not happen in time"
        time.sleep(0.01)
    return time.monotonic() - began


def listening(url: str) -> list[tuple[Any, ...]]:
    """What the server says of connections that listen: their last statement, and since when they are idle."""
    with psycopg.connect(url) as connection:
        found = connection.execute(
            "SELECT query, state, state_change FROM pg_stat_activity "
            "WHERE query LIKE 'LISTEN%' AND datname = current_database()"
        )
        return list(found.fetchall())


def test_a_push_by_another_process_is_heard_within_a_second_without_asking(ledger: Ledger, url: str) -> None:
    with ConfigWatch(ledger) as watch:
        wait_for(lambda: bool(listening(url)), 5)
        before = listening(url)
        time.sleep(1.5)
        assert listening(url) == before  # the server has not heard from it since
        assert [state for _, state, _ in before] == ["idle"]
        subprocess.run([sys.executable, "-c", _PUSH, url], check=True)
        assert wait_for(lambda: watch.current[0] == 2, 1) < 1
        assert watch.current[1] == moved(70)
        assert watch.problem is None


def test_a_push_while_the_watch_begins_to_listen_is_not_missed(ledger: Ledger) -> None:
    for number in range(2, 7):
        with ConfigWatch(ledger) as watch:
            versions.push(ledger, moved(70 + number), author="ada", note="")
            wait_for(lambda number=number: watch.current[0] == number, 1)  # type: ignore[misc]


def test_after_the_server_was_away_pushes_are_heard_again(server: Server, ledger: Ledger, url: str) -> None:
    with ConfigWatch(ledger) as watch:
        wait_for(lambda: bool(listening(url)), 5)
        server.stop()
        try:
            wait_for(lambda: watch.problem is not None, 5)
            assert watch.current[0] == 1
        finally:
            server.start()
        wait_for(lambda: watch.problem is None, 5)
        versions.push(ledger, moved(70), author="ada", note="")
        wait_for(lambda: watch.current[0] == 2, 1)


@contextmanager
def gateway(url: str, config: Path, folder: Path) -> Iterator[str]:
    """A gateway of its own, with its own folder for what it spools; yields its address."""
    folder.mkdir()
    command = [str(TIERWISE), "serve", "--db", url, "--port", "0", "--json", "--config", str(config)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, cwd=folder, env={**os.environ, "UP_KEY": "k"}
        )
        try:
            assert process.stdout is not None
            said = ""
            for line in process.stdout:
                said += line
                if line.startswith("}"):
                    break
            assert said, (folder / "log").read_text()
            yield json.loads(said)["url"]
        finally:
            process.terminate()
            process.wait(timeout=30)
            assert process.stdout is not None
            process.stdout.close()


def test_two_gateways_on_one_ledger_both_serve_what_a_third_process_pushed(url: str, tmp_path: Path) -> None:
    body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}

    def served(address: str) -> tuple[str, str]:
        answer = client.post(f"{address}/v1/chat/completions", json=body)
        assert answer.status_code == 200, answer.text
        return answer.headers["x-tierwise-version"], answer.headers["x-tierwise-tier"]

    with upstream() as up, ExitStack() as stack, httpx.Client(timeout=20) as client:
        config = write_config(tmp_path / "config.yaml", up, {"cheap": "ok", "strong": "ok"})
        both = [stack.enter_context(gateway(url, config, tmp_path / name)) for name in ("first", "second")]
        assert [served(one) for one in both] == [("1", "SIMPLE")] * 2
        with open_ledger(url) as ledger:
            versions.push(
                ledger, set_values(load_config(config), ["boundaries.STRONG=0"]), author="ada", note="all strong"
            )
        time.sleep(1)
        assert [served(one) for one in both] == [("2", "STRONG")] * 2
        with open_ledger(url) as ledger, ledger.reading() as connection:
            kept = connection.exec_driver_sql(
                "SELECT config_version, COUNT(*) FROM decision GROUP BY 1 ORDER BY 1"
            ).all()
        assert [tuple(row) for row in kept] == [(1, 2), (2, 2)]
