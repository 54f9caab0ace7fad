"""How the ledger reaches its database: the engine for a path or URL, and each failure as one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    NoSuchModuleError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    SQLAlchemyError,
)

from router_core.errors import LedgerError, LedgerLockedError, NotALedgerError

BUSY_TIMEOUT_MS = 5_000
_REFUSALS = (DataError, IntegrityError, InterfaceError, NotSupportedError, ProgrammingError)
_SQLITE_MAGIC = b"SQLite format 3\x00"


def ledger_url(url_or_path: str | Path) -> URL:
    """Return the database URL of a path or URL; raises ``LedgerError`` where it is neither."""
    text = str(url_or_path)
    if "://" not in text:
        if not text or text == ":memory:":
            raise LedgerError("a ledger is kept in a file or a database server, not in memory; give a path or a URL")
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise LedgerError(
            f"{text!r} is not a database URL; write a path, or for instance postgresql+psycopg://user@host/name"
        ) from None
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise LedgerError("a ledger is kept in a file or a database server, not in memory; give a path or a URL")
    return url


def make_engine(url: URL) -> Engine:
    """Return an engine whose transactions say when they begin; raises ``LedgerError`` where no driver fits."""
    sqlite = url.get_backend_name() == "sqlite"
    arguments: dict[str, Any] = {"connect_args": {"timeout": BUSY_TIMEOUT_MS / 1000}} if sqlite else {}
    try:
        engine = sa.create_engine(url, **arguments)
    except (NoSuchModuleError, ModuleNotFoundError) as error:
        raise LedgerError(
            f"no driver for {url.drivername!r} is installed ({error}); for PostgreSQL install tierwise[postgres]"
        ) from None
    if sqlite:
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # the driver then leaves transactions to us
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA cache_size=-65536")
    connection.execute("PRAGMA temp_store=MEMORY")


def _begin_sqlite(connection: Connection) -> None:
    begin = connection.get_execution_options().get("ledger_begin", "BEGIN")
    if begin:
        connection.exec_driver_sql(begin)


@contextmanager
def transaction(engine: Engine, *, writes: bool) -> Iterator[Connection]:
    """Run one transaction, reading from one snapshot; raises the ``LedgerError`` that fits where the database fails."""
    # A reader that later writes would fail where another writer came between, so writers take the lock at once.
    options: dict[str, Any] = {"ledger_begin": "BEGIN IMMEDIATE" if writes else "BEGIN"}
    if engine.dialect.name == "postgresql" and not writes:
        options["isolation_level"] = "REPEATABLE READ"
    with explained(engine.url), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def write_ahead(engine: Engine) -> None:
    """Let readers of a SQLite file see the last commit while somebody writes; the file remembers it."""
    if engine.dialect.name == "sqlite":
        with explained(engine.url), engine.connect().execution_options(ledger_begin="") as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")


@contextmanager
def explained(url: URL) -> Iterator[None]:
    """Turn a driver's exception into one sentence of the error tree."""
    try:
        yield
    except DBAPIError as error:
        raise explanation(error, url) from error
    except SQLAlchemyError as error:
        raise LedgerError(f"the ledger {shown(url)} failed: {_first_line(error)}") from error


@contextmanager
def driven(connection: Connection, statement: str) -> Iterator[Any]:
    """Lend the driver's own connection to PostgreSQL; what it raises is raised as for any other statement."""
    from psycopg import Error  # installed where a ledger is on a server

    driver = connection.connection.dbapi_connection
    assert driver is not None
    try:
        yield driver
    except Error as error:
        raise DBAPIError.instance(statement, None, error, Error, dialect=connection.dialect) from error


def explanation(error: DBAPIError, url: URL) -> LedgerError:
    """Return the error of our tree that says what a driver's error means to the person."""
    text = _first_line(error.orig or error)
    name = shown(url)
    if is_busy(error):
        return LedgerLockedError(f"the ledger {name} is locked by another process; try again when that is done")
    if "file is not a database" in text or "file is encrypted" in text:
        return NotALedgerError(f"{name} is not a Tierwise ledger; give another path with --db")
    if "malformed" in text:
        return LedgerError(f"the ledger {name} is damaged ({text}); restore it from a backup")
    if "unable to open database file" in text:
        return LedgerError(f"the ledger {name} cannot be opened; look whether its folder exists and can be written")
    if "readonly database" in text or "read-only" in text:
        return LedgerError(f"the ledger {name} cannot be written; look at the permissions of the file and its folder")
    if "disk is full" in text or "No space left" in text:
        return LedgerError(f"the disk that holds the ledger {name} is full; make room, then try again")
    if isinstance(error, OperationalError):
        return LedgerError(f"the ledger {name} cannot be reached: {text}")
    return LedgerError(f"the ledger {name} failed: {text}")


def is_busy(error: DBAPIError) -> bool:
    """Return whether somebody else holds the database, so that trying again can help."""
    text = str(error.orig)
    return "database is locked" in text or "database table is locked" in text or "lock timeout" in text


def shown(url: URL) -> str:
    """Return how a ledger is named in sentences: its path, or its URL without the password."""
    return repr(url.database) if url.get_backend_name() == "sqlite" else url.render_as_string(hide_password=True)


def check_file(url: URL, *, create: bool) -> None:
    """Look at a SQLite file before it is opened; raises where it cannot become, or is not, a ledger."""
    if url.get_backend_name() != "sqlite":
        return
    path = Path(url.database or "")
    name = shown(url)
    try:
        if path.is_dir():
            raise NotALedgerError(f"{name} is a folder, not a ledger; name a file in it")
        if not path.exists():
            if not create:
                raise LedgerError(f"there is no ledger at {name}; 'tierwise demo' makes one to look at")
            if not path.parent.is_dir():
                raise LedgerError(f"the folder of {name} does not exist; make it first")
            return
        with path.open("rb") as file:
            head = file.read(len(_SQLITE_MAGIC))
    except OSError as error:
        raise LedgerError(f"the ledger {name} cannot be opened: {error.strerror}") from None
    if head and head != _SQLITE_MAGIC:
        raise NotALedgerError(f"{name} is not a Tierwise ledger; give another path with --db")


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


class GoneError(LedgerError):
    """The ledger's file is not where it was."""


def is_away(error: LedgerError) -> bool:
    """Return whether the database could not be used at all, rather than would not take what it was given."""
    cause = error.__cause__
    if isinstance(cause, DBAPIError):
        return cause.connection_invalidated or not isinstance(cause, _REFUSALS)
    return isinstance(error, GoneError)
