"""Fitted scorers as the ledger keeps them: the artefact by version, with the skill it showed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from router_core.errors import LedgerError
from router_core.ledger.store import Ledger
from router_core.ledger.tables import MILLION


@dataclass(frozen=True, slots=True)
class StoredScorer:
    """A fitted scorer's artefact, when it was fitted (UTC epoch milliseconds), and its skill on held-out requests."""

    version: str
    fitted_at_ms: int
    artefact: bytes
    skill: dict[str, Any]


def save_scorer(
    ledger: Ledger, version: str, artefact: bytes, skill: Mapping[str, Any], *, at_ms: int | None = None
) -> None:
    """Keep a scorer; the same version again is left as it is, since a version names one artefact for ever."""
    with ledger.writing() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO scorer (version, fitted_at_ms, artefact, skill_json) "
                "VALUES (:version, :at, :artefact, :skill) ON CONFLICT (version) DO NOTHING"
            ),
            {
                "version": version,
                "at": time.time_ns() // MILLION if at_ms is None else at_ms,
                "artefact": artefact,
                "skill": json.dumps(dict(skill)),
            },
        )


def read_scorer(ledger: Ledger, version: str) -> StoredScorer:
    """Return a scorer; raises ``LedgerError`` where the ledger holds none of that version."""
    with ledger.reading() as connection:
        row = connection.execute(
            sa.text("SELECT version, fitted_at_ms, artefact, skill_json FROM scorer WHERE version = :version"),
            {"version": version},
        ).one_or_none()
    if row is None:
        raise LedgerError(f"the ledger holds no scorer {version!r}; 'tierwise fit' makes one")
    return StoredScorer(row.version, row.fitted_at_ms, bytes(row.artefact), json.loads(row.skill_json))


def scorer_versions(ledger: Ledger) -> list[str]:
    """Return the versions of all scorers, oldest first."""
    with ledger.reading() as connection:
        return list(connection.execute(sa.text("SELECT version FROM scorer ORDER BY fitted_at_ms, version")).scalars())
