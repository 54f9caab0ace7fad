"""The one writer of a running process: commits decisions in groups, and spools them while the database is away."""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal

from router_core.decision import RoutingDecision
from router_core.errors import LedgerError, LedgerFullError
from router_core.ledger.connect import is_away, shown
from router_core.ledger.link import Link
from router_core.ledger.spool import Spool
from router_core.ledger.store import Ledger

_log = logging.getLogger(__name__)

_LARGEST_GROUP = 2_000
_CROWDED = 500  # so many waiting need no pause to make a group
_PATIENCE_MS = 1_000  # for a lock, while decisions wait for us
_PATIENCE_AWAY_MS = 20  # for a lock, while decisions go to the spool
_RETRY_S = 0.25

_Waiting = tuple[RoutingDecision, "Future[None] | asyncio.Future[None]", asyncio.AbstractEventLoop | None]


@dataclass(frozen=True, slots=True)
class WriterStats:
    """What a writer has done since it began, in decisions; ``away`` while the database cannot be used."""

    committed: int = 0
    groups: int = 0
    spooled: int = 0
    replayed: int = 0
    rejected: int = 0
    queued: int = 0
    spool_bytes: int = 0
    away: bool = False


class LedgerWriter:
    """Commits what any thread submits, in groups: at once when little is going on, and every ``group_ms`` under load.

    A decision is acknowledged when it is committed, or, while the database is locked or gone, when it is on the disk
    in the spool; the spool is replayed when the database is back, and when a writer starts. With ``durability``
    "process" the death of the process loses nothing that was acknowledged; "power" also waits for the disk each time.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        spool: Path | None = None,
        max_queue: int = 20_000,
        group_ms: float = 4,
        durability: Literal["process", "power"] = "process",
        max_spool_bytes: int = 256 * 2**20,
    ) -> None:
        self._ledger = ledger
        self._spool = Spool(spool or default_spool(ledger), max_spool_bytes)
        self._max_queue = max_queue
        self._group_s = group_ms / 1000
        self._waiting: list[_Waiting] = []
        self._door = threading.Lock()
        self._bell: SimpleQueue[None] = SimpleQueue()  # rung when somebody is the first to wait
        self._closed = False
        self._stats = WriterStats()
        self._link = Link(ledger, power=durability == "power", patience_ms=_PATIENCE_MS)
        self._retry_at = 0.0
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def submit(self, decision: RoutingDecision) -> Future[None]:
        """Hand a decision over and return a future that is done once it is durable; never waits.

        Raises ``LedgerFullError`` where the queue is full, ``LedgerError`` after ``close``. The future carries a
        ``LedgerError`` where the decision can never be kept.
        """
        future: Future[None] = Future()
        self._put((decision, future, None))
        return future

    async def record(self, decision: RoutingDecision) -> None:
        """Return once the decision is durable; raises what ``submit`` and its future raise."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._put((decision, future, loop))
        await future

    def stats(self) -> WriterStats:
        """Return what was done so far."""
        return replace(self._stats, queued=len(self._waiting), spool_bytes=self._spool.size)

    def close(self) -> None:
        """Make everything submitted durable, then stop; further decisions are refused."""
        with self._door:
            if not self._closed:
                self._closed = True
                self._bell.put(None)
        self._thread.join()
        atexit.unregister(self.close)

    def __enter__(self) -> LedgerWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, waiting: _Waiting) -> None:
        with self._door:
            if self._closed:
                raise LedgerError("the ledger's writer is closed, so the decision was not recorded")
            queued = len(self._waiting)
            if queued >= self._max_queue:
                raise LedgerFullError(
                    f"{queued} decisions are waiting for the ledger {shown(self._ledger.engine.url)} already, "
                    "so this one was refused; look at its disk and at who holds it"
                )
            self._waiting.append(waiting)
            if not queued:
                self._bell.put(None)

    def _run(self) -> None:
        self._replay()
        crowded = False
        while True:
            group, last = self._collect(pause=crowded)
            crowded = len(group) > 1
            while group:
                group = self._keep(group)
                if group and self._closed:
                    self._refuse(group)
                    break
                if group:
                    time.sleep(_RETRY_S)
            if last:
                break
            self._replay()
        self._link.close()

    def _collect(self, *, pause: bool) -> tuple[list[_Waiting], bool]:
        """Wait for decisions; returns some, and whether they are the last."""
        with suppress(Empty):
            self._bell.get(timeout=_RETRY_S if self._stats.away else None)
        if pause and len(self._waiting) < _CROWDED and not self._closed:
            time.sleep(self._group_s)
        with self._door:
            group, self._waiting = self._waiting[:_LARGEST_GROUP], self._waiting[_LARGEST_GROUP:]
            if self._waiting:
                self._bell.put(None)
            return group, self._closed and not self._waiting

    def _keep(self, group: list[_Waiting]) -> list[_Waiting]:
        """Commit or spool a group and acknowledge it; returns the part for which there is no room anywhere."""
        if not self._stats.away:
            try:
                self._commit(group)
                return []
            except LedgerError as error:
                self._went_away(error)
        try:
            added = self._spool.append([decision for decision, _, _ in group])
        except OSError as error:
            _log.warning("the spool %s cannot be written: %s", self._spool.path, error.strerror)
            added = 0
        self._count(spooled=added)
        _settle(group[:added], None)
        if added < len(group):
            self._replay()  # the last way out: perhaps the database is back
            if not self._stats.away:
                return self._keep(group[added:])
        return group[added:]

    def _commit(self, group: list[_Waiting]) -> None:
        decisions = [decision for decision, _, _ in group]
        refused = {id(decision): error for decision, error in self._write(decisions)}
        if refused:
            for waiting in group:
                _settle([waiting], refused.get(id(waiting[0])))
        else:
            _settle(group, None)
        self._count(committed=len(group) - len(refused), groups=1, rejected=len(refused))

    def _write(self, decisions: Sequence[RoutingDecision]) -> list[tuple[RoutingDecision, Exception]]:
        """Commit decisions and return those that can never be kept; raises ``LedgerError`` where none could be."""
        try:
            self._link.write(decisions)
            return []
        except LedgerError as error:
            if is_away(error):
                raise
            problem: Exception = error
        except Exception as error:  # noqa: BLE001 - whatever one decision holds must not stop the others
            problem = error
        if len(decisions) == 1:
            text = f"decision {decisions[0].id!r} cannot be kept: {problem}"
            return [(decisions[0], LedgerError(text))]
        return [refused for decision in decisions for refused in self._write([decision])]

    def _replay(self) -> None:
        """Bring what is spooled into the database, where that is possible now."""
        if self._spool.size == 0 and not self._stats.away:
            return
        if time.monotonic() < self._retry_at:
            return
        try:
            if self._stats.away:
                self._link.reach()
            lines = self._spool.replay(self._write)
        except LedgerError as error:
            self._went_away(error)
        except OSError as error:
            _log.warning("the spool %s cannot be read: %s", self._spool.path, error.strerror)
            self._retry_at = time.monotonic() + _RETRY_S
        else:
            if self._stats.away:
                _log.warning("the ledger %s is back; %d decisions came from the spool", self._ledger.url, lines)
            self._stats = replace(self._stats, away=False, replayed=self._stats.replayed + lines)
            self._link.patience(_PATIENCE_MS)

    def _went_away(self, error: LedgerError) -> None:
        if not self._stats.away:
            _log.warning("%s; decisions are kept in %s until it is back", error, self._spool.path)
        self._stats = replace(self._stats, away=True)
        self._retry_at = time.monotonic() + _RETRY_S
        self._link.leave()
        self._link.patience(_PATIENCE_AWAY_MS)

    def _refuse(self, group: list[_Waiting]) -> None:
        self._count(rejected=len(group))
        _settle(group, LedgerFullError(f"neither the ledger {self._ledger.url} nor its spool could take the decision"))

    def _count(self, *, committed: int = 0, groups: int = 0, spooled: int = 0, rejected: int = 0) -> None:
        now = self._stats
        self._stats = replace(
            now,
            committed=now.committed + committed,
            groups=now.groups + groups,
            spooled=now.spooled + spooled,
            rejected=now.rejected + rejected,
        )


def default_spool(ledger: Ledger) -> Path:
    """Return where a ledger's spool is kept unless somebody says otherwise: beside a SQLite file, else here."""
    return Path(f"{ledger.engine.url.database}.spool")


def replay_spool(ledger: Ledger, spool: Path | None = None) -> int:
    """Bring decisions left in a spool into the ledger, as a starting writer does; returns how many lines there were.

    Raises ``LedgerError`` where the ledger cannot be written.
    """
    path = spool or default_spool(ledger)
    if not path.exists() or path.stat().st_size == 0:
        return 0
    writer = LedgerWriter(ledger, spool=path)
    writer.close()
    stats = writer.stats()
    if stats.away:
        raise LedgerError(f"the ledger {ledger.url} cannot be written, so its spool was not replayed")
    return stats.replayed


def _settle(group: Sequence[_Waiting], error: Exception | None) -> None:
    """Tell whoever waits; each event loop is woken once."""
    loops: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for _, future, loop in group:
        if loop is not None:
            assert isinstance(future, asyncio.Future)
            loops.setdefault(loop, []).append(future)
            continue
        try:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
        except InvalidStateError:
            pass  # somebody stopped waiting
    for loop, futures in loops.items():
        with suppress(RuntimeError):  # a loop that is closed has nobody waiting
            loop.call_soon_threadsafe(_settle_here, futures, error)


def _settle_here(futures: Sequence[asyncio.Future[None]], error: Exception | None) -> None:
    for future in futures:
        if not future.done():
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
