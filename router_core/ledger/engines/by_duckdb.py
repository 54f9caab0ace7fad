"""Days summed by DuckDB in processes of their own: from the ledger's rows, or an archive's Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from router_core.errors import InputError
from router_core.ledger.bulk import Row
from router_core.ledger.dimensions import KINDS
from router_core.ledger.engines.apart import apart
from router_core.ledger.engines.texts import TEXTS, columns, numbered, sum_day
from router_core.ledger.manifest import Manifest
from router_core.ledger.parts import DECISIONS, PARTS, Part
from router_core.ledger.rollup import DaySums
from router_core.ledger.snapshot import quick_snapshot
from router_core.ledger.store import Ledger

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MEMORY = "256MB"  # of each, beyond the rows of a day

Names = Sequence[tuple[str, str, int]]
Sums = tuple[int, int, list[pa.Table]]  # day, generation, and what each of TEXTS gave


class DuckDb:
    """Sums days by DuckDB; raises ``InputError`` where it is not installed."""

    reads_archives = True

    def __init__(self) -> None:
        if find_spec("duckdb") is None:
            raise InputError("DuckDB is not installed; install tierwise[archive], or leave --engine out")

    def sums(self, ledger: Ledger, days: Sequence[int], archives: Mapping[int, Manifest]) -> Iterator[DaySums]:
        """Yield the cells of days, those of ``archives`` from there; raises ``LedgerError`` where reading fails."""
        url = ledger.engine.url.render_as_string(hide_password=False)
        names = [(kind, name, number) for kind in KINDS for number, name in ledger.dimension_names(kind).items()]
        tasks = [(url, day, ledger.days.id_range(day, day), names, _paths(archives.get(day), day)) for day in days]
        for found in apart(_sum, tasks):
            if found is not None:
                day, generation, tables = found
                rows = dict(zip(TEXTS, map(_rows, tables), strict=True))
                yield sum_day(day, generation, rows.__getitem__)


def _paths(archive: Manifest | None, day: int) -> dict[str, str]:
    return {} if archive is None else {part.table: str(archive.path(day, part.table)) for part in PARTS}


def _rows(table: pa.Table) -> list[Row]:
    # By way of numpy, which makes plain integers of a column in a tenth of the time; nothing in it is NULL.
    return list(zip(*(column.to_numpy().tolist() for column in table.columns), strict=True))


def _sum(url: str, day: int, bounds: tuple[bytes, bytes], names: Names, paths: Mapping[str, str]) -> Sums | None:
    """Sum one day in this process, which does nothing else with the ledger; None where it is not dirty any more."""
    low, high = bounds
    with quick_snapshot(url) as rows:
        found = rows.one(f"SELECT generation FROM dirty_day WHERE day = {int(day)}")
        if found is None:
            return None
        tables = {} if paths else {part: _read(rows.rows(part, low, high, columns(part)), part) for part in PARTS}
    generation = int(found[0])
    if paths:
        with _connect() as connection:
            _name(connection, names, paths)
            return day, generation, _run(connection, low, high)
    connection = _mine()
    ids = tables[DECISIONS]["id"].combine_chunks()
    for part, table in tables.items():
        # The place of a decision in place of its id: integers are joined in much less time than strings of bytes.
        at = np.arange(len(ids)) if part is DECISIONS else _places(ids, table[part.key].combine_chunks())
        connection.register(
            part.table, table.set_column(table.schema.get_field_index(part.key), part.key, pa.array(at))
        )
    try:
        return day, generation, _run(connection, 0, len(ids))
    finally:
        for part in PARTS:
            connection.unregister(part.table)


def _read(batches: Iterator[pa.RecordBatch], part: Part) -> pa.Table:
    return pa.Table.from_batches(batches, schema=pa.schema([part.schema.field(name) for name in columns(part)]))


def _run(connection: DuckDBPyConnection, low: Any, high: Any) -> list[pa.Table]:
    queries = [text.replace(":low", "$low").replace(":high", "$high") for text in TEXTS]
    return [connection.sql(query, params={"low": low, "high": high}).to_arrow_table() for query in queries]


def _connect() -> DuckDBPyConnection:
    import duckdb

    return duckdb.connect(config={"threads": 1, "memory_limit": _MEMORY})


@cache
def _mine() -> DuckDBPyConnection:
    """This process's own connection: a new one takes longer than some of the questions."""
    return _connect()


def _name(connection: DuckDBPyConnection, names: Names, paths: Mapping[str, str]) -> None:
    """Give an archive's files the names of the ledger's tables, and its names their numbers."""
    listed = list(zip(*names, strict=True))
    connection.register("names", pa.table(dict(zip(("kind", "name", "number"), listed, strict=True))))
    for part in PARTS:
        source = "read_parquet('{}')".format(paths[part.table].replace("'", "''"))
        connection.execute(f"CREATE VIEW {part.table} AS {numbered(part, source)}")


def _places(ids: pa.FixedSizeBinaryArray, keys: pa.FixedSizeBinaryArray) -> npt.NDArray[np.int64]:
    """Return the place of each key among ids, which are sorted and of 16 bytes; -1 where it is not among them."""
    if not len(ids) or not len(keys):
        return np.full(len(keys), -1)
    among, sought = _halves(ids), _halves(keys)
    places = np.minimum(np.searchsorted(among[:, 0], sought[:, 0]), len(ids) - 1)
    # Of several with the same first half this was the first, so whatever is not found yet is looked up whole.
    rest = np.flatnonzero((among[places] != sought).any(axis=1))
    if len(rest):
        found = pc.fill_null(pc.index_in(keys.take(pa.array(rest)), ids), -1)
        places[rest] = found.to_numpy()
    return places


def _halves(ids: pa.FixedSizeBinaryArray) -> npt.NDArray[np.uint64]:
    whole = np.frombuffer(ids.buffers()[1], ">u8").reshape(-1, 2)[ids.offset : ids.offset + len(ids)]
    return whole.astype(np.uint64)
