"""Decisions looked up one page at a time, newest first: cells say which hours hold a match, so that no page scans."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Connection, RowMapping

from router_core.decision import QualitySource, Reason, Status, Strategy
from router_core.errors import InputError
from router_core.ledger.days import day_number
from router_core.ledger.filters import condition
from router_core.ledger.hours import Range, hour_ranges
from router_core.ledger.store import Ledger
from router_core.ledger.tables import MILLION

PAGE = 20
MOST_ROWS = 200_000  # looked through for one page at most, which takes a fraction of a second

_LOWEST, _BEYOND = bytes(16), b"\xff" * 16 + b"\xff"
_COLUMNS = (
    "id, decided_at_ms, feature_id, team_id, tier_id, reason, score, strategy, status, attempts, latency_ms, "
    "cost_nusd, quality_ppm, quality_source"
)
_NAMED = ("feature", "team", "tier")
_HEXADECIMAL = frozenset("0123456789abcdef")
_CALLS = sa.text(
    "SELECT decision_id, seq, model_id, final, input_tokens, output_tokens FROM attempt WHERE decision_id IN :ids"
).bindparams(sa.bindparam("ids", expanding=True))
_HOURS = (
    "SELECT hour, SUM(decisions) AS whole, SUM(CASE WHEN {match} THEN decisions ELSE 0 END) AS matching "
    "FROM spend_hour_cell WHERE day = :day GROUP BY hour"
)


@dataclass(frozen=True, slots=True)
class Search:
    """What to look for; an empty name is any. Days are of the reporting zone, ``until`` included.

    ``tier`` is the one assigned, ``status`` and ``reason`` names in lower case, ``id_start`` the first hexadecimal
    digits of an id, with or without dashes: where it is given, days are not looked at.
    """

    since: date | None = None
    until: date | None = None
    feature: str = ""
    team: str = ""
    tier: str = ""
    status: str = ""
    reason: str = ""
    id_start: str = ""

    def where(self, *names: str) -> dict[str, tuple[str, ...]]:
        """Return the conditions on these dimensions, those that are any left out."""
        return {name: (getattr(self, name),) for name in names if getattr(self, name)}


@dataclass(frozen=True, slots=True)
class Line:
    """One decision as a list shows it; ``model`` answered (empty: no call was made), tokens are those of all calls."""

    id: bytes
    decided_at_ms: int
    feature: str
    team: str
    tier: str
    reason: Reason
    score: int | None
    strategy: Strategy
    status: Status
    attempts: int
    latency_ms: int
    cost_nusd: int | None
    quality: float | None
    quality_source: QualitySource | None
    model: str
    input_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True, slots=True)
class Found:
    """One page, newest first.

    ``newer`` and ``older`` say whether there is more on that side. ``resume`` is set where the search stopped for the
    rows it had looked through, not for want of matches: going on from that id finds the rest.
    """

    lines: tuple[Line, ...]
    newer: bool
    older: bool
    resume: bytes | None = None


def find(
    ledger: Ledger,
    search: Search,
    *,
    before: bytes | None = None,
    after: bytes | None = None,
    size: int = PAGE,
    most: int = MOST_ROWS,
) -> Found:
    """Return the newest matches, those just ``before`` an id (older), or those just ``after`` one (newer).

    Raises ``InputError`` where ``id_start`` is no beginning of an id, or a status or reason does not exist.
    """
    low, high = _bounds(ledger, search)
    backwards = after is None
    low, high = (low, min(high, before or high)) if backwards else (max(low, _next(after or low)), high)
    with ledger.reading() as connection:
        match = condition(connection, None, None, search.where("feature", "team", "tier", "status", "reason"))
        rows: list[RowMapping] = []
        looked, resume = 0, None
        for (first, beyond), whole in _ranges(connection, ledger, search, low, high, backwards):
            if looked >= most:
                resume = beyond if backwards else first
                break
            rows += _matches(connection, match, first, beyond, size + 1 - len(rows), backwards)
            looked += whole
            if len(rows) > size:
                break
        more = len(rows) > size or resume is not None
        rows = rows[:size] if backwards else rows[:size][::-1]
        lines = tuple(_lines(connection, rows))
    return Found(
        lines=lines,
        newer=before is not None if backwards else more,
        older=more if backwards else True,
        resume=resume if len(lines) < size else None,
    )


def count(ledger: Ledger, search: Search) -> int | None:
    """Return how many decisions match, from cells; None where cells do not keep what is asked (a reason, an id)."""
    if search.reason or search.id_start:
        return None
    with ledger.reading() as connection:
        clause = condition(connection, search.since, search.until, search.where("feature", "team", "tier", "status"))
        return int(connection.exec_driver_sql(f"SELECT SUM(decisions) FROM spend_cell{clause}").scalar() or 0)


def parse_id(text: str) -> bytes:
    """Return a whole id from its 32 hexadecimal digits, with or without dashes; raises ``InputError``."""
    try:
        return UUID(text.strip()).bytes
    except ValueError:
        raise InputError(f"{text.strip()[:60]!r} is no decision's id; an id has 32 hexadecimal digits") from None


def _bounds(ledger: Ledger, search: Search) -> Range:
    """Return the lowest id a match can have, and the first beyond."""
    digits = search.id_start.strip().replace("-", "").lower()
    if digits:
        if len(digits) > 32 or not _HEXADECIMAL.issuperset(digits):
            raise InputError(
                f"no decision's id begins with {search.id_start.strip()[:60]!r}; ids are hexadecimal digits, 32 in all"
            )
        number = int(digits, 16)
        shift = 4 * (32 - len(digits))
        return (number << shift).to_bytes(16, "big"), ((number + 1) << shift).to_bytes(17, "big").removeprefix(b"\0")
    low = _LOWEST if search.since is None else ledger.days.id_range(*[day_number(search.since)] * 2)[0]
    high = _BEYOND if search.until is None else ledger.days.id_range(*[day_number(search.until)] * 2)[1]
    return low, high


def _next(decision_id: bytes) -> bytes:
    return decision_id + b"\0"


def _ranges(
    connection: Connection, ledger: Ledger, search: Search, low: bytes, high: bytes, backwards: bool
) -> Iterator[tuple[Range, int]]:
    """Yield the ranges of ids that can hold matches, in the order of the search, each with how many rows it has."""
    narrowed = search.where("feature", "team", "tier", "status", "reason")
    if not narrowed or search.id_start:
        yield (low, high), 0
        return
    dirty = set(connection.exec_driver_sql("SELECT day FROM dirty_day").scalars())
    days = _days(connection, search) | dirty
    inside = condition(connection, None, None, search.where("feature", "team", "tier", "status"))
    hours = sa.text(_HOURS.format(match=inside.removeprefix(" WHERE ") or "1 = 1"))
    for day in sorted(days, reverse=backwards):
        first, beyond = ledger.days.id_range(day, day)
        if beyond <= low or first >= high:
            continue
        held = {row.hour: (row.whole, row.matching) for row in connection.execute(hours, {"day": day})}
        parts = hour_ranges(ledger.days, day)
        for hour, (first, beyond) in reversed(parts) if backwards else parts:
            whole, matching = held.get(hour, (0, 0))
            begin, end = max(first, low), min(beyond, high)
            if begin < end and (matching or day in dirty):
                yield (begin, end), int(whole)


def _days(connection: Connection, search: Search) -> set[int]:
    """Return the days whose cells hold a match, as far as cells tell."""
    spend = condition(connection, search.since, search.until, search.where("feature", "team", "tier", "status"))
    days = set(connection.exec_driver_sql(f"SELECT DISTINCT day FROM spend_cell{spend}").scalars())
    if search.reason:
        evidence = condition(connection, search.since, search.until, search.where("feature", "tier", "reason"))
        days &= set(connection.exec_driver_sql(f"SELECT DISTINCT day FROM evidence_cell{evidence}").scalars())
    return days


def _matches(
    connection: Connection, match: str, first: bytes, beyond: bytes, most: int, backwards: bool
) -> Sequence[RowMapping]:
    also = match.replace(" WHERE ", " AND ", 1)
    order = "DESC" if backwards else "ASC"
    query = f"SELECT {_COLUMNS} FROM decision WHERE id >= :first AND id < :beyond{also} ORDER BY id {order} LIMIT :most"
    return connection.execute(sa.text(query), {"first": first, "beyond": beyond, "most": most}).mappings().all()


def _lines(connection: Connection, rows: Sequence[RowMapping]) -> Iterator[Line]:
    if not rows:
        return
    calls: dict[bytes, list[Any]] = {}
    for call in connection.execute(_CALLS, {"ids": [bytes(row["id"]) for row in rows]}):
        calls.setdefault(bytes(call.decision_id), []).append(call)
    numbers = {row[f"{kind}_id"] for row in rows for kind in _NAMED}
    numbers |= {call.model_id for made in calls.values() for call in made}
    look = sa.text("SELECT id, name FROM dimension WHERE id IN :ids").bindparams(sa.bindparam("ids", expanding=True))
    names = {row.id: row.name for row in connection.execute(look, {"ids": sorted(numbers)})}
    for row in rows:
        made = calls.get(bytes(row["id"]), [])
        metered = [call for call in made if call.input_tokens is not None]
        quality, source = row["quality_ppm"], row["quality_source"]
        yield Line(
            id=bytes(row["id"]),
            decided_at_ms=row["decided_at_ms"],
            **{kind: names[row[f"{kind}_id"]] for kind in _NAMED},
            reason=Reason(row["reason"]),
            score=row["score"],
            strategy=Strategy(row["strategy"]),
            status=Status(row["status"]),
            attempts=row["attempts"],
            latency_ms=row["latency_ms"],
            cost_nusd=row["cost_nusd"],
            quality=None if quality is None else quality / MILLION,
            quality_source=None if source is None else QualitySource(source),
            model=next((names[call.model_id] for call in made if call.final), ""),
            input_tokens=sum(call.input_tokens for call in metered) if metered else None,
            output_tokens=sum(call.output_tokens or 0 for call in metered) if metered else None,
        )
