"""LiteLLM's own database: its SpendLogs read bit by bit, each time from where the last time ended."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from router_core.errors import InputError
from router_core.exchange.calls import Item
from router_core.exchange.currencies import Notes
from router_core.exchange.format import converted
from router_core.exchange.litellm_rows import spend_log
from router_core.exchange.load import import_items
from router_core.exchange.report import Report
from router_core.exchange.table import Row
from router_core.ledger.store import Ledger

if TYPE_CHECKING:
    import psycopg

SETTLE_S = 120
"""How long LiteLLM may take to write a call down once it has ended: it does so about every minute."""

_TABLE = "LiteLLM_SpendLogs"
_LONGEST = timedelta(hours=1)  # of a call, from its start to when it is written
_AT_ONCE = 2_000
_PATIENCE_S = 10
_NEEDED = ("request_id", "spend", "startTime", "endTime", "model", "prompt_tokens", "completion_tokens")
# Never the prompts, the answers or the addresses.
_WANTED = (
    *_NEEDED,
    *("call_type", "request_duration_ms", "completionStartTime", "model_group", "custom_llm_provider", "metadata"),
    *("cache_hit", "request_tags", "team_id", "session_id", "status"),
)


def capture(
    ledger: Ledger,
    url: str,
    *,
    since: datetime | None = None,
    settle_s: float = SETTLE_S,
    hash_key: bytes | None = None,
    now: datetime | None = None,
) -> Report:
    """Load what a LiteLLM database logged since the last capture from it; doing so again changes nothing.

    The first capture reads all, or from ``since`` on. Calls that ended in the last ``settle_s`` seconds, and failed
    ones that another call may yet take over from, are left for the next capture; every capture looks back an hour, so
    that calls written late are not missed. Raises ``InputError`` where the database cannot be read or is not
    LiteLLM's, and ``LedgerError``; what was loaded until then stays, and the next capture goes on.
    """
    until = (now or datetime.now(UTC)) - timedelta(seconds=settle_s)
    with _connected(url) as connection:
        place = f"{connection.info.host}:{connection.info.port}/{connection.info.dbname}"
        mark = f"captured litellm {place}"
        before = ledger.meta(mark)
        begin = since if before is None else datetime.fromisoformat(before) - _LONGEST
        notes = Notes()
        report = Report("LiteLLM database", "calls", notes=notes)
        items = _items(connection, begin, until, notes)
        left = import_items(ledger, items, report, place, hash_key=hash_key, until_ms=round(until.timestamp() * 1000))
    if left:
        notes["calls that another may take over from are left for the next capture"] += left
    ledger.set_meta(mark, until.isoformat())
    return report


def _items(connection: psycopg.Connection, begin: datetime | None, until: datetime, notes: Notes) -> Iterator[Item]:
    from psycopg import sql
    from psycopg.rows import dict_row

    look = "SELECT column_name FROM information_schema.columns WHERE table_name = %s"
    there = {str(row[0]) for row in connection.execute(look, [_TABLE])}
    missing = [name for name in _NEEDED if name not in there]
    if missing:
        what = f"its {_TABLE} has no {missing[0]}" if there else f"it has no table {_TABLE}"
        raise InputError(f"this is not LiteLLM's database: {what}", source=connection.info.dbname)
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in _WANTED if name in there)
    query = sql.SQL(
        'SELECT {columns} FROM {table} WHERE "startTime" >= %s AND "endTime" < %s ORDER BY "startTime", request_id'
    ).format(columns=columns, table=sql.Identifier(_TABLE))
    with connection.cursor("tierwise_capture", row_factory=dict_row) as cursor:
        cursor.itersize = _AT_ONCE
        cursor.execute(query, [_utc(begin or datetime(2000, 1, 1, tzinfo=UTC)), _utc(until)])
        rows = (Row(number, _plain(row), json.dumps(_plain(row))) for number, row in enumerate(cursor, 1))
        yield from converted(rows, spend_log, notes)


def _utc(moment: datetime) -> datetime:
    """Return a time as the table has it: in UTC, which it does not say."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
        if isinstance(value, datetime)
        else value
        for name, value in row.items()
    }


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    """Open a database to read from, in one snapshot; its failures become sentences, and its password is in none."""
    try:
        import psycopg
    except ModuleNotFoundError:
        raise InputError("reading a PostgreSQL database needs a driver; install tierwise[postgres]") from None
    scheme, mark, rest = url.partition("://")
    if not mark or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise InputError("LiteLLM's database is given as postgresql://user@host/name")
    try:
        with psycopg.connect(f"postgresql://{rest}", connect_timeout=_PATIENCE_S) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            yield connection
    except psycopg.Error as error:
        text = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(f"LiteLLM's database cannot be read: {text}") from None
