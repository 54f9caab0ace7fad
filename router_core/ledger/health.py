"""How the ledger is: what it weighs, what still waits to be kept or summed, and what people did with it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import sqlalchemy as sa

from router_core.ledger.days import date_of, id_time_ms
from router_core.ledger.store import Ledger
from router_core.ledger.writer import default_spool

_COUNTED_BYTES = 64 * 2**20  # of a spool, so that looking at it stays quick


@dataclass(frozen=True, slots=True)
class Storage:
    """Bytes on disk: of the database, and of its journal that is not merged yet.

    ``bytes`` is None where the database does not tell. ``spool`` is the file that keeps decisions while the database
    is away, None where the ledger is no file and only its gateways know; ``spooled`` counts the decisions in it, None
    where it is too long to count; ``aside_bytes`` is what could never be kept.
    """

    bytes: int | None
    journal_bytes: int
    spool: Path | None
    spool_bytes: int
    spooled: int | None
    aside_bytes: int


@dataclass(frozen=True, slots=True)
class Freshness:
    """When the newest decision was made (UTC epoch milliseconds, None: there is none), the days whose cells are older
    than their rows, and the last day that has cells."""

    newest_ms: int | None
    dirty: tuple[date, ...]
    summed_until: date | None


@dataclass(frozen=True, slots=True)
class Event:
    """Who did what, and when (UTC epoch milliseconds)."""

    id: int
    at_ms: int
    who: str
    what: str
    detail: str


def storage(ledger: Ledger) -> Storage:
    """Return what the ledger weighs; raises ``LedgerError`` where the database cannot be asked."""
    url = ledger.engine.url
    if url.get_backend_name() != "sqlite":
        with ledger.reading() as connection:
            weight = connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar()
        return Storage(None if weight is None else int(weight), 0, None, 0, 0, 0)
    spool = default_spool(ledger)
    weight = _weight(spool)
    return Storage(
        bytes=_weight(Path(str(url.database))),
        journal_bytes=_weight(Path(f"{url.database}-wal")),
        spool=spool,
        spool_bytes=weight,
        spooled=_lines(spool) if weight <= _COUNTED_BYTES else None,
        aside_bytes=_weight(spool.with_name(f"{spool.name}.rejected")),
    )


def freshness(ledger: Ledger) -> Freshness:
    """Return how far the cells are behind the rows; reads no more than one decision."""
    with ledger.reading() as connection:
        newest = connection.exec_driver_sql("SELECT id FROM decision ORDER BY id DESC LIMIT 1").scalar()
        dirty: Sequence[int] = connection.exec_driver_sql("SELECT day FROM dirty_day ORDER BY day").scalars().all()
        last = connection.exec_driver_sql("SELECT MAX(day) FROM spend_cell").scalar()
    return Freshness(
        newest_ms=None if newest is None else id_time_ms(bytes(newest)),
        dirty=tuple(map(date_of, dirty)),
        summed_until=None if last is None else date_of(last),
    )


def events(ledger: Ledger, *, before: int | None = None, size: int = 50) -> list[Event]:
    """Return the newest events, or those just before one of that id."""
    older = "" if before is None else "WHERE id < :before "
    query = sa.text(f"SELECT id, at_ms, who, what, detail FROM event {older}ORDER BY id DESC LIMIT :size")
    with ledger.reading() as connection:
        rows = connection.execute(query, {"size": size} | ({} if before is None else {"before": before}))
        return [Event(**row) for row in rows.mappings()]


def _weight(path: Path) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _lines(path: Path) -> int:
    try:
        with path.open("rb") as file:
            return sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b""))
    except OSError:
        return 0
