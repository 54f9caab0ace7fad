"""Importing into PostgreSQL, and exporting from it, gives what SQLite gives."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from imports import as_csv, as_lines, everything, load, spend_log

pytest.importorskip("psycopg")

from test_import_reports import cost, page, used
from test_import_tools import evaluation, generation_span, helicone, resource_spans
from test_ledger_postgres import Server, server

from router_core.exchange.export import export
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger

__all__ = ["server"]

FILES = (
    as_csv([*(spend_log(number) for number in range(200)), spend_log(7, spend="bad")]),
    as_lines([spend_log(1, metadata={"user_api_key_team_alias": "a\x00b\ud800"}), spend_log(900, status="failure")]),
    as_lines([helicone(scores={"helpfulness": 90}, feedback_rating=True)]),
    as_lines([resource_spans(generation_span(1)), evaluation(f"{1:016x}", 0.7), evaluation(f"{2:016x}", 0.7)]),
    page(used(), used(batch=True)),
    page(cost(1.25), cost(1.25), cost(2.5, line_item="o3, output_tokens")),
    page(cost(3.0), cost(1.25)),
)


def imported(ledger: Ledger) -> list[dict[str, Any]]:
    reports = [load(ledger, content) for _ in range(2) for content in FILES]
    plain = [report.plain() for report in reports]
    for one in plain:
        one.pop("seconds")
    return plain


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata"])
def test_both_databases_hold_the_same_after_the_same_imports(server: Server, zone: str, tmp_path: Path) -> None:
    url = server.database(f"import_{zone.partition('/')[2].lower() or 'utc'}")
    with open_ledger(tmp_path / "ledger.db", timezone=zone) as ours, open_ledger(url, timezone=zone) as theirs:
        assert imported(ours) == imported(theirs)
        assert json.dumps(everything(ours), default=str) == json.dumps(everything(theirs), default=str)


@pytest.mark.parametrize("format", ["csv", "jsonl", "otlp", "focus"])
def test_both_databases_export_the_same_bytes(server: Server, format: str, new_ledger: Path, tmp_path: Path) -> None:
    shutil.copy(new_ledger, tmp_path / "ledger.db")
    with open_ledger(tmp_path / "ledger.db") as ours, open_ledger(server.database(f"export_{format}")) as theirs:
        for ledger in (ours, theirs):
            load(ledger, FILES[0])
            refresh(ledger)
        days = {"since": date(2026, 11, 20), "until": date(2026, 11, 20)}
        first = export(ours, format, tmp_path / "ours", **days)
        second = export(theirs, format, tmp_path / "theirs", **days)
        assert first.rows
        assert first.sha256 == second.sha256
