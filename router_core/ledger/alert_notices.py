"""Which alerts somebody has seen, and which were sent: kept by the key that changes with an alert's cause."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from router_core.ledger.store import Ledger, insert_event

_STALE_MS = 60_000  # after which a sender that took an alert on has died over it

_SEE = sa.text(
    "INSERT INTO alert_notice (key, seen_at_ms, seen_by) VALUES (:key, :at, :who) "
    "ON CONFLICT (key) DO UPDATE SET seen_at_ms = excluded.seen_at_ms, seen_by = excluded.seen_by "
    "WHERE alert_notice.seen_at_ms IS NULL"
)
_UNSEE = sa.text("UPDATE alert_notice SET seen_at_ms = NULL, seen_by = '' WHERE key = :key AND seen_at_ms IS NOT NULL")
_TAKE = sa.text(
    "INSERT INTO alert_notice (key, seen_by, taken_at_ms) VALUES (:key, '', :at) "
    "ON CONFLICT (key) DO UPDATE SET taken_at_ms = excluded.taken_at_ms "
    "WHERE alert_notice.seen_at_ms IS NULL AND alert_notice.sent_at_ms IS NULL "
    "AND (alert_notice.taken_at_ms IS NULL OR alert_notice.taken_at_ms <= :stale)"
)
_SENT = sa.text("UPDATE alert_notice SET sent_at_ms = :at, taken_at_ms = NULL WHERE key = :key")
_GIVE_BACK = sa.text("UPDATE alert_notice SET taken_at_ms = NULL WHERE key = :key")


@dataclass(frozen=True, slots=True)
class Notice:
    """What became of one alert; times are UTC epoch milliseconds, None where it was not seen, or not sent."""

    key: str
    seen_at_ms: int | None
    seen_by: str
    sent_at_ms: int | None


def notices(ledger: Ledger) -> Mapping[str, Notice]:
    """Return what became of alerts, by key; one that is not there was neither seen nor sent."""
    with ledger.reading() as connection:
        rows = connection.execute(sa.text("SELECT key, seen_at_ms, seen_by, sent_at_ms FROM alert_notice"))
        return {row.key: Notice(*row) for row in rows}


def see(ledger: Ledger, key: str, *, who: str, sentence: str, at_ms: int) -> bool:
    """Keep that somebody has seen an alert, in the audit log too; False where somebody had already."""
    with ledger.writing() as connection:
        first = bool(connection.execute(_SEE, {"key": key, "at": at_ms, "who": who}).rowcount)
        if first:
            insert_event(connection, who, "alert seen", sentence)
    return first


def unsee(ledger: Ledger, key: str, *, who: str, sentence: str) -> bool:
    """Take back that an alert was seen, in the audit log too; False where it was not."""
    with ledger.writing() as connection:
        done = bool(connection.execute(_UNSEE, {"key": key}).rowcount)
        if done:
            insert_event(connection, who, "alert shown again", sentence)
    return done


def take(ledger: Ledger, key: str, at_ms: int) -> bool:
    """Take an alert on to send it; False where it was sent or seen, or another sender has just taken it on.

    Whoever took one on says ``sent`` or ``give_back``; where it was killed first, another may take it a minute later.
    """
    with ledger.writing() as connection:
        values = {"key": key, "at": at_ms, "stale": at_ms - _STALE_MS}
        return bool(connection.execute(_TAKE, values).rowcount)


def sent(ledger: Ledger, key: str, at_ms: int) -> None:
    """Keep that an alert was sent."""
    with ledger.writing() as connection:
        connection.execute(_SENT, {"key": key, "at": at_ms})


def give_back(ledger: Ledger, key: str) -> None:
    """Let go of an alert that could not be sent."""
    with ledger.writing() as connection:
        connection.execute(_GIVE_BACK, {"key": key})
