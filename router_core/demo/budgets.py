"""The budgets of the simulated company, set as people set them: from what its traffic cost before, rounded."""

from __future__ import annotations

import math

from router_core.config import Budget
from router_core.demo.world import LIMITS, Limit
from router_core.ledger.queries import spend
from router_core.ledger.store import Ledger

_DAYS = {"7d": 7, "month": 30}
_DAY_MS = 86_400_000


def budgets(ledger: Ledger, elapsed_ms: int) -> tuple[Budget, ...]:
    """Return the budgets, given that the sums of the ledger are of ``elapsed_ms`` of traffic."""
    return tuple(_budget(ledger, limit, max(elapsed_ms / _DAY_MS, 1 / 24)) for limit in LIMITS)


def _budget(ledger: Ledger, limit: Limit, days: float) -> Budget:
    kind, _, name = limit.scope.partition(":")
    lines = spend(ledger, (), where={} if kind == "all" else {kind: (name,)})
    daily = sum(line.list_cost_nusd for line in lines) / 1e9 / days
    amount = _round(max(limit.times * daily * _DAYS[limit.duration], 0.01))
    return Budget(scope=limit.scope, max_budget=amount, budget_duration=limit.duration, mode=limit.mode)


def _round(amount: float) -> float:
    """Return an amount to two digits, as people set limits."""
    return round(amount, 1 - math.floor(math.log10(amount)))
