"""Spending: a request's place in its budgets, before it calls anybody and once its cost is known."""

from __future__ import annotations

from router_core.decision import Reason, RoutingDecision, Status
from router_core.errors import BudgetExceededError
from router_core.policy import one_tier_down
from router_core.serving.budget import Purse, budgets_for, foreseen_nusd, reserved, settled
from router_core.serving.draft import Draft
from router_core.serving.job import Job


async def set_aside(job: Job, purse: Purse) -> None:
    """Set aside what the request may cost, and move it down a tier where a budget asks for that.

    Raises ``BudgetExceededError`` where a budget that blocks has no room, and ``LedgerError`` where it cannot be read.
    """
    live, draft = job.live, job.draft
    budgets = budgets_for(live.config, team=draft.team, feature=draft.request.feature)
    if not budgets:
        return
    expected = draft.score.expected_output_tokens if draft.score is not None else None
    nusd = foreseen_nusd(job.body, draft.chain[0], live.prices, draft.decided_at_ms, expected)
    draft.reservation = await reserved(purse, budgets, nusd, draft.decided_at_ms)
    if draft.reservation is None:
        return
    over = draft.reservation.over
    blocking = next((budget for budget in over if budget.mode == "block"), None)
    if blocking is not None:
        draft.outcome = Status.BLOCKED
        raise BudgetExceededError(blocking.scope, blocking.max_budget, blocking.budget_duration)
    if any(budget.mode == "downgrade" for budget in over):
        lower = one_tier_down(live.config, draft.tier, draft.reason)
        if lower is not None:
            draft.tier, draft.reason, draft.propensity = lower, Reason.BUDGET, 1.0
            draft.chain = live.chains.by_tier[lower]


async def settle(draft: Draft, decision: RoutingDecision, purse: Purse | None) -> None:
    """Book what a decision cost in place of what was set aside for it, once; nothing where nothing was."""
    if draft.reservation is not None and purse is not None:
        reservation, draft.reservation = draft.reservation, None
        await settled(purse, reservation, decision)
