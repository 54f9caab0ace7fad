"""Spending: a request's place in its budgets, before it calls anybody and once its cost is known."""

from __future__ import annotations

from collections.abc import Collection

from router_core.config import Budget
from router_core.decision import Reason, RoutingDecision, Status
from router_core.errors import BudgetExceededError
from router_core.policy import one_tier_down
from router_core.serving.budget import Purse, budgets_for, reserved, settled
from router_core.serving.draft import Draft
from router_core.serving.foreseen import request_nusd
from router_core.serving.job import Job
from router_core.serving.plan import Plan


async def set_aside(job: Job, plan: Plan, purse: Purse) -> None:
    """Set aside what the request may cost, and move it down a tier where a budget asks for that.

    Raises ``BudgetExceededError`` where a budget that blocks has no room, and ``LedgerError`` where it cannot be read.
    """
    live, draft = job.live, job.draft
    over = await set_aside_nusd(job, request_nusd(job, plan), purse)
    if any(budget.mode == "downgrade" for budget in over):
        lower = one_tier_down(live.config, draft.tier, draft.reason)
        if lower is not None:
            draft.tier, draft.reason, draft.propensity = lower, Reason.BUDGET, 1.0
            draft.chain = live.chains.by_tier[lower]


async def set_aside_nusd(job: Job, nusd: int, purse: Purse) -> Collection[Budget]:
    """Set an amount aside for the request, beside what is already, and return the budgets that have no room for it.

    Raises as ``set_aside`` does.
    """
    draft = job.draft
    budgets = budgets_for(job.live.config, team=draft.team, feature=draft.request.feature)
    if not budgets:
        return ()
    reservation = await reserved(purse, budgets, nusd, draft.decided_at_ms)
    if reservation is None:
        return ()
    draft.reservations.append(reservation)
    blocking = next((budget for budget in reservation.over if budget.mode == "block"), None)
    if blocking is not None:
        draft.outcome = Status.BLOCKED
        raise BudgetExceededError(blocking.scope, blocking.max_budget, blocking.budget_duration)
    return reservation.over


async def settle(draft: Draft, decision: RoutingDecision, purse: Purse | None) -> None:
    """Book what a decision cost in place of what was set aside for it, once; nothing where nothing was."""
    if draft.reservations and purse is not None:
        reservations, draft.reservations = draft.reservations, []
        await settled(purse, reservations, decision)
