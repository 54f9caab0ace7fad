"""Where routing decisions are kept: opening a ledger, writing decisions into it and reading one back."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from router_core.decision import RoutingDecision
from router_core.errors import LedgerError
from router_core.ledger import schema
from router_core.ledger.bulk import Row, insert_many
from router_core.ledger.connect import check_file, ledger_url, make_engine, shown, transaction, write_ahead
from router_core.ledger.days import Days
from router_core.ledger.dimensions import KINDS, Dimensions
from router_core.ledger.partitions import Partitions, lacks_partition
from router_core.ledger.rows import ATTEMPT_COLUMNS, DECISION_COLUMNS, decision_of, rows_of
from router_core.ledger.tables import MILLION

LABEL_COLUMNS = ("decision_id", "labelled_at_ms", "source", "quality_ppm", "needed_tier_id", "author", "note")

_TRIES = 3  # to find out which decisions are there already, while other gateways write the same ones
_DAY = DECISION_COLUMNS.index("day")
_AT = DECISION_COLUMNS.index("decided_at_ms")
_QUALITY = DECISION_COLUMNS.index("quality_ppm")
_SOURCE = DECISION_COLUMNS.index("quality_source")
MARK_DIRTY = (
    "INSERT INTO dirty_day (day, generation) VALUES (:day, :generation) "
    "ON CONFLICT (day) DO UPDATE SET generation = excluded.generation"
)
_MARK_DIRTY = sa.text(MARK_DIRTY)


class Ledger:
    """One ledger, open; made by ``open_ledger``. Every method may be called from any thread."""

    def __init__(self, engine: Engine, zone: ZoneInfo) -> None:
        self.engine = engine
        self.zone = zone
        self.days = Days(zone)
        self.dimensions = Dimensions(engine)
        self.partitions = Partitions(self.days)

    @property
    def url(self) -> str:
        """The ledger's database URL, without its password."""
        return self.engine.url.render_as_string(hide_password=True)

    def close(self) -> None:
        """Let go of the database."""
        self.engine.dispose()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def reading(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that sees one snapshot; raises the ``LedgerError`` that fits where it fails."""
        return transaction(self.engine, writes=False)

    def writing(self) -> AbstractContextManager[Connection]:
        """Begin a transaction that may write; raises ``LedgerLockedError`` where another writer does not let go."""
        return transaction(self.engine, writes=True)

    def dimension_id(self, kind: str, name: str) -> int:
        """Return the number of a name (kinds: see ``dimensions.KINDS``), adding it where it is new."""
        return self.dimensions.of(kind)[name]

    def dimension_names(self, kind: str) -> dict[int, str]:
        """Return the names of one kind by number."""
        return self.dimensions.names(kind)

    def write_decisions(self, decisions: Sequence[RoutingDecision]) -> int:
        """Keep decisions in one transaction; returns how many were new. A decision already kept is left as it is.

        Raises ``LedgerLockedError``, or ``LedgerError`` where the database fails; nothing is then kept.
        """
        return self.write_rows(*rows_of(decisions, self.dimensions, self.days))

    def write_rows(self, decision_rows: Sequence[Row], attempt_rows: Sequence[Row]) -> int:
        """Keep rows given as plain tuples in the order of ``rows.DECISION_COLUMNS`` and ``ATTEMPT_COLUMNS``.

        One transaction; returns how many decisions were new. The attempts of decisions already kept are left out.
        """
        if not decision_rows:
            return 0
        with self.writing() as connection:
            return insert_rows(connection, decision_rows, attempt_rows, self.partitions)

    def read_decision(self, decision_id: bytes) -> RoutingDecision:
        """Return the decision of that id; raises ``LedgerError`` where the ledger does not hold it."""
        with self.reading() as connection:
            row = connection.execute(sa.text("SELECT * FROM decision WHERE id = :id"), {"id": decision_id}).mappings()
            found = row.one_or_none()
            attempts = connection.execute(
                sa.text("SELECT * FROM attempt WHERE decision_id = :id ORDER BY seq"), {"id": decision_id}
            ).mappings()
            calls = attempts.all()
            names: dict[str, dict[int, str]] = {kind: {} for kind in KINDS}
            for number, kind, name in connection.execute(sa.text("SELECT id, kind, name FROM dimension")):
                names[kind][number] = name
        if found is None:
            raise LedgerError(f"the ledger holds no decision {decision_id.hex()}")
        return decision_of(found, calls, names)

    def meta(self, name: str) -> str | None:
        """Return a fact about the ledger itself, None where it is not known."""
        with self.reading() as connection:
            return read_meta(connection, name)

    def set_meta(self, name: str, value: str) -> None:
        """Keep a fact about the ledger itself."""
        with self.writing() as connection:
            write_meta(connection, name, value)

    def event(self, who: str, what: str, detail: str = "") -> None:
        """Keep in the audit log who did what, now."""
        with self.writing() as connection:
            insert_event(connection, who, what, detail)


def open_ledger(url_or_path: str | Path, *, create: bool = True, timezone: str = "UTC") -> Ledger:
    """Open a ledger, bringing an older one up to date; where there is none yet and ``create``, make it.

    A new ledger counts its days in ``timezone`` ever after and starts with the catalogue's prices. Raises
    ``NotALedgerError``, ``LedgerLockedError``, or ``LedgerError`` where it cannot be opened or is of a newer version.
    """
    url = ledger_url(url_or_path)
    check_file(url, create=create)
    engine = make_engine(url)
    try:
        with transaction(engine, writes=False) as connection:
            version = schema.current(connection, url)
        if version is None and not create:
            raise LedgerError(f"there is no ledger at {shown(url)}; 'tierwise demo' makes one to look at")
        if version != schema.HEAD:
            _bring_up_to_date(engine, timezone)
        with transaction(engine, writes=False) as connection:
            zone = read_meta(connection, "timezone") or "UTC"
        return Ledger(engine, ZoneInfo(zone))
    except BaseException:
        engine.dispose()
        raise


def _bring_up_to_date(engine: Engine, timezone: str) -> None:
    write_ahead(engine)
    with transaction(engine, writes=True) as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7305808869230650227)")
        before = schema.current(connection, engine.url)  # another process may have been faster
        schema.upgrade(connection)
        if before is None:
            write_meta(connection, "timezone", ZoneInfo(timezone).key)
            write_meta(connection, "created_at_ms", str(time.time_ns() // MILLION))
            _fill_prices(connection)


def _fill_prices(connection: Connection) -> None:
    from router_core.config import data_dir
    from router_core.ledger.price_inserts import insert_prices
    from router_core.prices import catalogue, load_price_overrides

    insert_prices(connection, [*catalogue(), *load_price_overrides(data_dir() / "prices.yaml")])


def insert_rows(
    connection: Connection, decision_rows: Sequence[Row], attempt_rows: Sequence[Row], partitions: Partitions
) -> int:
    """Insert rows within the connection's transaction, as ``Ledger.write_rows`` says; returns how many were new."""
    decisions, attempts = list(decision_rows), list(attempt_rows)
    days = {row[_DAY] for row in decisions}
    partitions.provide(connection, days)
    # Written out, since SQLAlchemy's own nested transaction takes longer than all else a small group needs.
    connection.exec_driver_sql("SAVEPOINT new_rows")
    for left in range(_TRIES, -1, -1):
        try:
            insert_many(connection, "decision", DECISION_COLUMNS, decisions)
            break
        except IntegrityError as error:  # seldom: at least one is there already, or stands twice in this batch
            if not left:
                raise
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT new_rows")
            if lacks_partition(error):
                partitions.forget()
                partitions.provide(connection, days)
            once = {row[0]: row for row in reversed(decisions)}
            kept = _kept(connection, list(once))
            # In one order, so that two gateways with the same decisions wait for one another and not in a circle.
            decisions = [once[key] for key in sorted(once.keys() - kept)]
            if not decisions:
                return 0
            attempts = list({(row[0], row[1]): row for row in reversed(attempts) if row[0] in once}.values())
            attempts = [row for row in attempts if row[0] not in kept]
    if attempts:
        insert_many(connection, "attempt", ATTEMPT_COLUMNS, attempts)
    labels = [
        (row[0], row[_AT], row[_SOURCE], row[_QUALITY], None, "", "") for row in decisions if row[_QUALITY] is not None
    ]
    if labels:
        insert_many(connection, "quality_label", LABEL_COLUMNS, labels)
    mark_dirty(connection, {row[_DAY] for row in decisions})
    return len(decisions)


def mark_dirty(connection: Connection, days: Iterable[int]) -> None:
    """Say that the cells of these days are older than their rows, within the transaction that adds the rows."""
    generation = random.getrandbits(62)
    connection.execute(_MARK_DIRTY, [{"day": day, "generation": generation} for day in sorted(days)])


def insert_event(connection: Connection, who: str, what: str, detail: str = "") -> None:
    """Keep in the audit log who did what, within the connection's transaction."""
    connection.execute(
        sa.text("INSERT INTO event (at_ms, who, what, detail) VALUES (:at, :who, :what, :detail)"),
        {"at": time.time_ns() // MILLION, "who": who, "what": what, "detail": detail},
    )


def read_meta(connection: Connection, name: str) -> str | None:
    """Return a fact about the ledger itself, None where it is not known."""
    found = connection.execute(sa.text("SELECT value FROM meta WHERE name = :name"), {"name": name}).scalar()
    return None if found is None else str(found)


def write_meta(connection: Connection, name: str, value: str) -> None:
    """Keep a fact about the ledger itself."""
    connection.execute(
        sa.text(
            "INSERT INTO meta (name, value) VALUES (:name, :value) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        ),
        {"name": name, "value": value},
    )


def _kept(connection: Connection, ids: Sequence[bytes]) -> set[bytes]:
    look = sa.text("SELECT id FROM decision WHERE id IN :ids").bindparams(sa.bindparam("ids", expanding=True))
    kept: set[bytes] = set()
    for start in range(0, len(ids), 500):
        kept.update(bytes(row[0]) for row in connection.execute(look, {"ids": ids[start : start + 500]}))
    return kept
