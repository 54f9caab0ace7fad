"""How often requests repeat: the intervals between the same prompts of the log, by feature, as a cache sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from router_core.decision import Strategy
from router_core.ledger.days import date_of, day_number
from router_core.ledger.store import Ledger

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

MOST_LOOKED_AT = 1_000_000  # rows, of the last whole days
MOST_READ = 200_000  # rows of these: all requests of some of the prompts

_COUNTS = sa.text(
    "SELECT day, CAST(SUM(decisions) AS BIGINT) FROM spend_cell WHERE day >= :first AND day <= :last "
    "GROUP BY day ORDER BY day DESC"
)
# A prompt's requests are all read or none, so that no repetition is missed; hashes are as good as random.
_LOOK = sa.text(
    "SELECT feature_id, team_id, prompt_hash, decided_at_ms, strategy FROM decision "
    "WHERE id >= :low AND id < :high AND prompt_hash IS NOT NULL AND prompt_hash % :every = 0"
)


@dataclass(frozen=True)
class Asked:
    """The requests of one feature by prompt, each prompt's one after the other: ``prompt`` numbers them, ``at_ms`` is
    when, from ``since_ms`` on, and ``cached`` whether a cache answered in truth."""

    prompt: Ints
    at_ms: Ints
    cached: Bools
    since_ms: int

    @property
    def logged_share(self) -> float:
        """Share of the requests that a cache answered."""
        return float(self.cached.mean()) if len(self.cached) else 0.0

    def hit_share(self, ttl_seconds: int, now_seconds: int) -> float:
        """Return the share of requests that a cache would answer if it kept answers for ``ttl_seconds`` instead of
        ``now_seconds`` (0: no cache), each from when a model gave it, and not longer for being used.

        Kept longer, what was answered from the cache stays so; kept shorter, nothing new is. Where the time seen is at
        least twice as long, its beginning, when nothing is kept yet, does not count.
        """
        if ttl_seconds == now_seconds or not len(self.at_ms):
            return self.logged_share
        if ttl_seconds <= 0:
            return 0.0
        ttl_ms = ttl_seconds * 1000
        repeated = self._hits(ttl_ms)
        hit = repeated | self.cached if ttl_seconds > now_seconds else repeated & self.cached
        seen_ms = int(self.at_ms.max()) - self.since_ms
        counted = self.at_ms >= self.since_ms + (ttl_ms if seen_ms >= 2 * ttl_ms else 0)
        return float(hit[counted].mean()) if counted.any() else 0.0

    def _hits(self, ttl_ms: int) -> npt.NDArray[np.bool_]:
        """Walk all prompts at once, from each kept answer to the first request that comes after it has expired."""
        count = len(self.at_ms)
        hit = np.ones(count, dtype=np.bool_)
        first = np.flatnonzero(np.concatenate([[True], self.prompt[1:] != self.prompt[:-1]]))
        # One number that grows with the prompt, then the time, finds "this prompt, that time" in one sorted search.
        span = int(self.at_ms.max() - self.at_ms.min()) + ttl_ms + 1
        place = self.prompt * span + (self.at_ms - self.at_ms.min())
        kept = first
        while len(kept):
            hit[kept] = False
            after = np.searchsorted(place, place[kept] + ttl_ms)
            inside = after < count
            after, kept = after[inside], kept[inside]
            kept = after[self.prompt[after] == self.prompt[kept]]
        return hit


@dataclass(frozen=True)
class Repeats:
    """Repetitions by feature, in the last ``days`` days of a window; one prompt in ``every`` was looked at."""

    by_feature: Mapping[str, Asked]
    days: int
    every: int


def read_repeats(
    ledger: Ledger, since: date, until: date, *, most_looked_at: int = MOST_LOOKED_AT, most_read: int = MOST_READ
) -> Repeats:
    """Read when which prompts were asked, in as many of the last days of a window as hold a million requests.

    A prompt counts as the same within one team and feature only, since no answer is ever served across them.
    """
    features = ledger.dimension_names("feature")
    first, last = day_number(since), day_number(until)
    with ledger.reading() as connection:
        total = 0
        for day, decisions in connection.execute(_COUNTS, {"first": first, "last": last}):
            if total and total + decisions > most_looked_at:
                first = day + 1
                break
            total += decisions
        every = max(1, -(-total // most_read))
        low, high = ledger.days.id_range(first, last)
        rows = connection.execute(_LOOK, {"low": low, "high": high, "every": every}).all()
    table = np.array([tuple(row) for row in rows], dtype=np.int64).reshape(-1, 5)
    since_ms = ledger.days.start_ms(first)
    found = {}
    for feature_id in np.unique(table[:, 0]):
        own = table[table[:, 0] == feature_id]
        _, prompt = np.unique(own[:, 1:3], axis=0, return_inverse=True)
        order = np.lexsort((own[:, 3], prompt.ravel()))
        begun = max(since_ms, int(own[:, 3].min()))
        cached = np.isin(own[order, 4], (Strategy.CACHE_EXACT, Strategy.CACHE_SEMANTIC))
        found[features[int(feature_id)]] = Asked(prompt.ravel()[order].astype(np.int64), own[order, 3], cached, begun)
    return Repeats(found, (date_of(last) - date_of(first)).days + 1, every)
