"""The dashboard run in this process over a ledger of the test's own: fixtures and a few ways to read a page.

A file of tests takes the fixtures it needs by naming them: ``empty_app = apps.empty_app``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

APP = Path(__file__).parent.parent / "dashboard" / "app.py"
NOW_MS = 1_795_000_000_000  # 18 November 2026


@pytest.fixture(scope="session")
def demo_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small demo ledger, made once for all files of tests; it is never written to."""
    from router_core.demo import fill
    from router_core.ledger.rollup import refresh
    from router_core.ledger.store import open_ledger

    path = tmp_path_factory.getbasetemp() / "demo_app.db"
    if path.exists():
        return path
    with open_ledger(path) as ledger:
        fill(ledger, decisions=8_000, days=24, seed=3, now_ms=NOW_MS)
        refresh(ledger)
    return path


@pytest.fixture
def empty_app(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, new_ledger: Path) -> Iterator[Path]:
    """The path of a new ledger that the app reads; caches are empty at the start."""
    path = copied(new_ledger, tmp_path / "ledger.db")
    monkeypatch.setenv("TIERWISE_DB", str(path))
    st.cache_data.clear()
    st.cache_resource.clear()
    yield path
    st.cache_resource.clear()


@pytest.fixture
def demo_app(empty_app: Path, demo_source: Path) -> Path:
    """The path of a demo ledger of the test's own that the app reads."""
    empty_app.unlink()
    return copied(demo_source, empty_app)


def copied(source: Path, target: Path) -> Path:
    """Copy a ledger as it is committed, whatever stands in its journal."""
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)
    old.close()
    new.close()
    return target


def opened(page: str, **query: str) -> AppTest:
    """Open a page by its file's name, as a link with these parameters does; it may not have failed."""
    app = AppTest.from_file(str(APP), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    if page != "overview":
        app.switch_page(f"app_pages/{page}.py")
    return checked(app.run())


def checked(app: AppTest) -> AppTest:
    """Return the app, which shows no error."""
    assert not app.exception, [error.value for error in app.exception]
    assert not app.error
    return app


def words(app: AppTest) -> str:
    """Return what a page says, apart from its figures and tables."""
    texts = [*app.title, *app.markdown, *app.caption, *app.warning]
    return "\n".join(str(text.value) for text in texts)


def figures(app: AppTest) -> dict[str, str]:
    """Return the row of figures by their labels."""
    return {metric.label: metric.value for metric in app.metric}


def rows(source: Path, query: str) -> list[tuple[object, ...]]:
    """Ask a ledger's file directly."""
    with sqlite3.connect(source) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found
