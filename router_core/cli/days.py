"""Days as a person writes them on the command line: 2026-01-31, today, yesterday, or 7d for the last seven."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from router_core.errors import InputError


def read_days(since: str | None, until: str | None, zone: ZoneInfo) -> tuple[date | None, date | None]:
    """Return the first and last day of ``--since`` and ``--until`` in a reporting zone; None is open.

    ``7d`` are seven whole days, the last of them today. Raises ``InputError`` where a day cannot be read or the first
    is after the last.
    """
    today = datetime.now(zone).date()
    first, last = _read("--since", since, today), _read("--until", until, today)
    if first is not None and last is not None and first > last:
        raise InputError(f"--since {first} is after --until {last}")
    return first, last


def _read(option: str, text: str | None, today: date) -> date | None:
    if text is None:
        return None
    named = {"today": today, "yesterday": today - timedelta(days=1)}.get(text)
    if named is not None:
        return named
    if back := re.fullmatch(r"([1-9]\d{0,3})d", text):
        return today - timedelta(days=int(back[1]) - 1)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} {text!r} is not a day; write 2026-01-31, today, yesterday or 7d") from None
