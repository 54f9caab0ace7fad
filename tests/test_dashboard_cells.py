"""Monitor pages read sums, never the rows behind them: a view of ten million requests costs what one of ten does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apps
import pytest
import sqlalchemy as sa
from apps import opened

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app
ROWS = re.compile(r"\b(?:FROM|JOIN)\s+(decision|attempt|quality_label|captured_prompt)\b", re.IGNORECASE)


@contextmanager
def asked() -> Iterator[list[str]]:
    """Every statement that any database is asked meanwhile."""
    statements: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        statements.append(" ".join(statement.split()))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("page", ["overview", "tiers", "quality", "health"])
def test_a_page_asks_for_no_more_rows_than_it_says(page: str, demo_app: Path) -> None:
    with asked() as statements:
        opened(page)
    assert any("spend_cell" in statement for statement in statements)
    for statement in statements:
        if ROWS.search(statement):
            assert "LIMIT" in statement.upper(), statement


@pytest.mark.parametrize("page", ["overview", "tiers", "quality"])
def test_a_second_look_asks_only_whether_anything_changed(page: str, demo_app: Path) -> None:
    opened(page)
    with asked() as statements:
        opened(page)
    assert not [statement for statement in statements if "_cell" in statement], statements
