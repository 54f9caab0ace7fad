"""Budgets: what each has spent and set aside in its period, moved in one transaction, whoever else is at it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.config import Budget
from router_core.errors import LedgerError
from router_core.ledger.store import Ledger
from router_core.serving.budget import Reservation

_NUSD = 1_000_000_000
_DAYS = {"1d": 1, "7d": 7, "30d": 30}
_EPOCH = date(1970, 1, 5).toordinal()  # a Monday, so that weeks begin on one

_BEGIN = sa.text(
    "INSERT INTO budget_spend (scope, period_start, spent_nusd, reserved_nusd, alerted_ppm) "
    "VALUES (:scope, :period, 0, 0, 0) ON CONFLICT (scope, period_start) DO NOTHING"
)
_MOVE = sa.text(
    "UPDATE budget_spend SET spent_nusd = spent_nusd + :spent, "
    "reserved_nusd = CASE WHEN reserved_nusd + :held < 0 THEN 0 ELSE reserved_nusd + :held END "
    "WHERE scope = :scope AND period_start = :period"
)


_Move = Callable[[Connection], Reservation]
_Waiter = asyncio.Future[Reservation]


class Budgets:
    """The budgets of a ledger, for any number of processes.

    A budget that blocks is never passed by what was foreseen: spent and set aside together stay within it. What is
    really spent can pass it by what the requests then under way cost beyond what was foreseen for them (a prompt
    estimated too short, an answer whose length nobody capped, escalations, fail-overs and side calls), and by calls
    whose price is unknown. A process that is killed leaves what it had set aside until the period ends.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._thread = ThreadPoolExecutor(1, "budgets")
        self._door = threading.Lock()
        self._waiting: list[tuple[_Move, _Waiter]] = []

    async def reserve(self, budgets: Sequence[Budget], nusd: int, at_ms: int) -> Reservation:
        """Set an amount aside in all of these budgets, or in none where one without room blocks."""
        return await self._moved(lambda connection: self._reserve(connection, budgets, nusd, at_ms))

    async def settle(self, reservation: Reservation, spent_nusd: int) -> None:
        """Book what was spent in place of what was set aside."""
        if reservation.held:
            await self._moved(lambda connection: _settle(connection, reservation, spent_nusd))

    def reserve_now(self, budgets: Sequence[Budget], nusd: int, at_ms: int) -> Reservation:
        """Set an amount aside on this thread; raises ``LedgerError`` where the ledger fails."""
        with self._ledger.writing() as connection:
            return self._reserve(connection, budgets, nusd, at_ms)

    def settle_now(self, reservation: Reservation, spent_nusd: int) -> None:
        """Book what was spent on this thread; raises ``LedgerError`` where the ledger fails."""
        if reservation.held:
            with self._ledger.writing() as connection:
                _settle(connection, reservation, spent_nusd)

    async def _moved(self, move: _Move) -> Reservation:
        """Have a move made; whatever waits at the same time is made one after another in one transaction."""
        waiter: _Waiter = asyncio.get_running_loop().create_future()
        with self._door:
            self._waiting.append((move, waiter))
            first = len(self._waiting) == 1
        if first:
            self._thread.submit(self._make)
        return await waiter

    def _make(self) -> None:
        with self._door:
            waiting, self._waiting = self._waiting, []
        made: Sequence[Reservation | LedgerError]
        try:
            with self._ledger.writing() as connection:
                made = [move(connection) for move, _ in waiting]
        except LedgerError as error:
            made = [error] * len(waiting)
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it was
            made = [LedgerError(f"the budgets could not be moved ({type(error).__name__}: {error})")] * len(waiting)
        for (_, waiter), outcome in zip(waiting, made, strict=True):
            waiter.get_loop().call_soon_threadsafe(self._tell, waiter, outcome)

    def _tell(self, waiter: _Waiter, outcome: Reservation | LedgerError) -> None:
        if not waiter.done():
            if isinstance(outcome, LedgerError):
                waiter.set_exception(outcome)
            else:
                waiter.set_result(outcome)
        elif isinstance(outcome, Reservation) and outcome.held and not outcome.settled:
            self._thread.submit(self.settle_now, outcome, 0)  # whoever asked for it has gone

    def _reserve(self, connection: Connection, budgets: Sequence[Budget], nusd: int, at_ms: int) -> Reservation:
        zone = self._ledger.zone
        periods = [(budget, budget.scope, period_start(budget, at_ms, zone)) for budget in budgets]
        # In one order, so that two requests never wait for one another.
        over = [
            budget
            for budget, scope, period in sorted(periods, key=lambda one: one[1:])
            if _held(connection, scope, period) + nusd > round(budget.max_budget * _NUSD)
        ]
        if any(budget.mode == "block" for budget in over):
            return Reservation(nusd, (), tuple(over))
        held = tuple(dict.fromkeys((scope, period) for _, scope, period in periods))
        for scope, period in held:
            connection.execute(_MOVE, {"spent": 0, "held": nusd, "scope": scope, "period": period})
        return Reservation(nusd, held, tuple(over))

    def spent(self, budget: Budget, at_ms: int) -> tuple[int, int]:
        """Return (spent, set aside) of a budget in the period of that time, in nano-dollars."""
        period = period_start(budget, at_ms, self._ledger.zone)
        with self._ledger.reading() as connection:
            row = connection.execute(
                sa.text("SELECT spent_nusd, reserved_nusd FROM budget_spend WHERE scope = :s AND period_start = :p"),
                {"s": budget.scope, "p": period},
            ).one_or_none()
        return (0, 0) if row is None else (int(row[0]), int(row[1]))

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown()


def _settle(connection: Connection, reservation: Reservation, spent_nusd: int) -> Reservation:
    for scope, period in sorted(reservation.held):
        connection.execute(_MOVE, {"spent": spent_nusd, "held": -reservation.nusd, "scope": scope, "period": period})
    return replace(reservation, settled=True)


def _held(connection: Connection, scope: str, period: str) -> int:
    """Return what is spent and set aside, with the row locked until the transaction ends."""
    connection.execute(_BEGIN, {"scope": scope, "period": period})
    lock = " FOR UPDATE" if connection.dialect.name == "postgresql" else ""
    found = connection.execute(
        sa.text(
            f"SELECT spent_nusd + reserved_nusd FROM budget_spend WHERE scope = :scope AND period_start = :period{lock}"
        ),
        {"scope": scope, "period": period},
    )
    return int(found.scalar_one())


def period_start(budget: Budget, at_ms: int, zone: ZoneInfo) -> str:
    """Return the day a budget's period began, and its duration, such as ``2026-11-01/month``.

    Days are those of the reporting zone. Months are calendar months, seven days begin on a Monday, thirty days are
    counted from 1970-01-05.
    """
    day = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).date()
    if budget.budget_duration == "month":
        day = day.replace(day=1)
    else:
        length = _DAYS[budget.budget_duration]
        day = date.fromordinal(day.toordinal() - (day.toordinal() - _EPOCH) % length)
    return f"{day.isoformat()}/{budget.budget_duration}"
