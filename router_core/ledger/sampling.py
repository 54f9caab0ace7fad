"""Drawing single requests from a ledger: some of those that stand in given cells, each equally likely, no full scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from router_core.decision import Kind, Reason, Strategy
from router_core.ledger.days import day_number, id_floor
from router_core.ledger.rows import COST_NUSD
from router_core.ledger.store import Ledger
from router_core.ledger.tables import MILLION

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

MOST_READ = 200_000  # rows looked at for one sample; about half a second
_PROBES = 2_000

_LOOK = (
    "SELECT id, feature_id, tier_id, score, strategy, COALESCE(quality_ppm, -1) FROM decision "
    "WHERE id >= :low AND id < :high AND scorer_id = :scorer AND score IS NOT NULL AND reason IN ({reasons})"
)
# What a request costs whichever tier it is given is no part of what moving it changes.
_TIER_FREE = (Kind.CLASSIFIER, Kind.EMBEDDING, Kind.JUDGE, Kind.COMPRESS, Kind.SHADOW, Kind.TRIAL)


@dataclass(frozen=True)
class Drawable:
    """Requests found in the cells; ``feature`` indexes the features asked for, ``quality`` is NaN where unlabelled,
    ``cached`` says that a cache answered. They are one in ``every`` of all there are, equally likely each.
    """

    ids: tuple[bytes, ...]
    feature: Ints
    score: Ints
    quality: Floats
    cached: npt.NDArray[np.bool_]
    every: int

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, some: npt.NDArray[np.bool_]) -> Drawable:
        """Return those of them that a mask marks."""
        ids = tuple(self.ids[place] for place in np.flatnonzero(some))
        return Drawable(ids, self.feature[some], self.score[some], self.quality[some], self.cached[some], self.every)


def drawable(
    ledger: Ledger,
    cells: npt.NDArray[np.bool_],
    *,
    features: Sequence[str],
    tiers: Sequence[str],
    scorer: str,
    since: date,
    until: date,
    decisions: int,
    seed: int = 0,
    most: int = MOST_READ,
) -> Drawable:
    """Return requests that the boundaries, or a pin, put into ``cells`` (F, K, 101) of feature, tier and score.

    ``decisions`` is how many there are in the days from ``since`` to ``until``, both included. Up to ``most`` rows are
    read. Where there are more, time is cut into short slices and one slice in so many is read, chosen at random
    anew each time: ids begin with the time, so each slice is one look-up in the primary key, and every request is
    equally likely whatever the hour it came in.
    """
    names = ledger.dimension_names("feature"), ledger.dimension_names("tier")
    place = [_places(known, wanted) for known, wanted in zip(names, (features, tiers), strict=True)]
    scorer_id = next((number for number, name in ledger.dimension_names("scorer").items() if name == scorer), -1)
    every = max(1, -(-decisions // most))
    first, last = ledger.days.start_ms(day_number(since)), ledger.days.start_ms(day_number(until) + 1)
    look = sa.text(_LOOK.format(reasons=f"{int(Reason.POLICY)}, {int(Reason.PIN)}"))
    with ledger.reading() as connection:
        rows = list(
            chain.from_iterable(
                connection.execute(look, {"low": id_floor(low), "high": id_floor(high), "scorer": scorer_id})
                for low, high in _slices(first, last, every, np.random.default_rng([seed, 1]))
            )
        )
    ids = [bytes(row[0]) for row in rows]
    numbers = np.array([tuple(row)[1:] for row in rows], dtype=np.int64).reshape(-1, 5)
    feature, tier = (of[np.minimum(numbers[:, column], len(of) - 1)] for column, of in enumerate(place))
    score, strategy, quality = numbers[:, 2:].T
    wanted = (feature >= 0) & (tier >= 0) & (score >= 0) & (score <= 100)
    wanted[wanted] = cells[feature[wanted], tier[wanted], score[wanted]]
    kept = np.flatnonzero(wanted)
    graded = np.where(quality[kept] >= 0, quality[kept] / MILLION, np.nan)
    cached = np.isin(strategy[kept], (Strategy.CACHE_EXACT, Strategy.CACHE_SEMANTIC))
    return Drawable(tuple(ids[index] for index in kept), feature[kept], score[kept], graded, cached, every)


def answering_costs(ledger: Ledger, ids: Sequence[bytes]) -> list[int | None]:
    """Return what the calls to answer each of these requests cost, in nano-dollars; None where that is unknown."""
    kinds = ", ".join(str(int(kind)) for kind in _TIER_FREE)
    look = sa.text(
        f"SELECT a.decision_id, {COST_NUSD} FROM attempt a "
        f"WHERE a.decision_id IN :ids AND a.kind NOT IN ({kinds}) GROUP BY a.decision_id"
    ).bindparams(sa.bindparam("ids", expanding=True))
    found: dict[bytes, int | None] = {}
    with ledger.reading() as connection:
        for part in _parts(ids):
            for key, cost in connection.execute(look, {"ids": part}):
                found[bytes(key)] = None if cost is None else int(cost)
    return [found.get(key, 0) for key in ids]


def _places(known: dict[int, str], wanted: Sequence[str]) -> Ints:
    """Return an array from a name's number in the ledger to its place among those wanted; -1 elsewhere, and last."""
    place = np.full(max(known, default=0) + 2, -1, dtype=np.int64)
    for number, name in known.items():
        if name in wanted:
            place[number] = wanted.index(name)
    return place


def _slices(first_ms: int, last_ms: int, every: int, random: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Yield one time slice in ``every``, one from each group of that many; all of the time where it is one."""
    if every == 1:
        yield first_ms, last_ms
        return
    edges = np.linspace(first_ms, last_ms, _PROBES * every + 1).astype(np.int64)
    for group, chosen in enumerate(random.integers(0, every, _PROBES)):
        at = group * every + int(chosen)
        yield int(edges[at]), int(edges[at + 1])


def _parts(ids: Sequence[bytes], size: int = 500) -> Iterable[Sequence[bytes]]:
    return (ids[start : start + size] for start in range(0, len(ids), size))
