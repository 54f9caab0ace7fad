"""How figures are written: money, shares, counts and dates, the same on every page; unknown is a dash, never zero."""

from __future__ import annotations

import math
from datetime import date, datetime
from typing import Final
from zoneinfo import ZoneInfo

UNKNOWN: Final = "–"
NANO: Final = 1_000_000_000


def usd(nusd: float | None, *, signed: bool = False) -> str:
    """Write nano-dollars as dollars, to three or four telling digits: ``$15,952``, ``$3.42``, ``$0.0041``."""
    return UNKNOWN if nusd is None else dollars(nusd / NANO, signed=signed)


def dollars(amount: float | None, *, signed: bool = False) -> str:
    """Write dollars; ``signed`` puts a plus before what is above zero."""
    if amount is None or math.isnan(amount):
        return UNKNOWN
    size = abs(amount)
    if size >= 9_999_500:
        text = f"${size / 1e6:,.1f}M"
    elif size >= 999.5:
        text = f"${size:,.0f}"
    elif size >= 0.1 or size == 0:
        text = f"${size:,.2f}"
    else:
        digits = min(9, 2 - math.floor(math.log10(size)))
        text = f"${size:.{digits}f}".rstrip("0").rstrip(".")
    return ("" if float(text.strip("$M").replace(",", "")) == 0 else _sign(amount, signed)) + text


def share(value: float | None, *, digits: int = 1, signed: bool = False) -> str:
    """Write a share of one as per cent: ``97.2%``."""
    if value is None or math.isnan(value):
        return UNKNOWN
    text = f"{abs(value) * 100:,.{digits}f}"
    zero = float(text.replace(",", "")) == 0
    return ("" if zero else _sign(value, signed)) + text + "%"


def points(value: float | None, *, digits: int = 1, signed: bool = True) -> str:
    """Write a difference of shares in percentage points: ``-0.4 pp``."""
    if value is None or math.isnan(value):
        return UNKNOWN
    text = f"{abs(value) * 100:,.{digits}f}"
    zero = float(text.replace(",", "")) == 0
    return ("" if zero else _sign(value, signed)) + text + " pp"


def count(number: float | None) -> str:
    """Write how many: in full up to a million, then ``1.31M``."""
    if number is None or math.isnan(number):
        return UNKNOWN
    if abs(number) >= 999_500_000:
        return f"{number / 1e9:,.2f}B"
    if abs(number) >= 1_000_000:
        return f"{number / 1e6:,.2f}M"
    return f"{number:,.0f}"


def plural(number: int, one: str, many: str | None = None) -> str:
    """Write a count with its noun: ``1 day``, ``30 days``."""
    return f"{count(number)} {one if number == 1 else many or one + 's'}"


def day(when: date) -> str:
    """Write one day: ``23 Nov 2026``."""
    return f"{when.day} {when:%b %Y}"


def moment(epoch_ms: int, zone: ZoneInfo) -> str:
    """Write a time in the reporting zone: ``23 Nov 2026, 14:05``."""
    when = datetime.fromtimestamp(epoch_ms / 1000, zone)
    return f"{day(when)}, {when:%H:%M}"


def ago(milliseconds: int) -> str:
    """Write how long ago something was: ``just now``, ``5 min ago``, ``3 h ago``, ``12 days ago``."""
    minutes = milliseconds // 60_000
    if minutes < 1:
        return "just now"
    if minutes < 120:
        return f"{minutes} min ago"
    if minutes < 48 * 60:
        return f"{minutes // 60} h ago"
    return f"{count(minutes // 1440)} days ago"


def size(weight: int) -> str:
    """Write a number of bytes: ``812 B``, ``3.4 MB``, ``1.2 GB``."""
    amount = float(weight)
    for unit in ("B", "kB", "MB"):
        if amount < 999.5:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:,.1f} GB"


def span(since: date, until: date) -> str:
    """Write a range of days, both included: ``25 Oct to 23 Nov 2026``."""
    if since == until:
        return day(since)
    if since.year == until.year:
        return f"{since.day} {since:%b} to {day(until)}"
    return f"{day(since)} to {day(until)}"


def sentence(said: object) -> str:
    """Write what was said as a sentence: a capital first, a full stop last."""
    text = str(said).strip()
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?")) else text + "."


def _sign(value: float, signed: bool) -> str:
    return "-" if value < 0 else "+" if signed and value > 0 else ""
