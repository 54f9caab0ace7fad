"""Prices as the ledger keeps them: dated rows, appended and never edited."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import RowMapping

from router_core.ledger.price_inserts import COLUMNS, PLAIN, RATES, insert_prices
from router_core.ledger.store import Ledger, insert_event
from router_core.prices import Price
from router_core.prices.refresh import Change


def read_prices(ledger: Ledger) -> list[Price]:
    """Return every price of the ledger with its id, oldest row first."""
    with ledger.reading() as connection:
        rows = connection.execute(sa.text(f"SELECT id, {', '.join(COLUMNS)} FROM price ORDER BY id")).mappings().all()
    return [_price(row) for row in rows]


def prices_by_id(ledger: Ledger, ids: Sequence[int]) -> dict[int, Price]:
    """Return the prices of these ids, as far as the ledger holds them."""
    look = sa.text(f"SELECT id, {', '.join(COLUMNS)} FROM price WHERE id IN :ids")
    with ledger.reading() as connection:
        rows = connection.execute(look.bindparams(sa.bindparam("ids", expanding=True)), {"ids": list(ids)})
        return {row["id"]: _price(row) for row in rows.mappings()}


def price_revision(ledger: Ledger) -> int:
    """Return a number that grows with every price added; cheap enough to ask often."""
    with ledger.reading() as connection:
        return int(connection.execute(sa.text("SELECT COALESCE(MAX(id), 0) FROM price")).scalar_one())


def _price(row: RowMapping) -> Price:
    plain: dict[str, Any] = {name: row[name] for name in PLAIN}
    exact: dict[str, Any] = {name: None if row[name] is None else Decimal(row[name]) for name in RATES}
    return Price(id=row["id"], effective_from=date.fromisoformat(row["effective_from"]), **plain, **exact)


def add_prices(ledger: Ledger, prices: Iterable[Price]) -> None:
    """Append prices in one transaction; ids they carry are ignored, ``read_prices`` gives the ledger's own."""
    with ledger.writing() as connection:
        insert_prices(connection, prices)


def accept_changes(ledger: Ledger, changes: Iterable[Change], author: str) -> int:
    """Append the new rows of changes in one transaction, each change an event; returns how many rows were added.

    Rows that are there already, as after accepting twice, are left out.
    """
    added = 0
    with ledger.writing() as connection:
        look = sa.text(f"SELECT id, {', '.join(COLUMNS)} FROM price WHERE provider_name = :provider AND model = :model")
        for change in changes:
            found = connection.execute(look, {"provider": change.provider_name, "model": change.model}).mappings()
            there = {replace(_price(row), id=None, note="") for row in found}
            new = [row for row in change.new if replace(row, id=None, note="") not in there]
            if not new:
                continue
            insert_prices(connection, [replace(row, note=f"accepted by {author}") for row in new])
            starts = ", ".join(dict.fromkeys(row.effective_from.isoformat() for row in new))
            detail = f"{change.name} from {starts}, catalogue, as {new[0].source} has it"
            insert_event(connection, author, "price", detail)
            added += len(new)
    return added
