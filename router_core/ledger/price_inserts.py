"""The columns of a price, and the one way a price comes into the ledger: appended."""

from __future__ import annotations

import time
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.ledger.tables import MILLION
from router_core.prices import Price

RATES = ("input_usd_per_mtok", "output_usd_per_mtok", "cache_read_usd_per_mtok", "cache_write_usd_per_mtok")
PLAIN = (
    "provider_name",
    "model",
    "layer",
    "processing",
    "min_input_tokens",
    "minute_from",
    "minute_to",
    "source",
    "note",
)
COLUMNS = (*PLAIN, "effective_from", *RATES)


def insert_prices(connection: Connection, prices: Iterable[Price]) -> None:
    """Append prices within the connection's transaction."""
    now = time.time_ns() // MILLION
    rows = [
        {
            "added_at_ms": now,
            "effective_from": price.effective_from.isoformat(),
            **{name: getattr(price, name) for name in PLAIN},
            **{name: None if (rate := getattr(price, name)) is None else str(rate) for name in RATES},
        }
        for price in prices
    ]
    if rows:
        names = (*COLUMNS, "added_at_ms")
        marks = ", ".join(f":{name}" for name in names)
        connection.execute(sa.text(f"INSERT INTO price ({', '.join(names)}) VALUES ({marks})"), rows)
