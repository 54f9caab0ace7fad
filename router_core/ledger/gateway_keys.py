"""Keys of the gateway: given out once, kept as hashes, carrying the team and the features they may name."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from router_core.errors import LedgerError
from router_core.ledger.store import Ledger
from router_core.ledger.tables import MILLION

_COLUMNS = "key_hash, name, team, features_json, created_at_ms, revoked_at_ms"


@dataclass(frozen=True, slots=True)
class GatewayKey:
    """What a key stands for; no ``features`` means all of them. Times are UTC epoch milliseconds."""

    name: str
    team: str
    features: tuple[str, ...]
    created_at_ms: int
    revoked_at_ms: int | None


def create_key(ledger: Ledger, *, name: str, team: str, features: Sequence[str] = ()) -> str:
    """Make a key and return it, the only time it can be seen; raises ``LedgerError`` where the name is taken."""
    key = "tw-" + secrets.token_urlsafe(32)
    with ledger.writing() as connection:
        taken = connection.execute(
            sa.text("SELECT 1 FROM gateway_key WHERE name = :name AND revoked_at_ms IS NULL"), {"name": name}
        ).scalar()
        if taken:
            raise LedgerError(f"there is a gateway key named {name!r} already; revoke it first, or choose another name")
        connection.execute(
            sa.text(
                "INSERT INTO gateway_key (key_hash, name, team, features_json, created_at_ms) "
                "VALUES (:hash, :name, :team, :features, :at)"
            ),
            {
                "hash": key_hash(key),
                "name": name,
                "team": team,
                "features": json.dumps(list(features)),
                "at": time.time_ns() // MILLION,
            },
        )
    return key


def gateway_keys(ledger: Ledger) -> list[GatewayKey]:
    """Return every key ever made, oldest first."""
    with ledger.reading() as connection:
        rows = connection.execute(sa.text(f"SELECT {_COLUMNS} FROM gateway_key ORDER BY created_at_ms, name"))
        return [_key(row) for row in rows.mappings()]


def keys_in_use(ledger: Ledger) -> dict[bytes, GatewayKey]:
    """Return every key that was not revoked by its hash, for a gateway that looks keys up in memory."""
    with ledger.reading() as connection:
        rows = connection.execute(sa.text(f"SELECT {_COLUMNS} FROM gateway_key WHERE revoked_at_ms IS NULL"))
        return {bytes(row["key_hash"]): _key(row) for row in rows.mappings()}


def any_key(ledger: Ledger) -> bool:
    """Return whether a key was ever made, revoked or not: from then on a gateway asks for one."""
    with ledger.reading() as connection:
        return connection.execute(sa.text("SELECT 1 FROM gateway_key LIMIT 1")).scalar() is not None


def revoke_key(ledger: Ledger, name: str) -> None:
    """Make a key useless from now on; raises ``LedgerError`` where no key in use has that name."""
    with ledger.writing() as connection:
        done = connection.execute(
            sa.text("UPDATE gateway_key SET revoked_at_ms = :at WHERE name = :name AND revoked_at_ms IS NULL"),
            {"at": time.time_ns() // MILLION, "name": name},
        )
        if done.rowcount == 0:
            raise LedgerError(f"there is no gateway key named {name!r} in use")


def key_hash(key: str) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).digest()  # a key holds 256 random bits, so no slow hash is needed


def _key(row: RowMapping) -> GatewayKey:
    features = tuple(json.loads(row["features_json"]))
    return GatewayKey(row["name"], row["team"], features, row["created_at_ms"], row["revoked_at_ms"])
