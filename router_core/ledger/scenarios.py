"""Scenarios as the ledger keeps them: JSON text by name, with who wrote it and when."""

from __future__ import annotations

import time
from dataclasses import dataclass

import sqlalchemy as sa

from router_core.errors import InputError
from router_core.ledger.store import Ledger
from router_core.ledger.tables import MILLION


@dataclass(frozen=True, slots=True)
class StoredScenario:
    """One scenario as JSON text; ``created_at_ms`` is UTC epoch milliseconds."""

    name: str
    created_at_ms: int
    author: str
    scenario_json: str


def put_scenario(ledger: Ledger, name: str, author: str, scenario_json: str) -> None:
    """Keep a scenario, in place of one of the same name."""
    with ledger.writing() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO scenario (name, created_at_ms, author, scenario_json) VALUES (:name, :at, :author, :text) "
                "ON CONFLICT (name) DO UPDATE SET created_at_ms = excluded.created_at_ms, author = excluded.author, "
                "scenario_json = excluded.scenario_json"
            ),
            {"name": name, "at": time.time_ns() // MILLION, "author": author, "text": scenario_json},
        )


def read_scenarios(ledger: Ledger) -> list[StoredScenario]:
    """Return every scenario, by name."""
    with ledger.reading() as connection:
        rows = connection.execute(
            sa.text("SELECT name, created_at_ms, author, scenario_json FROM scenario ORDER BY name")
        ).mappings()
        return [StoredScenario(**row) for row in rows]


def drop_scenario(ledger: Ledger, name: str) -> None:
    """Forget a scenario; raises ``InputError`` where there is none of that name."""
    with ledger.writing() as connection:
        gone = connection.execute(sa.text("DELETE FROM scenario WHERE name = :name"), {"name": name})
        if not gone.rowcount:
            raise InputError(f"there is no scenario {name!r}; 'tierwise scenario list' names those there are")
