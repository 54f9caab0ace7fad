"""The ledger's own labelled log: requests whose text is kept and whose answer was judged, to fit a scorer on."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from router_core.complexity.logged import Logged
from router_core.decision import Reason, Status
from router_core.errors import InputError
from router_core.ledger.store import Ledger
from router_core.ledger.tables import MILLION

MOST = 200_000
"""So many of the newest requests are taken; more would teach no more and take hours."""

_LOOK = sa.text(
    "SELECT p.prompt, f.name AS feature, t.name AS tier, d.quality_ppm, d.propensity_ppm, d.reason "
    "FROM decision d JOIN captured_prompt p ON p.decision_id = d.id "
    "JOIN dimension f ON f.id = d.feature_id JOIN dimension t ON t.id = d.tier_id "
    "WHERE d.quality_ppm IS NOT NULL AND d.reason IN (:policy, :explore) AND d.status = :ok "
    "AND p.expires_at_ms > :now ORDER BY d.id DESC LIMIT :most"
)


def graded_log(ledger: Ledger, tiers: Sequence[str]) -> Logged:
    """Return the labelled requests that the boundaries or exploration placed, newest first.

    ``tiers`` are those of the live configuration, cheapest first; the first is set against the last. Raises
    ``InputError`` where there are none.
    """
    asked = {
        "policy": int(Reason.POLICY),
        "explore": int(Reason.EXPLORE),
        "ok": int(Status.OK),
        "now": time.time_ns() // 1_000_000,
        "most": MOST,
    }
    with ledger.reading() as connection:
        rows = connection.execute(_LOOK, asked).all()
    if not rows:
        raise InputError(
            "the ledger holds no judged request whose text is kept; set 'capture: {prompts: all}', and label answers",
            source="--from-log",
        )
    prompts, features, names, quality, propensity, reasons = zip(*rows, strict=True)
    return Logged(
        "the ledger's log",
        tiers[0],
        tiers[-1],
        prompts,
        features,
        np.array([name == tiers[0] for name in names]),
        np.array([name == tiers[-1] for name in names]),
        np.array(quality, dtype=np.float64) / MILLION,
        np.array(propensity, dtype=np.float64) / MILLION,
        int(sum(reason == Reason.EXPLORE for reason in reasons)),
    )
