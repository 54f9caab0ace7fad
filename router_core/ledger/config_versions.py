"""Configuration versions as the ledger keeps them: numbered from 1, immutable, the highest number live."""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from router_core.errors import LedgerError, VersionConflictError
from router_core.ledger.pushes import announce
from router_core.ledger.store import Ledger
from router_core.ledger.tables import MILLION

_COLUMNS = "version, created_at_ms, author, note, config_json, rollout, share_ppm, projection_json"
_HIGHEST = sa.text("SELECT COALESCE(MAX(version), 0) FROM config_version")
_ADD = sa.text(
    "INSERT INTO config_version (version, created_at_ms, author, note, config_json, rollout, share_ppm, "
    "projection_json) VALUES (:version, :at, :author, :note, :config, 'all', 1000000, :projection) "
    "ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """One pushed configuration, as JSON text, with who pushed it, when and why, and what was projected."""

    version: int
    created_at_ms: int
    author: str
    note: str
    config_json: str
    rollout: str
    share_ppm: int
    projection_json: str | None


def add_version(
    ledger: Ledger,
    config_json: str,
    author: str,
    note: str,
    expected: int | None = None,
    projection_json: str | None = None,
    *,
    at_ms: int | None = None,
) -> int:
    """Append a version and return its number; an event is kept with it. ``at_ms`` dates both otherwise than now.

    Raises ``VersionConflictError`` where ``expected`` is given and is not the version live now (0: none yet).
    """
    now = time.time_ns() // MILLION if at_ms is None else at_ms
    with ledger.writing() as connection:
        live = _live(connection)
        if expected is not None and expected != live:
            raise VersionConflictError(expected, live)
        number = live + 1
        row = {"version": number, "at": now, "author": author, "note": note, "config": config_json}
        if connection.execute(_ADD, {**row, "projection": projection_json}).rowcount != 1:
            raise VersionConflictError(live, _live(connection))  # servers only: somebody committed meanwhile
        connection.execute(
            sa.text("INSERT INTO event (at_ms, who, what, detail) VALUES (:at, :who, 'push', :detail)"),
            {"at": now, "who": author, "detail": f"version {number}: {note}"},
        )
        announce(connection)
    return number


def live_version(ledger: Ledger) -> int:
    """Return the number of the live version, 0 where none was pushed yet; cheap enough to ask often."""
    with ledger.reading() as connection:
        return _live(connection)


def versions(ledger: Ledger) -> list[StoredVersion]:
    """Return every version, oldest first."""
    with ledger.reading() as connection:
        rows = connection.execute(sa.text(f"SELECT {_COLUMNS} FROM config_version ORDER BY version")).mappings()
        return [_stored(row) for row in rows]


def version(ledger: Ledger, number: int) -> StoredVersion:
    """Return one version; raises ``LedgerError`` where there is none of that number."""
    with ledger.reading() as connection:
        row = (
            connection.execute(
                sa.text(f"SELECT {_COLUMNS} FROM config_version WHERE version = :version"), {"version": number}
            )
            .mappings()
            .one_or_none()
        )
        live = _live(connection)
    if row is None:
        known = f"there are versions 1 to {live}" if live else "none was pushed yet"
        raise LedgerError(f"there is no configuration version {number}; {known}")
    return _stored(row)


def _live(connection: Connection) -> int:
    return int(connection.execute(_HIGHEST).scalar_one())


def _stored(row: RowMapping) -> StoredVersion:
    return StoredVersion(**row)
