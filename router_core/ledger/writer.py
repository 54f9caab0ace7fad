"""The one writer of a running process: commits decisions in groups, and spools them while the database is away."""

from __future__ import annotations

import asyncio
import atexit
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal

from router_core.decision import RoutingDecision
from router_core.errors import LedgerError, LedgerFullError
from router_core.ledger.connect import is_away, shown
from router_core.ledger.groups import Group, Receipt
from router_core.ledger.link import Link
from router_core.ledger.shortcut import Shortcut
from router_core.ledger.spool import Spool
from router_core.ledger.store import Ledger

_log = logging.getLogger(__name__)

_LARGEST_GROUP = 2_000
_CROWDED = 500  # so many waiting need no pause to make a group
_FEW = 128  # so many an event loop may commit itself
_PATIENCE_MS = 1_000  # for a lock, while decisions wait for us
_PATIENCE_AWAY_MS = 20  # for a lock, while decisions go to the spool
_RETRY_S = 0.25
_PATIENCE_FULL_S = 2.0  # for room on the disk, before callers are told that there is none


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

    What one turn of an event loop records in SQLite, where that is not much, is committed by the loop itself, which
    takes less than waking a thread and being woken by it. Whatever stands in its way is the thread's to deal with.

    A decision is acknowledged when it is committed, or, while the database is locked or gone, when it is on the disk
    in the spool; the spool is replayed when the database is back, and when a writer starts. Where neither takes it, as
    on a full disk, it is refused after two seconds, and others at once until there is room. With ``durability``
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
        self._groups: deque[Group] = deque()  # the last one still takes decisions
        self._queued = 0
        self._door = threading.Lock()
        self._bell: SimpleQueue[None] = SimpleQueue()  # rung by the first to wait
        self._closed = False
        self._stats = WriterStats()
        power = durability == "power"
        self._link = Link(ledger, settings=("synchronous=FULL",) if power else (), patience_ms=_PATIENCE_MS)
        # A loop must not wait for the disk.
        self._shortcut = None if power or ledger.engine.dialect.name != "sqlite" else Shortcut(ledger)
        self._retry_at = 0.0
        self._full_since: float | None = None
        self._why_full = ""
        self._thread = threading.Thread(target=self._run, name="ledger-writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def submit(self, decision: RoutingDecision) -> Receipt:
        """Hand a decision over, from any thread, and return a receipt to wait on; never waits itself.

        Raises ``LedgerFullError`` where the queue is full, ``LedgerError`` after ``close``.
        """
        with self._door:
            group = self._open_group()
            receipt = Receipt(group.done)
            group.decisions.append(decision)
            group.waiting.append(receipt)
            return receipt

    async def record(self, decision: RoutingDecision) -> None:
        """Return once the decision is durable; raises what ``submit`` and its receipt raise."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._door:
            group = self._open_group(loop if self._shortcut is not None and not self._stats.away else None)
            group.decisions.append(decision)
            group.waiting.append(future)
        await future

    def stats(self) -> WriterStats:
        """Return what was done so far."""
        now, here = self._stats, self._shortcut
        if here is not None:
            now = replace(now, committed=now.committed + here.committed, groups=now.groups + here.groups)
        return replace(now, queued=self._queued, spool_bytes=self._spool.size)

    def close(self) -> None:
        """Make everything submitted durable, then stop; further decisions are refused."""
        if self._shortcut is not None:
            self._shortcut.close()  # first: what it cannot commit any more is the thread's
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

    def _open_group(self, loop: asyncio.AbstractEventLoop | None = None) -> Group:
        """Return the group that takes the next decision, counting it, and see to it that it is committed.

        By ``loop``, the running one, where one is given. Call with the door locked.
        """
        if self._closed:
            raise LedgerError("the ledger's writer is closed, so the decision was not recorded")
        if self._queued >= self._max_queue:
            raise LedgerFullError(
                f"{self._queued} decisions are waiting for the ledger {shown(self._ledger.engine.url)} already, "
                "so this one was refused; look at its disk and at who holds it"
            )
        self._queued += 1
        groups = self._groups
        if groups and len(groups[-1].decisions) < _LARGEST_GROUP:
            group = groups[-1]
            if group.loop is not None and group.loop is not loop:  # nobody else's concern, whether that loop goes on
                group.loop = None
                self._bell.put(None)
            return group
        group = Group(loop)
        groups.append(group)
        if loop is not None:
            loop.call_soon(self._commit_here)
        elif len(groups) == 1:
            self._bell.put(None)
        return group

    def _commit_here(self) -> None:
        """Commit, on the event loop, what this turn of it has recorded; or leave it to the thread."""
        shortcut = self._shortcut
        assert shortcut is not None  # it was asked for
        if shortcut.door.acquire(blocking=False):
            try:
                with self._door:
                    group = self._groups.popleft() if self._suits_here() else None
                if group is not None:
                    if shortcut.write(group.decisions):
                        self._queued_less(group)
                        group.settle({})
                        if shortcut.long:
                            self._bell.put(None)
                        return
                    with self._door:
                        group.loop = None
                        self._groups.appendleft(group)
            finally:
                shortcut.door.release()
        self._bell.put(None)

    def _suits_here(self) -> bool:
        groups = self._groups
        return len(groups) == 1 and len(groups[0].decisions) <= _FEW and not self._stats.away

    def _queued_less(self, group: Group) -> None:
        with self._door:
            self._queued -= len(group.decisions)

    def _run(self) -> None:
        self._replay()
        crowded = False
        while not (self._closed and not self._groups):
            group = self._next_group(pause=crowded)
            if group is None:
                self._checkpoint()
                self._replay()
                continue
            crowded = len(group.decisions) > 1
            while not self._keep(group):
                if self._closed or self._is_full():
                    self._refuse(group)
                    break
                time.sleep(_RETRY_S)
            else:
                if self._full_since is not None:
                    self._full_since = None
                    _log.warning("there is room for decisions again")
            self._replay()
        self._link.close()

    def _next_group(self, *, pause: bool) -> Group | None:
        """Wait for decisions; returns None where there are none after all, so that other work is done."""
        if not self._groups and not self._closed:
            with suppress(Empty):
                self._bell.get(timeout=_RETRY_S if self._stats.away else None)
        if pause and self._queued < _CROWDED and not self._closed:
            time.sleep(self._group_s)
        with self._door:
            if not self._groups:
                return None
            group = self._groups.popleft()
            self._queued -= len(group.decisions)
            return group

    def _keep(self, group: Group) -> bool:
        """Commit or spool a group and acknowledge it; returns False where there is no room anywhere for all of it."""
        if not self._stats.away:
            try:
                self._commit(group)
                return True
            except LedgerError as error:
                self._went_away(error)
        try:
            added = self._spool.append(group.decisions[group.kept :])
        except OSError as error:
            self._why_full = f"the spool cannot be written: {error.strerror}"
            added = 0
        else:
            self._why_full = f"the spool holds {self._spool.max_bytes:,} bytes already"
        group.kept += added
        self._count(spooled=added)
        if group.kept == len(group.decisions):
            group.settle({})
            return True
        self._replay()  # the last way out: perhaps the database is back
        return not self._stats.away and self._keep(group)

    def _commit(self, group: Group) -> None:
        decisions = group.decisions[group.kept :]
        refused = {id(decision): error for decision, error in self._write(decisions)}
        group.settle(refused)
        self._count(committed=len(decisions) - len(refused), groups=1, rejected=len(refused))

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

    def _checkpoint(self) -> None:
        """Bring what event loops have committed into the file, so that none of them ever has to."""
        if self._shortcut is not None and self._shortcut.long:
            self._shortcut.long = False
            with suppress(LedgerError, sqlite3.Error):  # whatever it is, the next commit meets it again
                self._link.checkpoint()

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
            if self._stats.away and self._full_since is None:
                _log.warning("the ledger %s is back; %d decisions came from the spool", self._ledger.url, lines)
            self._stats = replace(self._stats, away=False, replayed=self._stats.replayed + lines)
            self._link.patience(_PATIENCE_MS)

    def _went_away(self, error: LedgerError) -> None:
        if not self._stats.away and self._full_since is None:
            _log.warning("%s; decisions are kept in %s until it is back", error, self._spool.path)
        self._stats = replace(self._stats, away=True)
        self._retry_at = time.monotonic() + _RETRY_S
        self._link.leave()
        self._link.patience(_PATIENCE_AWAY_MS)

    def _is_full(self) -> bool:
        """Return whether there has been no room for so long that nobody should wait for it any more."""
        now = time.monotonic()
        if self._full_since is None:
            self._full_since = now
            _log.warning("%s; decisions are refused until there is room", self._why_full)
        return now - self._full_since >= _PATIENCE_FULL_S

    def _refuse(self, group: Group) -> None:
        refused = group.decisions[group.kept :]
        error = LedgerFullError(
            f"neither the ledger {shown(self._ledger.engine.url)} nor its spool {str(self._spool.path)!r} could take "
            f"the decision ({self._why_full}); make room on their disk"
        )
        group.settle({id(decision): error for decision in refused})
        self._count(rejected=len(refused))

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
