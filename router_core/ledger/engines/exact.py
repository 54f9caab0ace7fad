"""Exact quantiles of latency from every call: for the question that two per cent would decide."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from router_core.errors import InputError
from router_core.ledger.days import date_of, day_number
from router_core.ledger.engines.apart import apart
from router_core.ledger.filters import Key, check, column, labels
from router_core.ledger.parts import ATTEMPTS
from router_core.ledger.queries import LATENCY_BY, LatencyLine
from router_core.ledger.rollup import days_with_rows, pruned_days
from router_core.ledger.snapshot import quick_snapshot
from router_core.ledger.store import Ledger

Ms = npt.NDArray[np.int32]
Numbers = tuple[int, ...]

_SHARES = (0.5, 0.95, 0.99)


def exact_latency(
    ledger: Ledger, by: Sequence[str], since: date | None = None, until: date | None = None
) -> list[LatencyLine]:
    """Return what ``queries.latency`` does, nearest-rank quantiles of the calls themselves; lines in order of keys.

    Every call of the days is read. Raises ``InputError`` where a dimension is unknown, or calls of a day lie in an
    archive alone.
    """
    check(by, LATENCY_BY)
    first, last = (None if day is None else day_number(day) for day in (since, until))

    def asked(day: int) -> bool:
        return (first is None or day >= first) and (last is None or day <= last)

    with ledger.reading() as connection:
        days = [day for day in days_with_rows(connection, ledger.days) if asked(day)]
        gone = [day for day in pruned_days(connection) if asked(day)]
        shown = [labels(connection, dimension) for dimension in by]
    if gone:
        raise InputError(
            f"the calls of {date_of(max(gone))} and before are in an archive alone, so that only later days have exact "
            f"quantiles; ask for those, or leave --exact out"
        )
    url = ledger.engine.url.render_as_string(hide_password=False)
    columns = tuple(column(dimension) for dimension in by)
    found: dict[Numbers, list[Ms]] = defaultdict(list)
    tasks = [(url, day, ledger.days.id_range(day, day), columns) for day in days]
    for one in apart(_latencies, tasks, at_once=1):  # to begin another takes as long as to read weeks
        for numbers, ms in one.items():
            found[numbers].append(ms)
    lines = [_line(_keys(numbers, shown), found.pop(numbers)) for numbers in list(found)]
    return sorted(lines, key=lambda line: line.keys)


def _latencies(url: str, day: int, bounds: tuple[bytes, bytes], columns: tuple[str, ...]) -> dict[Numbers, Ms]:
    """Return the latencies of a day's calls by their numbers in ``columns``; in a process of its own."""
    stored = tuple(name for name in columns if name != "day")
    parts: dict[Numbers, list[Ms]] = defaultdict(list)
    with quick_snapshot(url) as rows:
        for batch in rows.rows(ATTEMPTS, *bounds, (*stored, "latency_ms")):
            ms = batch.column("latency_ms").to_numpy()
            key = np.zeros(len(ms), np.int64)
            for name in stored:
                key = key << 20 | batch.column(name).to_numpy()
            for code in pc.unique(pa.array(key)).to_pylist():
                chosen = key == code
                numbers = {name: code >> 20 * place & 0xFFFFF for place, name in enumerate(reversed(stored))} | {
                    "day": day
                }
                parts[tuple(numbers[name] for name in columns)].append(ms[chosen])
    return {numbers: np.concatenate(some) for numbers, some in parts.items()}


def _line(keys: tuple[Key, ...], parts: list[Ms]) -> LatencyLine:
    ms = np.concatenate(parts)
    ranks = [max(int(np.ceil(share * len(ms))), 1) - 1 for share in _SHARES]
    p50, p95, p99 = np.partition(ms, ranks)[ranks].tolist()
    return LatencyLine(keys, len(ms), float(p50), float(p95), float(p99))


def _keys(numbers: Numbers, shown: Sequence[Mapping[int, Key]]) -> tuple[Key, ...]:
    return tuple(names[number] for number, names in zip(numbers, shown, strict=True))
