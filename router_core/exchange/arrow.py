"""Arrow's columns as arrays, from its buffers: its own way to numpy imports pandas, slower than a small log."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from router_core.exchange.columns import Bools, Ints, Named


def whole(column: Any) -> Any:
    """Return a column in one piece."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def times(column: Any) -> tuple[Ints, Bools]:
    """Return times in epoch milliseconds, and which of them name no zone; all of a column do or none does."""
    try:
        moments = pc.cast(column, pa.timestamp("us", "UTC"))
        unzoned = np.zeros(len(column), np.bool_)
    except pa.ArrowInvalid:
        moments = pc.cast(column, pa.timestamp("us"))
        unzoned = valid(column)
    return numbers(pc.cast(moments, pa.int64())) // 1000, unzoned


def numbers(column: Any, kind: Any = np.int64) -> Any:
    """Return numbers of eight bytes as an array, 0 where there is none."""
    found = whole(column)
    values = np.frombuffer(found.buffers()[1], kind)[found.offset : found.offset + len(found)]
    return np.where(valid(found), values, 0)


def valid(column: Any) -> Bools:
    """Return which values are there."""
    found = whole(column)
    return np.ones(len(found), np.bool_) if found.null_count == 0 else _bits(found, 0)


def true(column: Any) -> Bools:
    """Return truths as an array, False where there is none."""
    found = whole(column)
    return _bits(found, 1) & valid(found)


def field(table: Any, *path: str) -> Any:
    """Return a column, or a field within one of structs."""
    column = table[path[0]]
    return pc.struct_field(column, list(path[1:])) if len(path) > 1 else column


def first_of(table: Any, *paths: tuple[str, ...]) -> Ints:
    """Return, of the numbers at some paths, each row's first that is there and not 0."""
    found: Ints = numbers(field(table, *paths[0]))
    for path in paths[1:]:
        found = np.where(found != 0, found, numbers(field(table, *path)))
    return found


def named(column: Any) -> Named:
    """Return a column of few values as such."""
    encoded = pc.dictionary_encode(whole(column), null_encoding="encode")
    codes = np.frombuffer(encoded.indices.buffers()[1], np.int32)[encoded.offset : encoded.offset + len(encoded)]
    return Named(encoded.dictionary.to_pylist(), codes.astype(np.intp))


def _bits(column: Any, buffer: int) -> Bools:
    found = np.unpackbits(np.frombuffer(column.buffers()[buffer], np.uint8), bitorder="little")
    return found[column.offset : column.offset + len(column)].astype(np.bool_)
