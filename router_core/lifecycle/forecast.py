"""What spend comes to by the end of a month or budget period: days gone as they were, days left from a small model.

The model is a Gaussian process over days, on the square root of spend (which keeps it above zero, and lets noise grow
with its size): a level that wanders from day to day, each weekday's distance from it, and noise. How much each of the
three matters is not chosen but weighed by how well it explains the days seen. It knows no holidays, no growth beyond
the wandering of the level, and no change that has not begun to show.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST_DAYS: Final = 14  # two of each weekday
MOST_DAYS: Final = 84
COVERAGE: Final = 0.95
_WEEKDAY: Final = (0.0, 0.3, 3.0, 30.0)  # variance of weekdays, as a multiple of the noise's
_WANDER: Final = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)  # variance of the level's step from day to day
_LEVEL: Final = 1e4  # nearly nothing is known of the level beforehand
_DRAWS: Final = 4000


@dataclass(frozen=True)
class Forecast:
    """Spend of a period, ``since`` to ``until`` included, in nano-dollars: what is spent, and what it comes to.

    ``low`` and ``high`` hold the truth 95 times in 100, None where there are too few days to say; ``expected`` is then
    None as well. ``days_left`` are still to come, the unfinished one included; ``learnt_from`` whole days. ``path`` has
    each day left with what the period comes to by its end: expected, low and high.
    """

    since: date
    until: date
    spent_nusd: int
    days_left: int
    learnt_from: int
    expected_nusd: int | None
    low_nusd: int | None
    high_nusd: int | None
    path: tuple[tuple[date, int, int, int], ...] = ()


def forecast(spend: Mapping[date, int], since: date, until: date, today: date) -> Forecast:
    """Foretell the spend of a period from nano-dollars by day; a day within the mapping's span without any cost none.

    ``today`` has begun and not ended: what it cost so far is spent, and it is foretold like the days after it, but to
    no less than it has cost. Days before ``today`` are whole.
    """
    spent = sum(cost for day, cost in spend.items() if since <= day <= min(today, until))
    whole = [day for day in spend if day < today]
    seen = min(((today - min(whole)).days if whole else 0), MOST_DAYS)
    left = max((until - max(today, since)).days + 1, 0)
    if not left:
        return Forecast(since, until, spent, 0, seen, spent, spent, spent)
    if seen < LEAST_DAYS or not any(spend.values()):
        return Forecast(since, until, spent, left, seen, None, None, None)
    history = [today - timedelta(days=back) for back in range(seen, 0, -1)]
    ahead = [max(today, since) + timedelta(days=place) for place in range(left)]
    known = np.array([spend.get(day, 0) for day in history], dtype=float)
    draws = _draws(known, [day.toordinal() for day in history], [day.toordinal() for day in ahead])
    if ahead[0] == today:
        draws[:, 0] = np.maximum(draws[:, 0], spend.get(today, 0))
    # A day under way is among the days ahead, so what it cost so far is not counted twice.
    before = spent - (spend.get(today, 0) if ahead[0] == today else 0)
    sums = draws.cumsum(axis=1) + before
    ends = np.stack([sums.mean(axis=0), *np.quantile(sums, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2], axis=0)], axis=1)
    path = tuple((day, *map(round, row)) for day, row in zip(ahead, ends.tolist(), strict=True))
    _, expected, low, high = path[-1]
    return Forecast(since, until, spent, left, seen, expected, low, high, path)


def _draws(known: Floats, history: list[int], ahead: list[int]) -> Floats:
    """Draw the days ahead together, (draws, days), from what every weighing of the model makes of the days known."""
    scale = float(known.mean())
    seen = np.sqrt(known / scale)
    centre = float(seen.mean())
    days = np.array([*history, *ahead])
    n, size = len(history), len(days)
    same_weekday = (days[:, None] % 7 == days[None, :] % 7).astype(float)
    since_start = np.minimum.outer(days - days[0], days - days[0]).astype(float)
    found = []
    for weekday, wander in product(_WEEKDAY, _WANDER):
        kernel = _LEVEL + weekday * same_weekday + wander * since_start + np.eye(size)
        root = np.linalg.cholesky(kernel[:n, :n])
        white = np.linalg.solve(root, seen - centre)
        across = np.linalg.solve(root, kernel[:n, n:])
        squares = float(white @ white) + 1e-9
        # With the noise's own variance integrated out, both likelihood and prediction are Student's.
        likelihood = -float(np.log(np.diag(root)).sum()) - 0.5 * n * np.log(squares)
        spread = (kernel[n:, n:] - across.T @ across) * squares / n
        found.append((likelihood, centre + across.T @ white, spread))
    weights = np.exp(np.array([one[0] for one in found]) - max(one[0] for one in found))
    weights /= weights.sum()
    random = np.random.default_rng(20_260)
    counts = random.multinomial(_DRAWS, weights)
    parts = []
    for count, (_, mean, spread) in zip(counts, found, strict=True):
        if count:
            heavy = np.sqrt(n / random.chisquare(n, count))[:, None]
            steps = random.standard_normal((count, len(ahead))) @ np.linalg.cholesky(spread).T
            parts.append(mean + heavy * steps)
    drawn: Floats = np.maximum(np.concatenate(parts), 0.0) ** 2 * scale
    return drawn
