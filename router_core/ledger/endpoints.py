"""Which endpoints have just failed, as far as the newest rows tell: no more than a few thousand of them are read."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from router_core.decision import Status
from router_core.ledger.days import id_floor
from router_core.ledger.store import Ledger

_MOST = 5000
# What makes a gateway leave an endpoint alone for a while; an answer wakes it.
_ILL = (Status.REFUSED, Status.TIMEOUT, Status.RATE_LIMITED, Status.BAD_ANSWER)


@dataclass(frozen=True, slots=True)
class Resting:
    """An endpoint that failed and has not answered since: how many of its last calls failed, and when the last did."""

    provider_name: str
    model: str
    failures: int
    failed_at_ms: int


def resting(ledger: Ledger, now_ms: int, cooldown_s: float) -> list[Resting]:
    """Return the endpoints that a gateway leaves alone now, the one that failed last first.

    Seen from the ledger: those whose newest call within ``cooldown_s`` failed. A gateway may know better, since a
    provider can ask for a longer rest than the configuration gives.
    """
    look = sa.text(
        "SELECT d.decided_at_ms + a.offset_ms + a.latency_ms AS at_ms, a.provider_id, a.model_id, a.status "
        "FROM (SELECT id, decided_at_ms FROM decision WHERE id >= :low ORDER BY id DESC LIMIT :most) d "
        "JOIN attempt a ON a.decision_id = d.id ORDER BY 1 DESC"
    )
    low = id_floor(now_ms - round(cooldown_s * 1000) - 600_000)  # a call may have begun long before it failed
    with ledger.reading() as connection:
        rows = connection.execute(look, {"low": low, "most": _MOST}).all()
    failures: dict[tuple[int, int], list[int]] = {}
    answered: set[tuple[int, int]] = set()
    for at_ms, provider, model, status in rows:
        key = (int(provider), int(model))
        if key in answered:
            continue
        if status in _ILL:
            failures.setdefault(key, []).append(int(at_ms))
        else:
            answered.add(key)
    found = {key: times for key, times in failures.items() if times[0] > now_ms - cooldown_s * 1000}
    if not found:
        return []
    providers, models = ledger.dimension_names("provider"), ledger.dimension_names("model")
    return [
        Resting(providers.get(provider, ""), models.get(model, ""), len(times), times[0])
        for (provider, model), times in sorted(found.items(), key=lambda item: -item[1][0])
    ]
