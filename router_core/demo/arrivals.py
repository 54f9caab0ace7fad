"""When requests arrive: by day and by week, in the reporting zone, and a few more each week."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import numpy.typing as npt

from router_core.demo.world import FEATURES, Window
from router_core.ledger.days import Days

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SLOT_MS = 900_000  # a quarter of an hour: zones are off by whole quarters, so a slot lies in one local hour and day
_GROWTH = 0.22  # over thirty days
_INCIDENT = (timedelta(hours=14), timedelta(hours=16, minutes=30))


class Arrivals:
    """How many requests each feature gets in each quarter of an hour of the window; drawn once, exactly ``decisions``.

    ``slots`` are the starts of the quarters in UTC epoch milliseconds, ``day`` and ``hour`` theirs in the reporting
    zone, ``counts`` (slots, features).
    """

    def __init__(self, decisions: int, days: int, now_ms: int, zone_days: Days, random: np.random.Generator) -> None:
        today, _ = zone_days.of(now_ms)
        self.window = _window(zone_days.start_ms(today - days + 1), now_ms, zone_days, today, days)
        first = self.window.start_ms // SLOT_MS * SLOT_MS
        self.slots: Ints = np.arange(first, now_ms, SLOT_MS, dtype=np.int64)
        local = [zone_days.of(int(slot)) for slot in self.slots]
        self.day: Ints = np.array([day for day, _ in local], dtype=np.int64)
        self.hour: Ints = np.array([hour for _, hour in local], dtype=np.int64)
        self.counts: Ints = _draw(self, decisions, random)


def _draw(arrivals: Arrivals, decisions: int, random: np.random.Generator) -> Ints:
    weekday = (arrivals.day + 3) % 7  # 1970-01-01 was a Thursday
    working = np.where(weekday < 5, 1.0, 0.06) * _bell(arrivals.hour, 10.5, 2.2, 15.0, 2.6, 0.02)
    living = np.where(weekday < 5, 1.0, 1.15) * _bell(arrivals.hour, 12.5, 3.5, 20.0, 3.0, 0.12)
    window = arrivals.window
    length = max(window.end_ms - window.start_ms, 1)
    # The first and last quarters may lie partly outside.
    inside = np.minimum(arrivals.slots + SLOT_MS, window.end_ms) - np.maximum(arrivals.slots, window.start_ms)
    passed = (arrivals.slots - window.start_ms) / 86_400_000 / 30
    usual = inside / SLOT_MS * (1 + _GROWTH * passed) * random.lognormal(0.0, 0.06, len(arrivals.slots))
    shares = []
    for feature in FEATURES.values():
        rhythm = feature.office * working / working.mean() + (1 - feature.office) * living / living.mean()
        shares.append(feature.weight * rhythm * usual)
    weights = np.maximum(np.stack(shares, axis=1), 0.0)
    if length < SLOT_MS or weights.sum() == 0:
        weights = np.ones_like(weights)
    return random.multinomial(decisions, (weights / weights.sum()).ravel()).reshape(weights.shape)


def _bell(hour: Ints, first: float, wide: float, second: float, wider: float, least: float) -> Floats:
    """Return a day with two humps, at hours of the wall clock."""
    humps = np.exp(-(((hour + 0.5 - first) / wide) ** 2) / 2) + np.exp(-(((hour + 0.5 - second) / wider) ** 2) / 2)
    return np.asarray(humps + least)


def _window(start_ms: int, now_ms: int, zone_days: Days, today: int, days: int) -> Window:
    if days < 3:
        return Window(start_ms, now_ms)
    # One afternoon of a working day about two thirds through.
    day = today - days // 3
    while (day + 3) % 7 > 4:
        day -= 1
    midnight = datetime.fromtimestamp(zone_days.start_ms(day) / 1000, UTC)
    began, ended = (round((midnight + offset).timestamp() * 1000) for offset in _INCIDENT)
    return Window(start_ms, now_ms, (began, ended) if start_ms <= began and ended <= now_ms else None)
