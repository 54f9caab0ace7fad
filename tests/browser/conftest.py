"""Ledgers, dashboards and a browser for the browser tests; they are skipped where there is no Chromium."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import running
from playwright.sync_api import Browser, BrowserContext
from running import Tab


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium, started once a file: while its client lives, no other event loop can start in this thread."""
    if not Path(running.CHROMIUM).exists():
        pytest.skip("no Chromium here: install it (Debian: apt-get install chromium) to run the browser tests")
    with running.chromium() as started:
        yield started


@pytest.fixture(scope="session")
def demo_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo ledger, made once; copy it before you write to it."""
    path = tmp_path_factory.mktemp("demo") / "demo.db"
    running.tierwise("demo", "--db", str(path), "--decisions", "12000", "--days", "21", "--seed", "7")
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path


@pytest.fixture(scope="session")
def demo(demo_ledger: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a dashboard over a demo ledger of its own, and that ledger."""
    path = tmp_path_factory.mktemp("shown") / "tierwise.db"
    shutil.copy(demo_ledger, path)
    with running.dashboard(path) as address:
        yield address, path


@pytest.fixture(scope="module")
def looks(browser: Browser) -> Callable[..., BrowserContext]:
    """The looks asked for, each made once."""
    return cache(lambda theme, size: running.look(browser, theme, size))


@pytest.fixture
def tab(looks: Callable[..., BrowserContext]) -> Iterator[Callable[..., Tab]]:
    """Open tabs; at the end, none may have reported an error or asked an outside host."""
    tabs: list[Tab] = []

    def opened(address: str, theme: str = "light", size: tuple[int, int] = (1440, 900)) -> Tab:
        tabs.append(Tab(looks(theme, size), address))
        return tabs[-1]

    yield opened
    for each in tabs:
        each.close()
    assert [wrong for each in tabs for wrong in each.wrong] == []
