"""Budgets on the path of a request: what it may cost is set aside before it is served, and settled when it is known."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from router_core.config import Budget, RoutingConfig
from router_core.decision import RoutingDecision
from router_core.errors import LedgerError
from router_core.prices import PriceBook
from router_core.serving.failover import Endpoint
from router_core.serving.messages import prompt_text
from router_core.usage import Usage, estimate_tokens

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


def foreseen_nusd(
    body: Mapping[str, Any], endpoint: Endpoint, prices: PriceBook, at_ms: int, expected: int | None
) -> int:
    """Return what one answer of an endpoint may cost in nano-dollars; 0 where its price is unknown.

    An upper estimate where the length of the answer is capped: input tokens are estimated within a tenth, output
    tokens are the cap.
    """
    caps = [body.get("max_completion_tokens"), body.get("max_tokens"), endpoint.max_output_tokens]
    known = [cap for cap in caps if cap is not None]
    output = min(known) if known else expected or DEFAULT_OUTPUT_TOKENS
    usage = Usage(round(1.1 * estimate_tokens(prompt_text(body))), max(0, output) * max(1, body.get("n") or 1))
    cost = prices.list_cost(usage, provider_name=endpoint.provider_name, model=endpoint.upstream_model, at_ms=at_ms)
    return cost.nusd if cost is not None else 0


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


async def settled(purse: Purse, reservation: Reservation, decision: RoutingDecision) -> None:
    """Book what a decision cost; where that is unknown, what was set aside for it."""
    cost = decision.cost_nusd
    try:
        await purse.settle(reservation, reservation.nusd if cost is None else cost)
    except LedgerError as error:
        # What was set aside stays so until the period ends: the budget then errs towards having spent too much.
        _log.warning("a budget could not be settled: %s", error)
