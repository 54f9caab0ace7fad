"""Pricing history again gives the same in PostgreSQL as in SQLite, and so does taking it back."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from decisions import traffic

pytest.importorskip("psycopg")

from test_ledger_postgres import Server, server
from test_recost import FIRST, LAST, dearer, everything

from router_core.ledger.recost import recost, undo_recost
from router_core.ledger.store import Ledger, open_ledger

__all__ = ["server"]


def states(ledger: Ledger) -> list[Any]:
    """Return all a ledger holds before a job, after it, and after it was undone."""
    ledger.write_decisions(list(traffic(200)))
    found = [everything(ledger)]
    dearer(ledger)
    result = recost(ledger, FIRST, LAST, author="Ada")
    found += [result.models, everything(ledger)]
    assert result.job is not None
    undo_recost(ledger, result.job, author="Ada")
    return [*found, everything(ledger)]


def test_both_databases_hold_the_same_before_after_and_undone(server: Server, new_ledger: Path, tmp_path: Path) -> None:
    shutil.copy(new_ledger, tmp_path / "ledger.db")
    with open_ledger(tmp_path / "ledger.db") as ours, open_ledger(server.database("recost")) as theirs:
        here, there = states(ours), states(theirs)
    assert [sorted(map(str, one)) for one in here[1:2]] == [sorted(map(str, one)) for one in there[1:2]]
    for mine, other in zip((here[0], here[2], here[3]), (there[0], there[2], there[3]), strict=True):
        assert [(one.decided_at_ms, one.attempts) for one in mine[0]] == [
            (one.decided_at_ms, one.attempts) for one in other[0]
        ]
        assert mine[1:] == other[1:]
    assert here[3] == here[0] != here[2]
    assert there[3] == there[0] != there[2]
