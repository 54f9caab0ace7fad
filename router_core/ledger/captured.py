"""Prompts kept by opt-in: what requests asked, for as long as their text is kept."""

from __future__ import annotations

import time
from collections.abc import Sequence

import sqlalchemy as sa

from router_core.ledger.store import Ledger
from router_core.ledger.tables import MILLION

_AT_ONCE = 500


def kept_prompts(ledger: Ledger, ids: Sequence[bytes], *, at_ms: int | None = None) -> dict[bytes, str]:
    """Return the text of those of these requests whose text is kept at a time (UTC epoch milliseconds), else now."""
    now = time.time_ns() // MILLION if at_ms is None else at_ms
    look = sa.text(
        "SELECT decision_id, prompt FROM captured_prompt WHERE decision_id IN :ids AND expires_at_ms > :now"
    ).bindparams(sa.bindparam("ids", expanding=True))
    found: dict[bytes, str] = {}
    with ledger.reading() as connection:
        for start in range(0, len(ids), _AT_ONCE):
            rows = connection.execute(look, {"ids": list(ids[start : start + _AT_ONCE]), "now": now})
            found.update((bytes(key), prompt) for key, prompt in rows)
    return found
