"""The archive: whole days of rows as Parquet, written so that a day is there entirely or not at all; then pruned."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.errors import InputError, LedgerError, LedgerLockedError
from router_core.ledger.archive_days import archived, figures
from router_core.ledger.days import date_of
from router_core.ledger.manifest import MANIFEST, ArchivedDay, File, Manifest, digest, read_manifest, sync_folder
from router_core.ledger.parts import ATTEMPTS, DECISIONS, LABELS, PARTS, Names, Part, with_names, write_parquet
from router_core.ledger.price_rows import prices_by_id
from router_core.ledger.rollup import days_with_rows, pruned_days, refresh
from router_core.ledger.snapshot import ByDriver, Snapshot
from router_core.ledger.store import Ledger

_COUNTED = {DECISIONS: "decisions", ATTEMPTS: "attempts", LABELS: "labels"}  # the figures that count a part's rows
_PRUNED_AT_ONCE = 5_000  # decisions a transaction, so that writers wait for moments only

_KEEP = sa.text(
    "INSERT INTO archived_day (day, folder, archived_at_ms, pruned) VALUES (:day, :folder, :at, 0) "
    "ON CONFLICT (day) DO UPDATE SET folder = excluded.folder, archived_at_ms = excluded.archived_at_ms"
)
_PRUNE = sa.text("UPDATE archived_day SET pruned = 1 WHERE day = :day")
_IS_DIRTY = sa.text("SELECT 1 FROM dirty_day WHERE day = :day")
_NEXT = sa.text("SELECT id FROM decision WHERE id >= :low AND id < :high ORDER BY id LIMIT 1 OFFSET :ahead")
_USED_PRICES = sa.text("SELECT DISTINCT price_id FROM evidence_cell WHERE day = :day AND price_id > 0")


@dataclass(frozen=True, slots=True)
class ArchiveReport:
    """What was done: days written, those found there as they are, and days whose rows left the ledger.

    ``decisions``, ``attempts`` and ``bytes`` are of the days written. ``waiting`` are days whose archive lacks a part.
    """

    written: int
    unchanged: int
    pruned: int
    decisions: int
    attempts: int
    bytes: int
    waiting: tuple[tuple[date, str], ...]


def archive(
    ledger: Ledger,
    folder: Path,
    *,
    before: date,
    prune: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ArchiveReport:
    """Keep every day before ``before`` as Parquet in a folder; with ``prune`` then take its rows out of the ledger.

    Days the archive holds already are written again only where their rows changed. Cells are brought up to date first
    and stay. Calls ``progress(days done, days in all)``. Raises ``InputError`` where the folder cannot be used or a
    part of a day to be pruned is missing or damaged, and ``LedgerError`` where the database fails.
    """
    waiting = refresh(ledger).waiting
    until = (before - date(1970, 1, 1)).days
    with _alone(folder):
        manifest = _manifest(ledger, folder)
        _sweep(manifest)
        with ledger.reading() as connection:
            gone = pruned_days(connection)
            days = [day for day in days_with_rows(connection, ledger.days) if day < until]
        names = {kind: ledger.dimension_names(kind) for part in PARTS for kind in part.kinds.values()}
        written = unchanged = pruned = decisions = attempts = weight = 0
        for done, day in enumerate(days):
            if progress is not None:
                progress(done, len(days))
            if day not in gone:
                if _write_day(ledger, manifest, day, names):
                    one = manifest.days[day]
                    written += 1
                    decisions += one.figures["decisions"]
                    attempts += one.figures["attempts"]
                    weight += sum(file.bytes for file in one.files.values())
                else:
                    unchanged += 1
            if prune:
                pruned += _prune_day(ledger, gone.get(day, folder), day)
        if progress is not None:
            progress(len(days), len(days))
    return ArchiveReport(written, unchanged, pruned, decisions, attempts, weight, waiting)


def _manifest(ledger: Ledger, folder: Path) -> Manifest:
    if not (folder / MANIFEST).exists():
        return Manifest(folder, ledger.zone.key)
    manifest = read_manifest(folder)
    if manifest.timezone != ledger.zone.key:
        raise InputError(
            f"the archive there counts its days in {manifest.timezone}, this ledger in {ledger.zone.key}; "
            "give another folder",
            source=str(folder),
        )
    return manifest


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the folder, making it where it is not there yet, and say in one sentence why files cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ".lock").open("w") as lock:
            if sys.platform != "win32":
                import fcntl

                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise InputError(
                        "another process is writing this archive; try again when that is done", source=str(folder)
                    ) from None
            yield
    except FileExistsError:
        raise InputError("this is a file; give a folder for the archive", source=str(folder)) from None
    except OSError as error:
        raise InputError(f"the archive cannot be written: {error.strerror}", source=str(folder)) from None


def _sweep(manifest: Manifest) -> None:
    """Take away what a killed run left: files that the manifest does not name."""
    named = {file.path for day in manifest.days.values() for file in day.files.values()}
    for part in PARTS:
        for path in (manifest.folder / part.table).glob("date=*/*parquet*"):
            if path.relative_to(manifest.folder).as_posix() not in named:
                path.unlink()


def _write_day(ledger: Ledger, manifest: Manifest, day: int, names: Names) -> bool:
    """Write a day's files and then the manifest that names them; returns whether that was needed."""
    low, high = ledger.days.id_range(day, day)
    with ledger.reading() as connection:
        rows = ByDriver(connection)
        found = figures(connection, low, high)
        before = manifest.days.get(day)
        changed = before is None or dict(before.figures) != found
        if changed:
            files = {part.table: _write_part(rows, part, manifest.folder, day, (low, high), names) for part in PARTS}
            _complete(files, found)
            manifest.days[day] = ArchivedDay(files, found)
            used = list(connection.execute(_USED_PRICES, {"day": day}).scalars())
    if changed:
        manifest.prices.update({str(number): _plain(price) for number, price in prices_by_id(ledger, used).items()})
        manifest.save()
        for file in before.files.values() if before else ():
            if file not in files.values():
                (manifest.folder / file.path).unlink(missing_ok=True)
    with ledger.writing() as connection:
        facts = {"day": day, "folder": str(manifest.folder.resolve()), "at": time.time_ns() // 1_000_000}
        connection.execute(_KEEP, facts)
    return changed


def _complete(files: Mapping[str, File], found: Mapping[str, int]) -> None:
    for part in PARTS:
        counted = found[_COUNTED[part]]
        if files[part.table].rows != counted:
            raise LedgerError(
                f"{counted:,} rows of {part.table} were to be archived, and {files[part.table].rows:,} were written"
            )


def _write_part(rows: Snapshot, part: Part, folder: Path, day: int, bounds: tuple[bytes, bytes], names: Names) -> File:
    home = folder / part.table / f"date={date_of(day)}"
    home.mkdir(parents=True, exist_ok=True)
    temporary = home / f".{os.getpid()}.parquet.part"
    temporary.unlink(missing_ok=True)
    batches = (with_names(batch, part, names) for batch in rows.rows(part, *bounds))
    count = write_parquet(temporary, part.named, batches)
    sha256 = digest(temporary)
    path = home / f"{sha256[:16]}.parquet"  # another content has another name, so a new day never overwrites the old
    size = temporary.stat().st_size
    temporary.replace(path)
    sync_folder(home)
    return File(path.relative_to(folder).as_posix(), count, size, sha256)


def _plain(price: Any) -> dict[str, Any]:
    return {
        name: value if value is None or isinstance(value, int) else str(value)
        for name in price.__dataclass_fields__
        if (value := getattr(price, name)) is not None
    }


def _prune_day(ledger: Ledger, folder: Path, day: int) -> bool:
    """Take a day's rows out of the ledger, batch after batch, or its tables at once; returns whether all of them went.

    Stops where rows or labels come meanwhile: the day is then dirty, and the next rollup brings the others back.
    """
    manifest = archived(ledger, folder, day)
    bounds = ledger.days.id_range(day, day)
    with ledger.writing() as connection:
        if connection.execute(_IS_DIRTY, {"day": day}).first():
            return False
        if day not in pruned_days(connection) and figures(connection, *bounds) != manifest.days[day].figures:
            return False  # rows came, and were summed, since the day was written
        connection.execute(_PRUNE, {"day": day})
    if ledger.engine.dialect.name == "postgresql":
        with suppress(LedgerLockedError):  # others use the tables all the time, so rows leave batch after batch
            if not _delete(ledger, day, bounds, (LABELS,)):
                return False
            with ledger.writing() as connection:
                return ledger.partitions.drop(connection, day)
    return _delete(ledger, day, bounds, reversed(PARTS))


def _delete(ledger: Ledger, day: int, bounds: tuple[bytes, bytes], parts: Iterable[Part]) -> bool:
    low, high = bounds
    chosen = tuple(parts)
    while low < high:
        with ledger.writing() as connection:
            if connection.execute(_IS_DIRTY, {"day": day}).first():
                return False
            upto = _beyond(connection, low, high)
            for part in chosen:
                connection.execute(
                    sa.text(f"DELETE FROM {part.table} WHERE {part.key} >= :low AND {part.key} < :high"),
                    {"low": low, "high": upto},
                )
        low = upto
    return True


def _beyond(connection: Connection, low: bytes, high: bytes) -> bytes:
    found = connection.execute(_NEXT, {"low": low, "high": high, "ahead": _PRUNED_AT_ONCE}).scalar()
    return high if found is None else bytes(found)
