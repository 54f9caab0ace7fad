"""Shortcut: commits a few decisions into SQLite on an event loop, where nothing stands in the way."""

from __future__ import annotations

import random
import threading
from collections.abc import Sequence
from contextlib import suppress

from router_core.decision import RoutingDecision
from router_core.ledger.bulk import sqlite_inserts
from router_core.ledger.link import Link
from router_core.ledger.rows import ATTEMPT_COLUMNS, DECISION_COLUMNS, rows_of
from router_core.ledger.store import MARK_DIRTY, Ledger

_DAY = DECISION_COLUMNS.index("day")
_LONG = 1_024  # commits after which the log is to be brought into the file, some fifteen megabytes
_MOST_PAGES = 16_384  # of the log, from which a commit does that itself
_NEVER_WAITS_MS = 0


class Shortcut:
    """A connection of its own, which waits for nobody; whoever uses it holds ``door``.

    ``committed`` and ``groups`` count what it did; ``long`` says that the log wants to be brought into the file, which
    waits for the disk and so is somebody else's.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._link = Link(ledger, settings=(f"wal_autocheckpoint={_MOST_PAGES}",), patience_ms=_NEVER_WAITS_MS)
        self._closed = False
        self.door = threading.Lock()
        self.committed = self.groups = 0
        self.long = False

    def write(self, decisions: Sequence[RoutingDecision]) -> bool:
        """Commit decisions together; returns False, having kept none, where anything at all is not as it mostly is."""
        try:
            return not self._closed and self._write(decisions)
        except Exception:  # noqa: BLE001 - whatever it is, the writer's thread meets it again, and deals with it
            return False

    def close(self) -> None:
        """Close the connection; nothing is written here any more."""
        with self.door:
            self._closed = True
            self._link.close()

    def _write(self, decisions: Sequence[RoutingDecision]) -> bool:
        names = self._ledger.dimensions
        driver = self._link.driver()  # first, since it forgets the names where another database has come
        for decision in decisions:
            if decision.quality is not None or not names.knows(decision):
                return False
        rows, attempts = rows_of(decisions, names, self._ledger.days)
        driver.execute("BEGIN IMMEDIATE")
        try:
            for statement, values in sqlite_inserts("decision", DECISION_COLUMNS, rows):
                driver.execute(statement, values)
            for statement, values in sqlite_inserts("attempt", ATTEMPT_COLUMNS, attempts):
                driver.execute(statement, values)
            for day in {row[_DAY] for row in rows}:
                driver.execute(MARK_DIRTY, {"day": day, "generation": random.getrandbits(62)})
            driver.execute("COMMIT")
        except BaseException:
            with suppress(Exception):
                driver.execute("ROLLBACK")
            raise
        self.committed += len(decisions)
        self.groups += 1
        if self.groups % _LONG == 0:
            self.long = True
        return True
