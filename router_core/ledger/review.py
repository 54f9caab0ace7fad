"""Answers for people to review: drawn at random, as many of each tier, among those nobody has reviewed yet."""

from __future__ import annotations

import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from itertools import islice

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.decision import QualitySource, Status
from router_core.ledger.days import Days, id_floor, id_time_ms
from router_core.ledger.filters import condition
from router_core.ledger.hours import Range, hour_ranges
from router_core.ledger.store import Ledger

_PATIENCE = 8  # tries for each answer wanted, before there are held to be no more of them
_PERSON = int(QualitySource.PERSON)


def draw(
    ledger: Ledger,
    tiers: Sequence[str],
    *,
    each: int,
    seed: int,
    since: date | None = None,
    until: date | None = None,
    feature: str = "",
) -> list[bytes]:
    """Return ids of up to ``each`` answered decisions of every tier, in an order that tells nothing of the tier.

    Days, ``until`` included, and hours are drawn by how many answers their cells count, so no rows are scanned; the
    same seed over the same ledger draws the same. A request that came after a pause is a little likelier than others.
    """
    chance = random.Random(seed)
    drawn: list[bytes] = []
    with ledger.reading() as connection:
        for tier in tiers:
            where = {"tier": (tier,), "status": (Status.OK.name.lower(),)}
            if feature:
                where["feature"] = (feature,)
            hours = _hours(connection, ledger.days, since, until, where, chance)
            ids = _ids(connection, condition(connection, None, None, where), islice(hours, each * _PATIENCE), chance)
            drawn += list(islice(ids, each))
    chance.shuffle(drawn)
    return drawn


def _hours(
    connection: Connection,
    days: Days,
    since: date | None,
    until: date | None,
    where: Mapping[str, Sequence[str]],
    chance: random.Random,
) -> Iterator[Range]:
    """Yield hours without end, each as likely as the answers it holds are many; none where there are none."""
    inside = condition(connection, since, until, where)
    held = connection.exec_driver_sql(
        f"SELECT day, SUM(decisions) FROM spend_cell{inside} GROUP BY day HAVING SUM(decisions) > 0 ORDER BY day"
    ).all()
    if not held:
        return
    also = condition(connection, None, None, where).replace(" WHERE ", " AND ", 1)
    look = sa.text(f"SELECT hour, SUM(decisions) FROM spend_hour_cell WHERE day = :day{also} GROUP BY hour")
    known: dict[int, tuple[list[Range], list[int]]] = {}
    numbers, answers = [int(row[0]) for row in held], [int(row[1]) for row in held]
    while True:
        (day,) = chance.choices(numbers, answers)
        if day not in known:
            counts = {int(row[0]): int(row[1]) for row in connection.execute(look, {"day": day})}
            parts = hour_ranges(days, day)
            known[day] = [part for _, part in parts], [counts.get(hour, 0) for hour, _ in parts]
        (hour,) = chance.choices(*known[day])
        yield hour


def _ids(connection: Connection, match: str, hours: Iterator[Range], chance: random.Random) -> Iterator[bytes]:
    """Yield the first answer after a random moment of each hour, each once: ids begin with the time they were made."""
    look = sa.text(
        f"SELECT id FROM decision{match} AND attempts > 0 AND id >= :low AND id < :high AND NOT EXISTS "
        f"(SELECT 1 FROM quality_label l WHERE l.decision_id = decision.id AND l.source = {_PERSON}) "
        "ORDER BY id LIMIT 1"
    )
    seen: set[bytes] = set()
    for low, high in hours:
        moment = id_floor(chance.randrange(id_time_ms(low), id_time_ms(high)))
        for start, end in ((moment, high), (low, moment)):
            key = _unseen(connection, look, start, end, seen)
            if key is not None:
                seen.add(key)
                yield key
                break


def _unseen(
    connection: Connection, look: sa.TextClause, low: bytes, high: bytes, seen: Collection[bytes]
) -> bytes | None:
    """Return the first match of a range that was not drawn before; gives up where many in a row were."""
    for _ in range(_PATIENCE):
        found = connection.execute(look, {"low": low, "high": high}).scalar()
        if found is None:
            return None
        if bytes(found) not in seen:
            return bytes(found)
        low = bytes(found) + b"\0"
    return None
