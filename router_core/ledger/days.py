"""Days of the reporting zone: which day and hour an instant falls in, and which range of decision ids a day is."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

_EPOCH = date(1970, 1, 1)
_MINUTE_MS = 60_000
_REMEMBERED = 200_000


def day_number(day: date) -> int:
    """Return the days from 1970-01-01 to ``day``."""
    return (day - _EPOCH).days


def date_of(day: int) -> date:
    """Return the date that is ``day`` days after 1970-01-01."""
    return _EPOCH + timedelta(days=day)


class Days:
    """The days of one zone. Each begins at its first midnight and lasts until the next one begins, so that days never
    overlap and leave nothing out, whatever the clocks do: one may last 23 or 25 hours, and a skipped one none."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self._minutes: dict[int, tuple[int, int]] = {}

    def start_ms(self, day: int) -> int:
        """Return the UTC epoch milliseconds at which a day begins."""
        date = date_of(day)
        midnight = datetime(date.year, date.month, date.day, tzinfo=self.zone)
        return int(midnight.timestamp()) * 1000

    def of(self, at_ms: int) -> tuple[int, int]:
        """Return (day number, hour 0..23 on the wall) of an instant in UTC epoch milliseconds."""
        minute = at_ms // _MINUTE_MS  # clocks have only ever changed by whole minutes since 1972
        found = self._minutes.get(minute)
        if found is None:
            if len(self._minutes) >= _REMEMBERED:
                self._minutes.clear()
            found = self._minutes[minute] = self._compute(minute * _MINUTE_MS)
        return found

    def _compute(self, at_ms: int) -> tuple[int, int]:
        local = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(self.zone)
        day = day_number(local.date())
        # Where clocks went back over midnight the date on the wall returns to yesterday for a while; the day does not.
        while at_ms < self.start_ms(day):
            day -= 1
        while at_ms >= self.start_ms(day + 1):
            day += 1
        return day, local.hour

    def id_range(self, first: int, last: int) -> tuple[bytes, bytes]:
        """Return (lowest id, first id beyond) of the decisions from day ``first`` to day ``last``, both included."""
        return id_floor(self.start_ms(first)), id_floor(self.start_ms(last + 1))


def id_floor(at_ms: int) -> bytes:
    """Return the lowest 16-byte id a decision made at that millisecond can have."""
    return min(max(at_ms, 0), 2**48 - 1).to_bytes(6, "big") + bytes(10)


def id_time_ms(decision_id: bytes) -> int:
    """Return the UTC epoch milliseconds a version 7 id begins with."""
    return int.from_bytes(decision_id[:6], "big")
