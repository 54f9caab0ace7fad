"""Spend that somebody else summed, as the ledger keeps it: it counts as spend, never as evidence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa

from router_core.ledger.days import date_of, day_number
from router_core.ledger.store import Ledger

_BUCKET = ("source", "day", "starts_at_ms", "ends_at_ms", "provider_name", "model", "meter", "account")
_FIGURES = (
    "requests",
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "reasoning_output_tokens",
    "list_cost_nusd",
    "reported_cost_nusd",
)
_AT_ONCE = 500

Dimension = Literal["day", "source", "provider", "model", "meter", "account"]
_COLUMN = {"day": "day", "provider": "provider_name", "source": "source", "model": "model"}
_COLUMN |= {"meter": "meter", "account": "account"}


@dataclass(frozen=True, slots=True)
class Metered:
    """One row of a report: a bucket of time, model, meter and account, and its figures; None is not known.

    ``row_hash`` is 16 bytes that name the bucket; ``day`` the UTC date the report files it under; times are UTC epoch
    milliseconds; costs nano-dollars, ``list_cost_nusd`` by our prices and ``reported_cost_nusd`` by the report.
    """

    row_hash: bytes
    source: str
    day: date
    starts_at_ms: int
    ends_at_ms: int
    provider_name: str
    model: str
    meter: str = ""
    account: str = ""
    requests: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    list_cost_nusd: int | None = None
    reported_cost_nusd: int | None = None


class Written(NamedTuple):
    """The buckets that were kept, how many of them said something else before, and how many others said the same."""

    kept: tuple[Metered, ...]
    changed: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class MeteredLine:
    """Sums over the buckets that share ``keys``; None where no bucket gave the figure."""

    keys: tuple[str | date, ...]
    rows: int
    requests: int | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int | None
    cache_write_input_tokens: int | None
    reasoning_output_tokens: int | None
    list_cost_nusd: int | None
    reported_cost_nusd: int | None


def write_metered(ledger: Ledger, rows: Iterable[Metered]) -> Written:
    """Keep buckets in one transaction; one that is there already takes the newer figures."""
    once = {row.row_hash: row for row in rows}
    if not once:
        return Written((), 0, 0)
    columns = ("row_hash", *_BUCKET, *_FIGURES)
    keep = sa.text(
        f"INSERT INTO metered_spend ({', '.join(columns)}) VALUES ({', '.join(':' + name for name in columns)}) "
        "ON CONFLICT (row_hash) DO UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in _FIGURES)
    )
    look = sa.text(f"SELECT row_hash, {', '.join(_FIGURES)} FROM metered_spend WHERE row_hash IN :hashes").bindparams(
        sa.bindparam("hashes", expanding=True)
    )
    hashes = list(once)
    with ledger.writing() as connection:
        before: dict[bytes, tuple[Any, ...]] = {}
        for start in range(0, len(hashes), _AT_ONCE):
            for found in connection.execute(look, {"hashes": hashes[start : start + _AT_ONCE]}):
                before[bytes(found[0])] = tuple(found[1:])
        news = [row for row in once.values() if before.get(row.row_hash) != _figures(row)]
        if news:
            connection.execute(keep, [_values(row) for row in news])
    added = len(once) - len(before)
    return Written(tuple(news), len(news) - added, len(once) - len(news))


def metered(
    ledger: Ledger,
    by: Sequence[Dimension] = ("source",),
    since: date | None = None,
    until: date | None = None,
    *,
    source: str | None = None,
) -> list[MeteredLine]:
    """Sum buckets by some dimensions over UTC days, ``until`` included, ordered by their keys.

    Sources may describe the same calls (a usage and a cost report of one provider), so sums across sources may count
    them twice; ask for one source, or by source.
    """
    names = [_COLUMN[dimension] for dimension in by]
    conditions: list[str] = []
    values: dict[str, int | str] = {}
    if since is not None:
        conditions.append("day >= :since")
        values["since"] = day_number(since)
    if until is not None:
        conditions.append("day <= :until")
        values["until"] = day_number(until)
    if source is not None:
        conditions.append("source = :source")
        values["source"] = source
    keys = "".join(f"{name}, " for name in names)
    sums = ", ".join(f"SUM({name})" for name in _FIGURES)
    query = f"SELECT {keys}COUNT(*), {sums} FROM metered_spend"
    if conditions:
        query += f" WHERE {' AND '.join(conditions)}"
    if names:
        query += f" GROUP BY {', '.join(names)} ORDER BY {', '.join(names)}"
    with ledger.reading() as connection:
        found = connection.execute(sa.text(query), values).all()
    width = len(names)
    return [
        MeteredLine(
            tuple(date_of(key) if name == "day" else key for name, key in zip(names, row[:width], strict=True)),
            int(row[width]),
            *(None if figure is None else int(figure) for figure in row[width + 1 :]),
        )
        for row in found
        if row[width]
    ]


def _figures(row: Metered) -> tuple[Any, ...]:
    return tuple(getattr(row, name) for name in _FIGURES)


def _values(row: Metered) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in ("row_hash", *_BUCKET, *_FIGURES)}
    values["day"] = day_number(row.day)
    return values
