"""The connection over which a running process writes: held open, watched, and made anew when the database returns."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy.engine import Connection

from router_core.decision import RoutingDecision
from router_core.ledger.connect import GoneError, explained, shown
from router_core.ledger.rows import rows_of
from router_core.ledger.store import Ledger, insert_rows


class Link:
    """One writer's connection, opened anew after the database was away; used by one at a time.

    ``settings`` are pragmas of a SQLite connection.
    """

    def __init__(self, ledger: Ledger, *, settings: Sequence[str] = (), patience_ms: int) -> None:
        self._ledger = ledger
        self._settings = settings
        self._connection: Connection | None = None
        self._patience_ms = patience_ms
        self._file: tuple[int, int] | None = None

    def write(self, decisions: Sequence[RoutingDecision]) -> None:
        """Commit decisions in one transaction."""
        connection = self.reach()  # first, since looking names up would make an empty file of a missing one
        rows, attempts = rows_of(decisions, self._ledger.dimensions, self._ledger.days)
        with explained(self._ledger.engine.url), connection.begin():
            insert_rows(connection, rows, attempts, self._ledger.partitions)

    def reach(self) -> Connection:
        """Return the connection, opening it where there is none; raises ``LedgerError`` where that fails."""
        engine = self._ledger.engine
        sqlite = engine.dialect.name == "sqlite"
        if sqlite and self._identity() != self._file:
            # Deleted, or another put in its place: what we would write to the old one nobody could find.
            self.leave()
            if (found := self._identity()) is None:
                raise GoneError(f"the ledger {shown(engine.url)} is gone")
            self._file = found
        if self._connection is None:
            with explained(engine.url):
                self._connection = engine.connect().execution_options(ledger_begin="BEGIN IMMEDIATE")
                for setting in self._settings if sqlite else ():
                    self._pragma(setting)
            self.patience(self._patience_ms)
        return self._connection

    def driver(self) -> sqlite3.Connection:
        """Return SQLite's own connection, as ``reach`` does."""
        driver = self.reach().connection.dbapi_connection
        assert isinstance(driver, sqlite3.Connection)
        return driver

    def checkpoint(self) -> None:
        """Bring what is in a SQLite ledger's log into its file, without making anybody wait."""
        if self._ledger.engine.dialect.name == "sqlite":
            self.reach()
            self._pragma("wal_checkpoint(PASSIVE)")

    def patience(self, ms: int) -> None:
        """Wait at most so long for a lock from now on."""
        self._patience_ms = ms
        if self._connection is not None and self._ledger.engine.dialect.name == "sqlite":
            self._pragma(f"busy_timeout={ms}")

    def leave(self) -> None:
        """Forget the connection, and what was known of a database that may come back as another one."""
        self.close()
        self._ledger.engine.dispose()
        self._ledger.dimensions.forget()
        self._ledger.partitions.forget()

    def close(self) -> None:
        """Close the connection; its settings are ours alone, so it does not go back to the others."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(Exception):
                connection.invalidate()
            connection.close()

    def _pragma(self, setting: str) -> None:
        assert self._connection is not None
        driver = self._connection.connection.dbapi_connection
        assert driver is not None
        driver.execute(f"PRAGMA {setting}")

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._ledger.engine.url.database or "")
        except OSError:
            return None
        return found.st_dev, found.st_ino
