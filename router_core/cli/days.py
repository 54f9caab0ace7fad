"""Days as a person writes them on the command line: 2026-01-31, today, yesterday, or 7d for the last seven."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, tzinfo

from router_core.errors import InputError


def read_days(
    since: str | None, until: str | None, zone: tzinfo, names: tuple[str, str] = ("--since", "--until")
) -> tuple[date | None, date | None]:
    """Return the first and last day that two options name in a zone; None is open.

    ``7d`` are seven whole days, the last of them today. Raises ``InputError`` where a day cannot be read or the first
    is after the last.
    """
    first, last = (
        None if text is None else read_day(name, text, zone) for name, text in zip(names, (since, until), strict=True)
    )
    if first is not None and last is not None and first > last:
        raise InputError(f"{names[0]} {first} is after {names[1]} {last}; turn them round")
    return first, last


def read_day(name: str, text: str, zone: tzinfo) -> date:
    """Return the day that an option of that name was given; raises ``InputError`` where it cannot be read."""
    today = datetime.now(zone).date()
    named = {"today": today, "yesterday": today - timedelta(days=1)}.get(text)
    if named is not None:
        return named
    if back := re.fullmatch(r"([1-9]\d{0,3})d", text):
        return today - timedelta(days=int(back[1]) - 1)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{name} {text!r} is not a day; write 2026-01-31, today, yesterday or 7d") from None
