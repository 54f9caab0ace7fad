"""What people said of simulated answers: the tier each would have needed, beside what a judge or the user had said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from router_core.decision import QualitySource
from router_core.ledger.bulk import Row, insert_many
from router_core.ledger.rows import DECISION_COLUMNS
from router_core.ledger.store import LABEL_COLUMNS, Ledger

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

REVIEWER = "reviewer"
_ID, _AT, _QUALITY, _SOURCE = (
    DECISION_COLUMNS.index(name) for name in ("id", "decided_at_ms", "quality_ppm", "quality_source")
)
_MINUTE_MS = 60_000
_HALF = 500_000
_ENOUGH = 0.93  # of answers to the like of it are adequate: then a tier is thought enough
_MISTAKEN = 0.06  # of people, about the tier; they then name the next one up
# Of reviewed answers, how many a judge and how many a user had judged before, and of those how many good ones each had
# found bad, and how many bad ones good.
_EARLIER = {QualitySource.JUDGE: (0.7, 0.03, 0.35), QualitySource.FEEDBACK: (0.25, 0.05, 0.5)}
_NEEDED = sa.text("UPDATE quality_label SET needed_tier_id = :tier, author = :who WHERE decision_id = :id")


def review(
    ledger: Ledger, rows: Sequence[Row], adequate: Floats, assigned: Ints, tier_ids: Ints, random: np.random.Generator
) -> None:
    """Add to decisions labelled by people the tier they needed, and what a judge or the user had said before.

    ``rows`` are the decisions', in the order of ``adequate``, how likely each tier's answer is adequate (n, tiers), and
    of ``assigned``, the tier each was given. What each decision carries stays as it is.
    """
    at = np.array([place for place, row in enumerate(rows) if row[_SOURCE] == int(QualitySource.PERSON)], dtype=int)
    if len(at) == 0:
        return
    strongest = len(tier_ids) - 1
    enough = adequate[at] >= _ENOUGH
    needed = np.where(enough.any(axis=1), enough.argmax(axis=1), strongest)
    failed = np.array([rows[place][_QUALITY] < _HALF for place in at.tolist()])
    needed = np.where(failed, np.maximum(needed, assigned[at] + 1), needed)
    needed = np.minimum(needed + (random.random(len(at)) < _MISTAKEN), strongest)
    earlier: list[Row] = []
    for source, (share, harsh, kind) in _EARLIER.items():
        spoke = random.random(len(at)) < share
        erred = random.random(len(at)) < np.where(failed, kind, harsh)
        for place in np.flatnonzero(spoke).tolist():
            row = rows[at[place]]
            ppm = 1_000_000 - row[_QUALITY] if erred[place] else row[_QUALITY]
            earlier.append((row[_ID], row[_AT] + _MINUTE_MS, int(source), ppm, None, "", ""))
    with ledger.writing() as connection:
        connection.execute(
            _NEEDED,
            [
                {"tier": int(tier_ids[tier]), "who": REVIEWER, "id": rows[place][_ID]}
                for place, tier in zip(at.tolist(), needed.tolist(), strict=True)
            ],
        )
        insert_many(connection, "quality_label", LABEL_COLUMNS, earlier)
