"""The periods of reports: which UTC day a bucket of usage or cost is filed under, and when it begins and ends."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from router_core.exchange.fields import BadRowError, instant, shown

_EPOCH = date(1970, 1, 1)
_DAY_MS = 86_400_000


def day_bucket(value: Any, what: str) -> tuple[date, int, int]:
    """Return (day, start, end) of a date such as 2026-01-31; start and end are UTC epoch milliseconds."""
    try:
        day = date.fromisoformat(str(value)[:10])
    except ValueError:
        raise BadRowError(f"{what} is {shown(value)}, not a date such as 2026-01-31") from None
    starts = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
    return day, starts, starts + _DAY_MS


def utc_day(at_ms: int) -> date:
    """Return the UTC date of a time in UTC epoch milliseconds."""
    return _EPOCH + timedelta(days=at_ms // _DAY_MS)


def span_bucket(start: Any, end: Any) -> tuple[date, int, int]:
    """Return (day, start, end) of a bucket given by two times; it is filed under the UTC day in which it starts."""
    starts = instant(start, "the start of the bucket")
    ends = instant(end, "the end of the bucket") if end not in (None, "") else starts + _DAY_MS
    if ends <= starts:
        raise BadRowError("the bucket ends before it starts")
    return utc_day(starts), starts, ends
