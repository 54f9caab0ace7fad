"""Spend by the price that priced it, from cells: which rates, and whose, stand behind a day's sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa

from router_core.ledger.days import date_of
from router_core.ledger.filters import condition, labels
from router_core.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class PricedLine:
    """Calls of one day, feature, assigned tier and model under one price row; ``price_id`` 0: no price is known."""

    day: date
    feature: str
    tier: str
    model: str
    price_id: int
    attempts: int
    metered_attempts: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    list_cost_nusd: int


_SUMS = (
    "attempts",
    "metered_attempts",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "list_cost_nusd",
)


def spend_by_price(ledger: Ledger, since: date | None = None, until: date | None = None) -> list[PricedLine]:
    """Sum evidence cells by day, feature, tier, model and price row, over days with ``until`` included."""
    sums = ", ".join(f"CAST(SUM({name}) AS BIGINT)" for name in _SUMS)
    keys = "day, feature_id, tier_id, model_id, price_id"
    with ledger.reading() as connection:
        clause = condition(connection, since, until, {})
        rows = connection.exec_driver_sql(f"SELECT {keys}, {sums} FROM evidence_cell{clause} GROUP BY {keys}").all()
        features, tiers, models = (labels(connection, kind) for kind in ("feature", "tier", "model"))
    return [
        PricedLine(
            date_of(day),
            str(features[feature]),
            str(tiers[tier]),
            str(models[model]),
            price_id,
            *(int(n) for n in figures),
        )
        for day, feature, tier, model, price_id, *figures in rows
    ]


def providers_of(ledger: Ledger, models: Sequence[str]) -> dict[str, str]:
    """Return whose each model is, as some call to it says; for models that no price row tells of."""
    look = sa.text(
        "SELECT p.name FROM attempt a JOIN dimension p ON p.id = a.provider_id "
        "WHERE a.model_id = (SELECT id FROM dimension WHERE kind = 'model' AND name = :model) LIMIT 1"
    )
    found = {}
    with ledger.reading() as connection:
        for model in models:
            name = connection.execute(look, {"model": model}).scalar()
            if name is not None:
                found[model] = str(name)
    return found


def called(ledger: Ledger) -> set[tuple[str, str]]:
    """Return (provider, model) of all that was ever called: as its price row has it, else as its calls do."""
    priced = sa.text(
        "SELECT DISTINCT provider_name, model FROM price WHERE id IN (SELECT DISTINCT price_id FROM evidence_cell)"
    )
    unpriced = sa.text(
        "SELECT name FROM dimension WHERE kind = 'model' AND name <> '' "
        "AND id IN (SELECT DISTINCT model_id FROM evidence_cell WHERE price_id = 0)"
    )
    with ledger.reading() as connection:
        names = {(str(provider), str(model)) for provider, model in connection.execute(priced)}
        models = [str(model) for model in connection.execute(unpriced).scalars()]
    return names | {(provider, model) for model, provider in providers_of(ledger, models).items()}
