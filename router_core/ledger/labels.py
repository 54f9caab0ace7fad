"""Judgements of answers: kept one by one, and the one of highest precedence carried by its decision."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from router_core.decision import QualitySource
from router_core.errors import LedgerError
from router_core.ledger.store import Ledger, mark_dirty
from router_core.ledger.tables import MILLION

_DAY_OF = sa.text("SELECT day FROM decision WHERE id = :id")
_ADD = sa.text(
    "INSERT INTO quality_label (decision_id, labelled_at_ms, source, quality_ppm, needed_tier_id, author, note) "
    "VALUES (:id, :at, :source, :quality, :needed, :author, :note)"
)
_FIRST = "FROM quality_label WHERE decision_id = :id ORDER BY source DESC, labelled_at_ms DESC, id DESC LIMIT 1"
CARRY = sa.text(
    f"UPDATE decision SET quality_ppm = (SELECT quality_ppm {_FIRST}), quality_source = (SELECT source {_FIRST}) "
    "WHERE id = :id"
)


@dataclass(frozen=True, slots=True)
class Label:
    """One judgement of one decision's answer: ``quality`` 0..1, who judged, when (UTC epoch milliseconds), and the
    tier the request would have needed where the judge said so."""

    decision_id: bytes
    quality: float
    source: QualitySource
    labelled_at_ms: int
    needed_tier: str | None = None
    author: str = ""
    note: str = ""


def label(
    ledger: Ledger,
    decision_id: bytes,
    quality: float,
    source: QualitySource,
    *,
    at_ms: int | None = None,
    needed_tier: str | None = None,
    author: str = "",
    note: str = "",
) -> None:
    """Keep a judgement of a decision's answer, 0..1, made at a time (UTC epoch milliseconds), else now.

    Raises ``LedgerError`` where the ledger does not hold the decision or the quality is not 0..1.
    """
    now = time.time_ns() // MILLION if at_ms is None else at_ms
    add_labels(ledger, [Label(decision_id, quality, source, now, needed_tier, author, note)])


def add_labels(ledger: Ledger, labels: Sequence[Label]) -> None:
    """Keep labels in one transaction and let each decision carry its best: highest source, then newest.

    Raises ``LedgerError``, and keeps none, where a quality is not 0..1 or a decision is not in the ledger.
    """
    for label in labels:
        if not 0 <= label.quality <= 1:
            raise LedgerError(f"quality is a share from 0 to 1, not {label.quality}")
    needed = [None if label.needed_tier is None else ledger.dimension_id("tier", label.needed_tier) for label in labels]
    days: set[int] = set()
    with ledger.writing() as connection:
        for label, needed_tier_id in zip(labels, needed, strict=True):
            day = connection.execute(_DAY_OF, {"id": label.decision_id}).scalar()
            if day is None:
                raise LedgerError(f"the ledger holds no decision {label.decision_id.hex()}, so it cannot be labelled")
            days.add(day)
            connection.execute(
                _ADD,
                {
                    "id": label.decision_id,
                    "at": label.labelled_at_ms,
                    "source": int(label.source),
                    "quality": round(label.quality * MILLION),
                    "needed": needed_tier_id,
                    "author": label.author,
                    "note": label.note,
                },
            )
            connection.execute(CARRY, {"id": label.decision_id})
        if days:
            mark_dirty(connection, days)


def labels_of(ledger: Ledger, decision_id: bytes) -> list[Label]:
    """Return every judgement of one decision, oldest first."""
    look = sa.text(
        "SELECT l.labelled_at_ms, l.source, l.quality_ppm, t.name AS needed, l.author, l.note "
        "FROM quality_label l LEFT JOIN dimension t ON t.id = l.needed_tier_id "
        "WHERE l.decision_id = :id ORDER BY l.labelled_at_ms, l.id"
    )
    with ledger.reading() as connection:
        return [
            Label(
                decision_id,
                row.quality_ppm / MILLION,
                QualitySource(row.source),
                row.labelled_at_ms,
                row.needed,
                row.author,
                row.note,
            )
            for row in connection.execute(look, {"id": decision_id})
        ]


def kept_labels(ledger: Ledger, decision_ids: Sequence[bytes]) -> set[tuple[bytes, str, float]]:
    """Return (decision id, note, quality) of every label that these decisions have."""
    look = sa.text("SELECT decision_id, note, quality_ppm FROM quality_label WHERE decision_id IN :ids").bindparams(
        sa.bindparam("ids", expanding=True)
    )
    with ledger.reading() as connection:
        return {
            (bytes(row.decision_id), row.note, row.quality_ppm / MILLION)
            for start in range(0, len(decision_ids), 500)
            for row in connection.execute(look, {"ids": decision_ids[start : start + 500]})
        }
