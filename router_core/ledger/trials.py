"""Trials as the ledger keeps them: what was drawn, what it proved, and the calls made for it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from router_core.decision import Attempt
from router_core.errors import LedgerError
from router_core.ledger.bulk import insert_many
from router_core.ledger.latency import latency_bin
from router_core.ledger.rows import ATTEMPT_COLUMNS, COST_NUSD
from router_core.ledger.store import Ledger, mark_dirty
from router_core.ledger.tables import MILLION

_COLUMNS = "id, created_at_ms, author, config_version, target_json, design_json, proof_json"
_LOOK = sa.text(
    "SELECT d.day, COALESCE(MAX(a.seq), -1) + 1 AS seq, "
    "SUM(CASE WHEN a.kind = :kind AND a.tier_id = :tier THEN 1 ELSE 0 END) AS before "
    "FROM decision d LEFT JOIN attempt a ON a.decision_id = d.id WHERE d.id = :id GROUP BY d.day"
)
_COUNT = sa.text(
    "UPDATE decision SET attempts = attempts + 1, "
    f"cost_nusd = (SELECT {COST_NUSD} FROM attempt a WHERE a.decision_id = :id) WHERE id = :id"
)


@dataclass(frozen=True, slots=True)
class StoredTrial:
    """One trial as JSON text: the target it is about, the requests drawn, and what it proved, None while it is out."""

    id: int
    created_at_ms: int
    author: str
    config_version: int
    target_json: str
    design_json: str
    proof_json: str | None


def add_trial(ledger: Ledger, *, author: str, config_version: int, target_json: str, design_json: str) -> int:
    """Keep a trial whose requests were drawn, and return its number."""
    with ledger.writing() as connection:
        return int(
            connection.execute(
                sa.text(
                    "INSERT INTO trial (created_at_ms, author, config_version, target_json, design_json) "
                    "VALUES (:at, :author, :version, :target, :design) RETURNING id"
                ),
                {
                    "at": time.time_ns() // MILLION,
                    "author": author,
                    "version": config_version,
                    "target": target_json,
                    "design": design_json,
                },
            ).scalar_one()
        )


def trials(ledger: Ledger) -> list[StoredTrial]:
    """Return every trial, newest first."""
    with ledger.reading() as connection:
        rows = connection.execute(sa.text(f"SELECT {_COLUMNS} FROM trial ORDER BY id DESC")).mappings()
        return [StoredTrial(**row) for row in rows]


def keep_proof(ledger: Ledger, number: int, proof_json: str) -> None:
    """Keep what a trial proved; raises ``LedgerError`` where there is no trial of that number."""
    with ledger.writing() as connection:
        kept = connection.execute(
            sa.text("UPDATE trial SET proof_json = :proof WHERE id = :id"), {"proof": proof_json, "id": number}
        )
        if not kept.rowcount:
            raise LedgerError(f"the ledger holds no trial {number}")


def add_replays(ledger: Ledger, replays: Sequence[tuple[bytes, Attempt]], *, once: bool = True) -> int:
    """Record the calls that replayed decisions, each as one more attempt, and return how many were new.

    A decision is replayed on a tier ``once``: an attempt that is there already is left as it is; without it every call
    is another one. Raises ``LedgerError``, and keeps none, where a decision is not in the ledger.
    """
    names = ledger.dimensions
    for _, call in replays:  # new names are committed in transactions of their own, so before ours begins
        _ = names.tier[call.tier], names.provider[call.provider_name], names.model[call.model], names.why[call.reason]
    added = 0
    days: set[int] = set()
    with ledger.writing() as connection:
        for decision_id, call in replays:
            tier_id = names.tier[call.tier]
            look = {"id": decision_id, "kind": int(call.kind), "tier": tier_id}
            found = connection.execute(_LOOK, look).one_or_none()
            if found is None:
                raise LedgerError(f"the ledger holds no decision {decision_id.hex()}, so it cannot have been replayed")
            if once and found.before:
                continue
            usage = call.usage
            values = {
                "decision_id": decision_id,
                "seq": found.seq,
                "kind": int(call.kind),
                "tier_id": tier_id,
                "provider_id": names.provider[call.provider_name],
                "model_id": names.model[call.model],
                "status": int(call.status),
                "final": 0,
                "why_id": names.why[call.reason],
                "offset_ms": call.offset_ms,
                "latency_ms": call.latency_ms,
                "latency_bin": latency_bin(call.latency_ms),
                "usage_source": int(call.usage_source),
                "list_cost_nusd": call.list_cost_nusd,
                "reported_cost_nusd": call.reported_cost_nusd,
                "price_id": call.price_id,
                **({} if usage is None else {name: getattr(usage, name) for name in usage.__dataclass_fields__}),
            }
            insert_many(connection, "attempt", ATTEMPT_COLUMNS, [tuple(map(values.get, ATTEMPT_COLUMNS))])
            connection.execute(_COUNT, {"id": decision_id})
            days.add(found.day)
            added += 1
        if days:
            mark_dirty(connection, days)
    return added
