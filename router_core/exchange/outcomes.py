"""How a call ended, as HTTP statuses and names of errors tell it."""

from __future__ import annotations

from typing import Any

from router_core.decision import Status

_BY_WORD = (
    ("ratelimit", Status.RATE_LIMITED),
    ("rate_limit", Status.RATE_LIMITED),
    ("timeout", Status.TIMEOUT),
    ("timed_out", Status.TIMEOUT),
    ("contextwindow", Status.CONTEXT_OVERFLOW),
    ("context_length", Status.CONTEXT_OVERFLOW),
    ("budgetexceeded", Status.BLOCKED),
    ("cancel", Status.ABORTED),
)


def status_of(code: Any, error: str = "") -> Status:
    """Return how a failed call ended, by the name of its error or else its HTTP status."""
    if error.upper() in Status.__members__ and error.upper() != "OK":
        return Status[error.upper()]
    word = error.lower()
    for part, status in _BY_WORD:
        if part in word:
            return status
    try:
        number = int(code)
    except (TypeError, ValueError):
        return Status.REFUSED
    if number == 429:
        return Status.RATE_LIMITED
    if number in (408, 504):
        return Status.TIMEOUT
    return Status.ABORTED if number == 499 else Status.REFUSED


def succeeded(code: Any) -> bool:
    """Say whether an HTTP status is one of success; an absent one is taken as such."""
    try:
        return 200 <= int(code) < 300
    except (TypeError, ValueError):
        return True
