"""Decisions read in bulk: page by page in the order of their ids, all from one snapshot of the ledger."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.decision import RoutingDecision
from router_core.ledger.bulk import Row
from router_core.ledger.days import day_number
from router_core.ledger.dimensions import KINDS
from router_core.ledger.rows import ATTEMPT_COLUMNS, DECISION_COLUMNS, decision_of
from router_core.ledger.store import Ledger

_LOWEST, _BEYOND = bytes(16), b"\xff" * 16
_AT_ONCE = 500
_DECISION_ID = ATTEMPT_COLUMNS.index("decision_id")

Names = dict[str, dict[int, str]]


class Pages:
    """Rows of a range of days, ``until`` included, as plain tuples in column order; ``names`` tells what numbers mean.

    Iterating yields (decision rows, attempt rows) of at most ``size`` decisions, from one snapshot.
    """

    def __init__(self, ledger: Ledger, since: date | None, until: date | None, *, size: int = 10_000) -> None:
        self._ledger = ledger
        self._size = size
        self._from, self._beyond = _bounds(ledger, since, until)
        self.names: Names = {}

    def __iter__(self) -> Iterator[tuple[list[Row], list[Row]]]:
        with self._ledger.reading() as connection:
            self.names = _names(connection)
            after, inclusive = self._from, True
            while True:
                rows = self._decisions(connection, after, inclusive)
                if not rows:
                    return
                yield rows, self._attempts(connection, rows[0][0], rows[-1][0])
                after, inclusive = rows[-1][0], False

    def _decisions(self, connection: Connection, after: bytes, inclusive: bool) -> list[Row]:
        query = sa.text(
            f"SELECT {', '.join(DECISION_COLUMNS)} FROM decision "
            f"WHERE id {'>=' if inclusive else '>'} :after AND id < :beyond ORDER BY id LIMIT :size"
        )
        found = connection.execute(query, {"after": after, "beyond": self._beyond, "size": self._size})
        return [tuple(row) for row in found]

    def _attempts(self, connection: Connection, first: bytes, last: bytes) -> list[Row]:
        query = sa.text(
            f"SELECT {', '.join(ATTEMPT_COLUMNS)} FROM attempt "
            "WHERE decision_id >= :first AND decision_id <= :last ORDER BY decision_id, seq"
        )
        return [tuple(row) for row in connection.execute(query, {"first": first, "last": last})]


def decisions(
    ledger: Ledger, since: date | None = None, until: date | None = None, *, size: int = 2_000
) -> Iterator[RoutingDecision]:
    """Yield the decisions of a range of days, ``until`` included, in the order of their ids."""
    pages = Pages(ledger, since, until, size=size)
    for rows, attempts in pages:
        calls: dict[bytes, list[Any]] = {
            key: [dict(zip(ATTEMPT_COLUMNS, call, strict=True)) for call in group]
            for key, group in groupby(attempts, key=lambda call: bytes(call[_DECISION_ID]))
        }
        for row in rows:
            found: Any = dict(zip(DECISION_COLUMNS, row, strict=True))
            yield decision_of(found, calls.get(bytes(row[0]), ()), pages.names)


def held(ledger: Ledger, ids: Sequence[bytes]) -> set[bytes]:
    """Return which of these ids the ledger holds; quick where it holds nothing between the lowest and the highest."""
    if not ids:
        return set()
    anything = sa.text("SELECT 1 FROM decision WHERE id >= :first AND id <= :last LIMIT 1")
    look = sa.text("SELECT id FROM decision WHERE id IN :ids").bindparams(sa.bindparam("ids", expanding=True))
    found: set[bytes] = set()
    with ledger.reading() as connection:
        if connection.execute(anything, {"first": min(ids), "last": max(ids)}).first() is None:
            return found
        for start in range(0, len(ids), _AT_ONCE):
            found.update(bytes(row[0]) for row in connection.execute(look, {"ids": ids[start : start + _AT_ONCE]}))
    return found


def by_tail(ledger: Ledger, tails: Iterable[bytes], first: bytes, last: bytes) -> dict[bytes, bytes]:
    """Return the ids from ``first`` to ``last`` by their last ten bytes, as far as these are asked for."""
    wanted = set(tails)
    query = sa.text("SELECT id FROM decision WHERE id >= :first AND id <= :last")
    with ledger.reading() as connection:
        found = connection.execution_options(yield_per=10_000).execute(query, {"first": first, "last": last})
        return {key[6:]: key for row in found if (key := bytes(row[0]))[6:] in wanted}


def _bounds(ledger: Ledger, since: date | None, until: date | None) -> tuple[bytes, bytes]:
    """Return the lowest id of a range of days, and the first beyond it."""
    first = day_number(since) if since is not None else None
    last = day_number(until) if until is not None else None
    return (
        ledger.days.id_range(first, first)[0] if first is not None else _LOWEST,
        ledger.days.id_range(last, last)[1] if last is not None else _BEYOND,
    )


def _names(connection: Connection) -> Names:
    names: Names = {kind: {} for kind in KINDS}
    for number, kind, name in connection.execute(sa.text("SELECT id, kind, name FROM dimension")):
        names[kind][number] = name
    return names
