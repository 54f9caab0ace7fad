"""SqliteAnswers: cached answers in a SQLite file of their own, bounded in size, which may be deleted at any time."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from router_core.ledger.store import Ledger
from router_core.serving.cache import CANDIDATES

_T = TypeVar("_T")

_TABLES = """
CREATE TABLE IF NOT EXISTS answer (
    key BLOB PRIMARY KEY, expires_at REAL NOT NULL, kept_at REAL NOT NULL, bytes INTEGER NOT NULL,
    answer BLOB NOT NULL, scope BLOB, weights BLOB
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS answer_by_scope ON answer (scope, kept_at) WHERE scope IS NOT NULL;
CREATE INDEX IF NOT EXISTS answer_by_expiry ON answer (expires_at);
CREATE INDEX IF NOT EXISTS answer_by_age ON answer (kept_at, bytes);
"""
_SWEPT_EACH = 64  # so many answers are kept between two looks at the size
_LEFT = 0.9  # of the bound, once the oldest were taken away
_BUSY_S = 0.25  # several gateways may share the file; whoever waits longer does without


class SqliteAnswers:
    """A store for ``AnswerCache``. One thread of its own reads and writes, so the event loop never waits for a disk.

    The bound counts answers and fingerprints; the oldest go first. A file that is damaged, or of another kind, makes
    every look-up fail, which the cache takes for a miss.
    """

    def __init__(self, path: str | Path, *, max_bytes: int, clock: Callable[[], float] = time.time) -> None:
        self._path = str(path)
        self._max_bytes = max_bytes
        self._clock = clock
        self._connection: sqlite3.Connection | None = None
        self._until_sweep = 0
        self._thread = ThreadPoolExecutor(1, "answer-cache")

    async def find(self, key: bytes) -> bytes | None:
        """Return the answer kept under a key."""
        return await self._run(lambda: self._find(key))

    async def near(self, scope: bytes) -> Sequence[tuple[bytes, bytes]]:
        """Return the newest fingerprints of a scope."""
        return await self._run(lambda: self._near(scope))

    async def keep(self, key: bytes, answer: bytes, ttl_s: int, near: tuple[bytes, bytes] | None) -> None:
        """Keep an answer."""
        await self._run(lambda: self._keep(key, answer, ttl_s, near))

    async def close(self) -> None:
        """Close the file."""
        await self._run(self._close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute("PRAGMA synchronous=OFF")  # what a power cut loses here is only asked for again
                connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
                connection.executescript(_TABLES)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _find(self, key: bytes) -> bytes | None:
        found = self._open().execute("SELECT answer FROM answer WHERE key = ? AND expires_at > ?", (key, self._clock()))
        row = found.fetchone()
        return None if row is None else bytes(row[0])

    def _near(self, scope: bytes) -> list[tuple[bytes, bytes]]:
        found = self._open().execute(
            "SELECT key, weights FROM answer WHERE scope = ? AND expires_at > ? ORDER BY kept_at DESC LIMIT ?",
            (scope, self._clock(), CANDIDATES),
        )
        return [(bytes(key), bytes(weights)) for key, weights in found]

    def _keep(self, key: bytes, answer: bytes, ttl_s: int, near: tuple[bytes, bytes] | None) -> None:
        connection, now = self._open(), self._clock()
        scope, weights = near or (None, None)
        size = len(answer) + len(weights or b"")
        if size > self._max_bytes:
            return
        connection.execute(
            "INSERT OR REPLACE INTO answer (key, expires_at, kept_at, bytes, answer, scope, weights) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            (key, now + ttl_s, now, size, answer, scope, weights),
        )
        if self._until_sweep == 0:
            self._sweep(connection, now)
            self._until_sweep = _SWEPT_EACH
        self._until_sweep -= 1

    def _sweep(self, connection: sqlite3.Connection, now: float) -> None:
        connection.execute("DELETE FROM answer WHERE expires_at <= ?", (now,))
        (held,) = connection.execute("SELECT COALESCE(SUM(bytes), 0) FROM answer").fetchone()
        if held > self._max_bytes:
            connection.execute(
                "DELETE FROM answer WHERE key IN (SELECT key FROM (SELECT key, SUM(bytes) OVER "
                "(ORDER BY kept_at, key) AS so_far FROM answer) WHERE so_far <= ?)",
                (held - int(self._max_bytes * _LEFT),),
            )
        connection.execute("PRAGMA incremental_vacuum")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def answers_path(ledger: Ledger) -> Path:
    """Return where a ledger's cached answers are kept: beside a SQLite file, else in the current folder."""
    return Path(f"{ledger.engine.url.database}.cache")
