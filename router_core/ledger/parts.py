"""Rows of a range of decisions as Arrow batches and Parquet files: exact types, and names in place of numbers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import sqlalchemy as sa

from router_core.errors import LedgerError
from router_core.ledger.tables import AttemptRow, DecisionRow, QualityLabelRow

Names = Mapping[str, Mapping[int, str]]  # by kind, then by number

ROWS = 65_536  # of a batch, and of a row group
_KIND_OF = {"needed_tier_id": "tier"}  # any other is called like its column


@dataclass(frozen=True, eq=False)
class Part:
    """One table of a day. ``kinds`` are the columns that hold numbers of names, each with the kind of name; ``schema``
    has those numbers, and ``named`` in their place the names, the column called without its ``_id``."""

    table: str
    key: str
    order: str
    schema: pa.Schema
    named: pa.Schema
    kinds: Mapping[str, str]


def _part(row: type, key: str, order: str) -> Part:
    columns = row.__table__.columns  # type: ignore[attr-defined]
    whole = {"decision_id", "price_id", "id"}
    kinds = {c.name: _KIND_OF.get(c.name, c.name[:-3]) for c in columns if c.name[-3:] == "_id" and c.name not in whole}
    schema = pa.schema([pa.field(c.name, _arrow_type(c.name, c.type), nullable=bool(c.nullable)) for c in columns])
    named = pa.schema(
        [
            pa.field(f.name[:-3], pa.dictionary(pa.int32(), pa.string()), nullable=f.nullable) if f.name in kinds else f
            for f in schema
        ]
    )
    return Part(row.__tablename__, key, order, schema, named, kinds)  # type: ignore[attr-defined]


def _arrow_type(name: str, kind: Any) -> pa.DataType:
    if isinstance(kind, sa.LargeBinary):
        return pa.binary(16)
    if isinstance(kind, sa.SmallInteger):
        return pa.int16()
    if isinstance(kind, sa.BigInteger) or name == "id":
        return pa.int64()
    return pa.int32() if isinstance(kind, sa.Integer) else pa.string()


DECISIONS = _part(DecisionRow, "id", "id")
ATTEMPTS = _part(AttemptRow, "decision_id", "decision_id, seq")
LABELS = _part(QualityLabelRow, "decision_id", "decision_id, id")
PARTS = (DECISIONS, ATTEMPTS, LABELS)


def with_names(batch: pa.RecordBatch, part: Part, names: Names) -> pa.RecordBatch:
    """Return a batch in the shape ``named``; raises ``LedgerError`` where a number stands for no name."""
    columns = []
    for column, field in zip(batch.columns, batch.schema, strict=True):
        kind = part.kinds.get(field.name)
        if kind is None:
            columns.append(column)
            continue
        known = names[kind]
        place = pc.index_in(column, pa.array(list(known), pa.int32()))
        if place.null_count > column.null_count:
            raise LedgerError(f"a row of {part.table} has a {field.name} that stands for no name of the ledger")
        columns.append(pa.DictionaryArray.from_arrays(place, pa.array(list(known.values()), pa.string())))
    return pa.record_batch(columns, schema=part.named)


def with_numbers(batch: pa.RecordBatch, part: Part, numbers: Mapping[str, Mapping[str, int]]) -> pa.RecordBatch:
    """Return a batch of the shape ``named`` in the shape ``schema``; ``numbers`` has every name, by kind."""
    columns = []
    for field in part.schema:
        kind = part.kinds.get(field.name)
        if kind is None:
            columns.append(batch.column(field.name).cast(field.type))
            continue
        known = numbers[kind]
        texts = batch.column(field.name[:-3]).cast(pa.string())
        place = pc.index_in(texts, pa.array(list(known), pa.string()))
        columns.append(pc.take(pa.array(list(known.values()), pa.int32()), place))
    return pa.record_batch(columns, schema=part.schema)


def write_parquet(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write batches to a new file and wait until they are on the disk; returns the rows. Raises ``OSError``."""
    rows = 0
    with path.open("xb") as file:
        with pq.ParquetWriter(file, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
                rows += batch.num_rows
        file.flush()
        os.fsync(file.fileno())
    return rows


def read_parquet(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a file in the shape it was written in."""
    with pq.ParquetFile(path) as file:
        yield from file.iter_batches(batch_size=ROWS)
