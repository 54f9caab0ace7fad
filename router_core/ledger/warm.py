"""Conversations that were answered lately, as the ledger has them, so that a gateway that starts again knows them."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from router_core.decision import Status
from router_core.ledger.store import Ledger

# The newest first, and no further back than the bound: ids begin with the time.
_LATELY = sa.text(
    "SELECT d.conversation_hash, d.tier_id, a.model_id, d.decided_at_ms FROM decision d "
    "JOIN attempt a ON a.decision_id = d.id AND a.final = 1 "
    "WHERE d.id >= :first AND d.conversation_hash IS NOT NULL AND d.score IS NOT NULL AND d.status = :ok "
    "ORDER BY d.id DESC LIMIT :most"
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A turn of a conversation: the tier it was given, the model that answered, and when (UTC epoch milliseconds)."""

    conversation: int
    tier: str
    model: str
    at_ms: int


def answered_lately(ledger: Ledger, since_ms: int, *, most: int = 100_000) -> list[Answered]:
    """Return the latest ``most`` turns answered since a time, the oldest first; raises ``LedgerError``."""
    first = max(0, since_ms).to_bytes(6, "big") + bytes(10)
    with ledger.reading() as connection:
        rows = connection.execute(_LATELY, {"first": first, "ok": int(Status.OK), "most": most}).all()
    tiers, models = ledger.dimension_names("tier"), ledger.dimension_names("model")
    return [Answered(one, tiers[tier], models[model], at_ms) for one, tier, model, at_ms in reversed(rows)]
