"""One moment of a ledger's rows as Arrow batches: read by ADBC where that is installed, else by the ledger's driver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url

from router_core.errors import LedgerError
from router_core.ledger.connect import driven, make_engine, shown, transaction
from router_core.ledger.parts import ROWS, Part


class Snapshot(Protocol):
    """Answers as of one moment, whoever writes meanwhile; raises ``LedgerError`` where the database fails."""

    def rows(self, part: Part, low: bytes, high: bytes, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        """Yield the rows of decisions with ``low`` <= id < ``high`` by key, in the types of ``Part.schema``; all
        columns, or those named."""

    def one(self, text: str) -> tuple[Any, ...] | None:
        """Return the first row of a question without parameters."""


@contextmanager
def quick_snapshot(url: str) -> Iterator[Snapshot]:
    """Begin to read a ledger in a process that does nothing else with it: by ADBC where that is installed.

    ADBC brings a SQLite library of its own, and two of them in one process take one another's locks away.
    """
    where = make_url(url)
    dbapi = _adbc() if where.get_backend_name() == "sqlite" else None
    if dbapi is None:
        engine = make_engine(where)
        with transaction(engine, writes=False) as connection:
            yield ByDriver(connection)
        engine.dispose()
        return
    try:
        # Not in autocommit, so that the first question fixes the moment for all of them.
        with dbapi.connect(str(where.database)) as connection:
            yield _ByAdbc(connection)
    except dbapi.Error as error:
        raise LedgerError(f"the ledger {shown(where)} failed: {str(error).splitlines()[0]}") from error


def _adbc() -> Any:
    try:
        from adbc_driver_sqlite import dbapi
    except ModuleNotFoundError:
        return None
    return dbapi


class ByDriver:
    """The snapshot a reading transaction sees."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def rows(self, part: Part, low: bytes, high: bytes, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        schema = _schema(part, columns)
        with self._found(_select(part, schema.names, ":low", ":high"), low, high) as cursor:
            while rows := cursor.fetchmany(ROWS):
                with _exact(part):
                    arrays = [
                        pa.array(column, field.type)
                        for column, field in zip(zip(*rows, strict=True), schema, strict=True)
                    ]
                yield pa.record_batch(arrays, schema=schema)

    @contextmanager
    def _found(self, text: str, low: bytes, high: bytes) -> Iterator[Any]:
        """Ask by a cursor of the driver's own: a wrapper around each row would take longer than all the rest."""
        if self._connection.dialect.name == "postgresql":
            asked = text.replace(":low", "%s").replace(":high", "%s")
            # Named, so that the server keeps the rows until they are fetched.
            with driven(self._connection, asked) as driver, driver.cursor("tierwise_rows") as cursor:
                cursor.execute(asked, (low, high))
                yield cursor
            return
        with self._connection.execute(sa.text(text), {"low": low, "high": high}) as found:
            yield found.cursor

    def one(self, text: str) -> tuple[Any, ...] | None:
        row = self._connection.exec_driver_sql(text).first()
        return None if row is None else tuple(row)


class _ByAdbc:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def rows(self, part: Part, low: bytes, high: bytes, columns: Sequence[str] = ()) -> Iterator[pa.RecordBatch]:
        schema = _schema(part, columns)
        packs = _packs(schema)
        bounds = f"X'{low.hex()}'", f"X'{high.hex()}'"
        with self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(ROWS)})
            cursor.execute(_select(part, [text for text, _ in packs], *bounds))
            for batch in cursor.fetch_record_batch():
                if batch.num_rows:  # types are those of the values met, so without any there are none
                    with _exact(part):
                        unpacked: dict[str, pa.Array] = {}
                        for column, (_, fields) in zip(batch.columns, packs, strict=True):
                            unpacked |= _unpacked(column, fields)
                    yield pa.record_batch([unpacked[name] for name in schema.names], schema=schema)

    def one(self, text: str) -> tuple[Any, ...] | None:
        with self._connection.cursor() as cursor:
            cursor.execute(text)
            found: tuple[Any, ...] | None = cursor.fetchone()
            return found


def _schema(part: Part, columns: Sequence[str]) -> pa.Schema:
    return pa.schema([part.schema.field(name) for name in columns]) if columns else part.schema


def _packs(schema: pa.Schema) -> list[tuple[str, list[pa.Field]]]:
    """Return what to ask for, and the columns it holds.

    Codes and numbers of names share an integer, as each value that is handed over takes longer than reading it.
    """
    packs: list[tuple[str, list[pa.Field]]] = []
    for kind, bits in ((pa.int16(), 16), (pa.int32(), 32)):
        small = [field for field in schema if field.type == kind and not field.nullable]
        for start in range(0, len(small), 64 // bits):
            some = small[start : start + 64 // bits]
            parts = (f"(({field.name} & {2**bits - 1}) << {place * bits})" for place, field in enumerate(some))
            packs.append((" | ".join(parts), some))
    packed = {field.name for _, some in packs for field in some}
    return packs + [(field.name, [field]) for field in schema if field.name not in packed]


def _unpacked(column: pa.Array, fields: Sequence[pa.Field]) -> dict[str, pa.Array]:
    first = fields[0]
    if first.nullable or first.type not in (pa.int16(), pa.int32()):
        return {first.name: column.cast(first.type)}
    each = column.to_numpy().view(first.type.to_pandas_dtype()).reshape(len(column), -1)
    return {field.name: pa.array(np.ascontiguousarray(each[:, place])) for place, field in enumerate(fields)}


def _select(part: Part, asked: Sequence[str], low: str, high: str) -> str:
    return (
        f"SELECT {', '.join(asked)} FROM {part.table} "
        f"WHERE {part.key} >= {low} AND {part.key} < {high} ORDER BY {part.order}"
    )


@contextmanager
def _exact(part: Part) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        raise LedgerError(f"a row of {part.table} holds what its column cannot: {error}") from None
