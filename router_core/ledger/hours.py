"""Hours of the reporting zone as ranges of decision ids, whatever the clocks do."""

from __future__ import annotations

from itertools import groupby

from router_core.ledger.days import Days, id_floor

_STEP_MS = 15 * 60_000  # every zone's clocks stand on a quarter of an hour

Range = tuple[bytes, bytes]


def hour_ranges(days: Days, day: int) -> list[tuple[int, Range]]:
    """Return each hour of a day with its (lowest id, first id beyond), in the order of time.

    An hour that clocks go through twice is there twice, one they leave out is not.
    """
    start, end = days.start_ms(day), days.start_ms(day + 1)
    steps = range(start, end, _STEP_MS)
    ranges = []
    for hour, part in groupby(steps, key=lambda at_ms: days.of(at_ms)[1]):
        first, *rest = part
        last = rest[-1] if rest else first
        ranges.append((hour, (id_floor(first), id_floor(min(last + _STEP_MS, end)))))
    return ranges
