"""History priced again: an explicit job that keeps what every changed call cost before, so that it can be undone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.errors import InputError
from router_core.ledger.bulk import insert_many
from router_core.ledger.days import date_of, day_number
from router_core.ledger.price_rows import read_prices
from router_core.ledger.rollup import days_with_rows, pruned_days
from router_core.ledger.rows import COST_NUSD
from router_core.ledger.store import Ledger, insert_event, mark_dirty
from router_core.ledger.tables import MILLION
from router_core.prices import Price, PriceBook
from router_core.prices.arrays import costs_nusd, prices_held

Progress = Callable[[int, int], None]
"""Called with the days done and the days in all."""

_AT_ONCE = 20_000  # decisions a transaction, so that writers never wait long
_CALL = ("decision_id", "seq", "list_cost_nusd", "price_id", "decision_cost_nusd")

_UP_TO = sa.text("SELECT id FROM decision WHERE id >= :low AND id < :high ORDER BY id LIMIT 1 OFFSET :size")
_CALLS = sa.text(
    "SELECT a.decision_id, a.seq, d.decided_at_ms + a.offset_ms, a.provider_id, a.model_id, COALESCE(a.price_id, 0), "
    "a.input_tokens, a.output_tokens, a.cache_read_input_tokens, a.cache_write_input_tokens, a.list_cost_nusd, "
    "d.cost_nusd FROM attempt a JOIN decision d ON d.id = a.decision_id "
    "WHERE a.decision_id >= :low AND a.decision_id < :high AND d.id >= :low AND d.id < :high "
    "AND a.input_tokens IS NOT NULL AND a.output_tokens IS NOT NULL ORDER BY a.decision_id, a.seq"
)
_PRICE_CALL = sa.text(
    "UPDATE attempt SET list_cost_nusd = :cost, price_id = :price WHERE decision_id = :decision AND seq = :seq"
)
_IN_JOB = "SELECT decision_id FROM recost_call WHERE job_id = :job AND decision_id >= :low AND decision_id < :high"
_PRICE_DECISIONS = sa.text(
    f"UPDATE decision SET cost_nusd = (SELECT {COST_NUSD} FROM attempt a WHERE a.decision_id = decision.id) "
    f"WHERE id >= :low AND id < :high AND id IN ({_IN_JOB})"
)
_RESTORE_CALLS = sa.text(
    "UPDATE attempt SET list_cost_nusd = r.list_cost_nusd, price_id = r.price_id FROM recost_call r "
    "WHERE r.job_id = :job AND r.decision_id = attempt.decision_id AND r.seq = attempt.seq "
    "AND attempt.decision_id >= :low AND attempt.decision_id < :high"
)
_RESTORE_DECISIONS = sa.text(
    "UPDATE decision SET cost_nusd = r.decision_cost_nusd FROM recost_call r "
    "WHERE r.job_id = :job AND r.decision_id = decision.id AND decision.id >= :low AND decision.id < :high"
)
_FORGET = sa.text("DELETE FROM recost_call WHERE job_id = :job AND decision_id >= :low AND decision_id < :high")
_TOUCHED = sa.text(
    "SELECT 1 FROM recost_call WHERE job_id = :job AND decision_id >= :low AND decision_id < :high LIMIT 1"
)
_GONE = sa.text(
    "SELECT 1 FROM recost_call r LEFT JOIN attempt a ON a.decision_id = r.decision_id AND a.seq = r.seq "
    "AND a.decision_id >= :low AND a.decision_id < :high "
    "WHERE r.job_id = :job AND r.decision_id >= :low AND r.decision_id < :high AND a.seq IS NULL LIMIT 1"
)
_ADD_JOB = sa.text(
    "INSERT INTO recost_job (started_at_ms, author, note, first_day, last_day, calls, before_nusd, after_nusd) "
    "VALUES (:now, :author, :note, :first, :last, 0, 0, 0) RETURNING id"
)
_COUNT = sa.text(
    "UPDATE recost_job SET calls = calls + :calls, before_nusd = before_nusd + :before, "
    "after_nusd = after_nusd + :after WHERE id = :job"
)
_LATER = sa.text(
    "SELECT id FROM recost_job WHERE id > :job AND undone_at_ms IS NULL AND calls > 0 "
    "AND first_day <= :last AND last_day >= :first ORDER BY id DESC LIMIT 1"
)


@dataclass(slots=True)
class ModelChange:
    """What pricing again changes for one provider and model; nano-dollars, sums over the calls that change."""

    provider_name: str
    model: str
    calls: int = 0
    newly_priced: int = 0
    before_nusd: int = 0
    after_nusd: int = 0


@dataclass(slots=True)
class Recosting:
    """What a job did, or without a ``job`` would do; ``pruned`` days have no rows here any more and stay as they are.

    ``calls`` were looked at, and those of ``models`` changed.
    """

    since: date
    until: date
    job: int | None = None
    days: int = 0
    calls: int = 0
    models: dict[tuple[str, str], ModelChange] = field(default_factory=dict)
    pruned: tuple[date, ...] = ()

    @property
    def changed(self) -> int:
        """How many calls change."""
        return sum(one.calls for one in self.models.values())

    @property
    def before_nusd(self) -> int:
        """What those calls cost before, as far as it was known."""
        return sum(one.before_nusd for one in self.models.values())

    @property
    def after_nusd(self) -> int:
        """What they cost now."""
        return sum(one.after_nusd for one in self.models.values())


@dataclass(frozen=True, slots=True)
class Job:
    """One job as the ledger keeps it; times are UTC epoch milliseconds, None where it has not come to that."""

    id: int
    started_at_ms: int
    ended_at_ms: int | None
    undone_at_ms: int | None
    author: str
    note: str
    since: date
    until: date
    calls: int
    before_nusd: int
    after_nusd: int


def recost(
    ledger: Ledger,
    since: date,
    until: date,
    *,
    author: str,
    note: str = "",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Recosting:
    """Price every call of some days (``until`` included) by the prices as they are now known.

    A call is priced as its model was, in the processing it was priced in; one whose price is no longer found keeps it.
    With ``dry_run`` nothing changes. Changed days are marked, for the next rollup to sum anew. A job that was cut short
    is simply followed by another; each can be undone.
    """
    result = Recosting(since, until)
    prices = _Prices(ledger)
    with ledger.reading() as connection:
        gone = pruned_days(connection)
        wanted = [day for day in days_with_rows(connection, ledger.days) if since <= date_of(day) <= until]
    result.pruned = tuple(date_of(day) for day in sorted(gone) if since <= date_of(day) <= until)
    days = [day for day in wanted if day not in gone]
    if not dry_run:
        with ledger.writing() as connection:
            values = {"author": author, "note": note, "first": day_number(since), "last": day_number(until)}
            result.job = int(connection.execute(_ADD_JOB, {"now": _now(), **values}).scalar_one())
    for done, day in enumerate(days):
        if progress is not None:
            progress(done, len(days))
        result.days += 1
        for low, high in _stretches(ledger, *ledger.days.id_range(day, day)):
            if result.job is None:
                with ledger.reading() as connection:
                    prices.changes(connection, low, high, result)
            else:
                with ledger.writing() as connection:
                    _write(connection, result.job, low, high, prices.changes(connection, low, high, result), day)
    if progress is not None:
        progress(len(days), len(days))
    if result.job is not None:
        with ledger.writing() as connection:
            end = sa.text("UPDATE recost_job SET ended_at_ms = :now WHERE id = :job")
            connection.execute(end, {"now": _now(), "job": result.job})
            what = f"job {result.job}: {result.changed:,} calls from {since} to {until}, "
            difference = f"{(result.after_nusd - result.before_nusd) / 1e9:+,.6f} US dollars"
            insert_event(connection, author, "recost", what + difference)
    return result


def undo_recost(ledger: Ledger, job: int, *, author: str, progress: Progress | None = None) -> Job:
    """Give every call that a job changed what it cost before, to the nano-dollar; returns the job.

    Raises ``InputError`` where there is no such job, it was undone before, or a later one priced its days again.
    """
    found = next((one for one in jobs(ledger) if one.id == job), None)
    if found is None:
        raise InputError(f"there is no job {job}; 'tierwise recost --jobs' lists them")
    days = {"job": job, "first": day_number(found.since), "last": day_number(found.until)}
    with ledger.reading() as connection:
        later = connection.execute(_LATER, days).scalar()
    if later is not None:
        raise InputError(f"job {later} priced some of the same days later; undo that one first")
    if found.undone_at_ms is not None:
        raise InputError(f"job {job} was undone already")
    with ledger.reading() as connection:
        there = [day for day in days_with_rows(connection, ledger.days) if days["first"] <= day <= days["last"]]
        for day in sorted(pruned_days(connection)):
            low, high = ledger.days.id_range(day, day)
            if connection.execute(_GONE, {"job": job, "low": low, "high": high}).first() is not None:
                raise InputError(
                    f"the calls of {date_of(day)} went to an archive since, with what job {job} made of them"
                )
    for done, day in enumerate(there):
        if progress is not None:
            progress(done, len(there))
        for low, high in _stretches(ledger, *ledger.days.id_range(day, day)):
            bounds = {"job": job, "low": low, "high": high}
            with ledger.writing() as connection:
                if connection.execute(_TOUCHED, bounds).first() is not None:
                    for statement in (_RESTORE_CALLS, _RESTORE_DECISIONS, _FORGET):
                        connection.execute(statement, bounds)
                    mark_dirty(connection, {day})
    with ledger.writing() as connection:
        end = sa.text("UPDATE recost_job SET undone_at_ms = :now WHERE id = :job")
        connection.execute(end, {"now": _now(), "job": job})
        insert_event(connection, author, "recost", f"job {job} undone: {found.calls:,} calls as they were")
    return found


def jobs(ledger: Ledger) -> list[Job]:
    """Return every job, newest first."""
    look = sa.text(
        "SELECT id, started_at_ms, ended_at_ms, undone_at_ms, author, note, first_day, last_day, calls, before_nusd, "
        "after_nusd FROM recost_job ORDER BY id DESC"
    )
    with ledger.reading() as connection:
        rows = connection.execute(look).all()
    return [
        Job(
            *(row[0], row[1], row[2], row[3], row[4], row[5]), date_of(row[6]), date_of(row[7]), row[8], row[9], row[10]
        )
        for row in rows
    ]


def _stretches(ledger: Ledger, low: bytes, high: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Part a range of decision ids into pieces of a bounded number of decisions."""
    while True:
        with ledger.reading() as connection:
            end = connection.execute(_UP_TO, {"low": low, "high": high, "size": _AT_ONCE}).scalar()
        yield low, high if end is None else bytes(end)
        if end is None:
            return
        low = bytes(end)


_Change = tuple[
    bytes, int, int | None, int | None, int | None, int, int | None
]  # a row of _CALL, the new cost and price


class _Prices:
    """The prices of a ledger, and the names by which its calls ask for them."""

    def __init__(self, ledger: Ledger) -> None:
        rows = read_prices(ledger)
        self._book = PriceBook(rows)
        self._by_id: Mapping[int, Price] = {row.id: row for row in rows if row.id is not None}
        self._providers = ledger.dimension_names("provider")
        self._models = ledger.dimension_names("model")

    def changes(self, connection: Connection, low: bytes, high: bytes, result: Recosting) -> list[_Change]:
        """Return the calls of a range of ids that cost something else now, and count them in ``result``."""
        rows = connection.execute(_CALLS, {"low": low, "high": high}).all()
        result.calls += len(rows)
        if not rows:
            return []
        numbers = np.array([tuple(0 if value is None else value for value in row[2:11]) for row in rows], np.int64)
        priced = np.array([row[10] is not None for row in rows], np.bool_)
        found: list[_Change] = []
        codes, group = np.unique(numbers[:, 1:4], axis=0, return_inverse=True)
        for code, (provider, model, price_id) in enumerate(codes.tolist()):
            places = np.flatnonzero(group.reshape(-1) == code)
            cost, price, sure = self._priced(provider, model, price_id, numbers[places])
            differ = sure & ((cost != numbers[places, 8]) | ~priced[places] | (price != price_id))
            if differ.any():
                self._count(result, provider, model, numbers[places][differ, 8], cost[differ], priced[places][differ])
            for place, nusd, number in zip(
                places[differ].tolist(), cost[differ].tolist(), price[differ].tolist(), strict=True
            ):
                row = rows[place]
                found.append((bytes(row[0]), row[1], row[10], row[5] or None, row[11], nusd, number or None))
        return sorted(found)

    def _priced(self, provider: int, model: int, price_id: int, numbers: Any) -> tuple[Any, Any, Any]:
        """Return costs, price ids, and where both are known, of calls that name the same model and price row."""
        size = len(numbers)
        cost, price, sure = np.zeros(size, np.int64), np.zeros(size, np.int64), np.zeros(size, np.bool_)
        before = self._by_id.get(price_id)
        names = [(self._providers.get(provider, ""), self._models.get(model, ""))]
        if before is not None:  # a log may have named the model by the name it answered under
            names.append((before.provider_name, before.model))
        processing = before.processing if before is not None else "standard"
        for name in names:
            open_ = np.flatnonzero(~sure)
            if not len(open_):
                break
            for one, places in prices_held(self._book, name, numbers[open_, 0], numbers[open_, 4], processing):
                among = open_[places]
                nusd, known = costs_nusd(one, [numbers[among, column] for column in (4, 5, 6, 7)])
                cost[among[known]], price[among[known]], sure[among[known]] = nusd[known], one.id or 0, True
        return cost, price, sure

    def _count(self, result: Recosting, provider: int, model: int, before: Any, after: Any, priced: Any) -> None:
        name = (self._providers.get(provider, ""), self._models.get(model, ""))
        sums = result.models.setdefault(name, ModelChange(*name))
        sums.calls += len(after)
        sums.newly_priced += int((~priced).sum())
        sums.before_nusd += int(before[priced].sum())
        sums.after_nusd += int(after.sum())


def _write(connection: Connection, job: int, low: bytes, high: bytes, changes: Sequence[_Change], day: int) -> None:
    if not changes:
        return
    kept = [(job, *change[:5]) for change in changes]
    insert_many(connection, "recost_call", ("job_id", *_CALL), kept)
    new = [{"cost": one[5], "price": one[6], "decision": one[0], "seq": one[1]} for one in changes]
    connection.execute(_PRICE_CALL, new)
    connection.execute(_PRICE_DECISIONS, {"job": job, "low": low, "high": high})
    mark_dirty(connection, {day})
    sums = {
        "calls": len(changes),
        "before": sum(one[2] or 0 for one in changes),
        "after": sum(one[5] for one in changes),
    }
    connection.execute(_COUNT, {"job": job, **sums})


def _now() -> int:
    return time.time_ns() // MILLION
