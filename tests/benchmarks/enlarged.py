"""A ledger with the cells of ten million decisions, made from those of fewer, each counted several times over."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import running

from router_core.ledger import schema

FILLED, TIMES, DAYS = 400_000, 25, 90
CELLS = (
    "spend_cell",
    "spend_hour_cell",
    "evidence_cell",
    "evidence_span",
    "label_cell",
    "agreement_cell",
    "fallback_cell",
    "stage_cell",
    "latency_cell",
)
_PAIR = np.dtype([("bin", "<u2"), ("count", "<u4")])


def demo(path: Path, *, filled: int = FILLED, times: int = TIMES, days: int = DAYS) -> Path:
    """Fill a demo ledger and count every cell ``times`` over: pages read cells alone, so rows need not follow."""
    running.tierwise("demo", "--db", str(path), "--decisions", str(filled), "--days", str(days), "--seed", "1")
    tables = schema.declared().tables
    with sqlite3.connect(path) as connection:
        for table in CELLS:
            columns = tables[table].columns
            counts = [column.name for column in columns if not column.primary_key and column.name != "histogram"]
            assigned = ", ".join(f"{name} = {name} * {times}" for name in counts)
            connection.execute(f"UPDATE {table} SET {assigned}")
        connection.create_function("multiplied", 1, lambda blob: _multiplied(blob, times))
        connection.execute("UPDATE latency_cell SET histogram = multiplied(histogram)")
    connection.close()
    return path


def _multiplied(histogram: bytes, times: int) -> bytes:
    pairs = np.frombuffer(histogram, dtype=_PAIR).copy()
    pairs["count"] *= times
    return pairs.tobytes()
