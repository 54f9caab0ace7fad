"""Everything the ledger holds about one decision: its calls, what priced them, who judged it, its prompt if kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from router_core.decision import RoutingDecision
from router_core.ledger.labels import Label, labels_of
from router_core.ledger.price_rows import prices_by_id
from router_core.ledger.store import Ledger
from router_core.prices import Price


@dataclass(frozen=True, slots=True)
class Record:
    """One decision; ``prices`` are the rows that priced its calls, by id; ``prompt`` is None where it is not kept."""

    decision: RoutingDecision
    labels: tuple[Label, ...]
    prices: Mapping[int, Price]
    prompt: str | None


def read_record(ledger: Ledger, decision_id: bytes) -> Record:
    """Return what is known of a decision; raises ``LedgerError`` where the ledger does not hold it."""
    decision = ledger.read_decision(decision_id)
    ids = sorted({call.price_id for call in decision.attempts if call.price_id is not None})
    with ledger.reading() as connection:
        prompt = connection.execute(
            sa.text("SELECT prompt FROM captured_prompt WHERE decision_id = :id"), {"id": decision_id}
        ).scalar()
    return Record(decision, tuple(labels_of(ledger, decision_id)), prices_by_id(ledger, ids) if ids else {}, prompt)
