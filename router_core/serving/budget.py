"""Budgets on the path of a request: what it may cost is set aside before it is served, and settled when it is known."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from router_core.config import Budget, RoutingConfig
from router_core.decision import RoutingDecision
from router_core.errors import LedgerError

_log = logging.getLogger("tierwise.serving")

DEFAULT_OUTPUT_TOKENS = 1_000
"""What an answer is taken to have where neither the caller, the tier nor the classifier says how long it may be."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Money set aside: ``nusd`` in each budget of ``held`` (scope and period). ``over`` are the budgets without room.

    Nothing is held where one of those blocks. ``settled`` once what was spent is booked in its place.
    """

    nusd: int
    held: tuple[tuple[str, str], ...] = ()
    over: tuple[Budget, ...] = ()
    settled: bool = False


class Purse(Protocol):
    """Keeps what budgets have spent and set aside, across all processes that share it."""

    async def reserve(self, budgets: Sequence[Budget], nusd: int, at_ms: int) -> Reservation:
        """Set an amount aside in all of these budgets, or in none where one without room blocks; one transaction.

        Raises ``LedgerError`` where the budgets cannot be read.
        """
        ...

    async def settle(self, reservation: Reservation, spent_nusd: int) -> None:
        """Book what was spent in place of what was set aside; one transaction. Raises ``LedgerError``."""
        ...


def budgets_for(config: RoutingConfig, *, team: str, feature: str) -> list[Budget]:
    """Return the budgets that a request counts against."""
    scopes = ("all", f"team:{team}", f"feature:{feature}")
    return [budget for budget in config.budgets if budget.scope in scopes]


async def reserved(purse: Purse, budgets: Sequence[Budget], nusd: int, at_ms: int) -> Reservation | None:
    """Set money aside; None where the budgets cannot be read and none of them blocks.

    Raises ``LedgerError`` where one of them does: what must not be overspent is not spent unseen.
    """
    try:
        return await purse.reserve(budgets, nusd, at_ms)
    except LedgerError as error:
        if any(budget.mode == "block" for budget in budgets):
            raise
        _log.warning("a request is served without looking at its budgets: %s", error)
        return None


async def settled(purse: Purse, reservations: Sequence[Reservation], decision: RoutingDecision) -> None:
    """Book what a decision cost, all its calls, in place of what was set aside; where that is unknown, the latter.

    A budget that holds several of these is booked with the first.
    """
    cost = decision.cost_nusd
    booked: set[tuple[str, str]] = set()
    for reservation in reservations:
        spent = reservation.nusd if cost is None else 0 if booked.issuperset(reservation.held) else cost
        booked.update(reservation.held)
        try:
            await purse.settle(reservation, spent)
        except LedgerError as error:
            # What was set aside stays so until the period ends: the budget then errs towards having spent too much.
            _log.warning("a budget could not be settled: %s", error)
