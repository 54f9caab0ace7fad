"""A decision as one line of JSON that explains itself: names, not the numbers they have in some ledger."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

from router_core.decision import (
    Attempt,
    Kind,
    QualitySource,
    Reason,
    RoutingDecision,
    Status,
    Strategy,
    UsageSource,
)
from router_core.errors import UsageError
from router_core.usage import Usage

_DECISION_FIELDS = tuple(field.name for field in fields(RoutingDecision) if field.name not in ("id", "attempts"))
_ATTEMPT_FIELDS = tuple(field.name for field in fields(Attempt) if field.name != "usage")
_USAGE_FIELDS = tuple(field.name for field in fields(Usage))
_CODES: dict[str, Callable[[Any], Any]] = {
    "reason": Reason,
    "strategy": Strategy,
    "status": Status,
    "quality_source": QualitySource,
}
_ATTEMPT_CODES: dict[str, Callable[[Any], Any]] = {"kind": Kind, "status": Status, "usage_source": UsageSource}


def encode(decision: RoutingDecision) -> bytes:
    """Return a decision as one line, its line feed included."""
    plain: dict[str, Any] = {"id": decision.id.hex()}
    for name in _DECISION_FIELDS:
        plain[name] = getattr(decision, name)
    plain["attempts"] = [_plain_attempt(attempt) for attempt in decision.attempts]
    return json.dumps(plain, separators=(",", ":")).encode() + b"\n"


def decode(line: bytes) -> RoutingDecision:
    """Return the decision of a line; raises ``ValueError`` where it is not one. Unknown fields are left out."""
    try:
        plain = json.loads(line)
        values = _known(plain, _DECISION_FIELDS, _CODES)
        attempts = tuple(_attempt(attempt) for attempt in plain["attempts"])
        return RoutingDecision(id=bytes.fromhex(plain["id"]), attempts=attempts, **values)
    except (KeyError, TypeError, AttributeError, UsageError) as error:
        raise ValueError(f"not a decision: {error}") from error


def _plain_attempt(attempt: Attempt) -> dict[str, Any]:
    plain: dict[str, Any] = {name: getattr(attempt, name) for name in _ATTEMPT_FIELDS}
    if attempt.usage is not None:
        plain["usage"] = {name: getattr(attempt.usage, name) for name in _USAGE_FIELDS}
    return plain


def _attempt(plain: dict[str, Any]) -> Attempt:
    usage = plain.get("usage")
    values = _known(plain, _ATTEMPT_FIELDS, _ATTEMPT_CODES)
    return Attempt(usage=None if usage is None else Usage(**_known(usage, _USAGE_FIELDS, {})), **values)


def _known(plain: dict[str, Any], names: Sequence[str], codes: dict[str, Callable[[Any], Any]]) -> dict[str, Any]:
    values = {name: plain[name] for name in names if name in plain}
    for name, code in codes.items():
        if values.get(name) is not None:
            values[name] = code(values[name])
    return values
