"""What a provider says it counted and charged, read from the ``usage`` object of its answer."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from router_core.errors import UsageError
from router_core.usage import Usage


def counted(usage: object) -> tuple[Usage | None, int | None]:
    """Return (tokens, cost in nano-dollars); None for what the object does not state, or states in contradiction."""
    if not isinstance(usage, dict):
        return None, None
    cost: int | None = None
    stated = usage.get("cost")
    if isinstance(stated, int | float | str) and not isinstance(stated, bool):
        try:
            cost = round(Decimal(str(stated)) * 1_000_000_000)
        except (InvalidOperation, ValueError, OverflowError):
            cost = None
    try:
        return Usage.from_openai(usage), cost
    except UsageError:
        return None, cost
