"""Days summed by DuckDB, two at a time in processes of their own: from the ledger's rows, or an archive's Parquet."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

import pyarrow as pa

from router_core.errors import InputError
from router_core.ledger.dimensions import KINDS
from router_core.ledger.engines.texts import columns, numbered, sum_day
from router_core.ledger.manifest import Manifest
from router_core.ledger.parts import PARTS
from router_core.ledger.rollup import DaySums
from router_core.ledger.snapshot import quick_snapshot
from router_core.ledger.store import Ledger

_WORKERS = 2
_MEMORY = "256MB"  # of each, beyond the rows of a day

Names = Sequence[tuple[str, str, int]]


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
        workers = max(1, min(_WORKERS, os.cpu_count() or 1, len(days) // 8))  # one begins quicker than two
        # Not forked: a child must not share open databases with its parent.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            waiting = [
                pool.submit(_sum, url, day, ledger.days.id_range(day, day), names, _paths(archives.get(day), day))
                for day in days
            ]
            try:
                for done in as_completed(waiting):
                    sums = done.result()
                    if sums is not None:
                        yield sums
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def _paths(archive: Manifest | None, day: int) -> dict[str, str]:
    return {} if archive is None else {part.table: str(archive.path(day, part.table)) for part in PARTS}


def _sum(url: str, day: int, bounds: tuple[bytes, bytes], names: Names, paths: Mapping[str, str]) -> DaySums | None:
    """Sum one day in this process, which does nothing else with the ledger; None where it is not dirty any more."""
    import duckdb

    low, high = bounds
    with duckdb.connect(config={"threads": 1, "memory_limit": _MEMORY}) as connection:
        with quick_snapshot(url) as rows:
            found = rows.one(f"SELECT generation FROM dirty_day WHERE day = {int(day)}")
            if found is None:
                return None
            if not paths:
                tables = {
                    part.table: pa.Table.from_batches(
                        rows.rows(part, low, high, columns(part)),
                        schema=pa.schema([part.schema.field(name) for name in columns(part)]),
                    )
                    for part in PARTS
                }
                for table, content in tables.items():
                    connection.register(table, content)
        if paths:
            listed = list(zip(*names, strict=True))
            connection.register("names", pa.table(dict(zip(("kind", "name", "number"), listed, strict=True))))
            for part in PARTS:
                source = "read_parquet('{}')".format(paths[part.table].replace("'", "''"))
                connection.execute(f"CREATE VIEW {part.table} AS {numbered(part, source)}")

        def run(text: str) -> list[tuple[Any, ...]]:
            query = text.replace(":low", "$low").replace(":high", "$high")
            return connection.execute(query, {"low": low, "high": high}).fetchall()

        return sum_day(day, int(found[0]), run)
