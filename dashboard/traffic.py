"""Requests by difficulty: how many there are of each score, and which tier a configuration gives them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from router_core.config import RoutingConfig
from router_core.decision import Reason
from router_core.ledger.evidence import Evidence

SCORES = 101

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Traffic:
    """Counts of requests by feature and score, (features, 101): those a boundary moves, and those it does not."""

    features: tuple[str, ...]
    movable: Ints
    fixed: Ints

    @classmethod
    def of(cls, cells: Evidence) -> Traffic:
        """Count evidence cells; pins, rules that name a tier, warm conversations and the like do not move."""
        shape = (len(cells.features), SCORES)
        scored = (cells.score >= 0) & (cells.score < SCORES)
        moves = np.isin(cells.reason, (Reason.POLICY, Reason.EXPLORE))

        def count(which: npt.NDArray[np.bool_]) -> Ints:
            place = cells.feature[which] * SCORES + cells.score[which]
            total = np.bincount(place, weights=cells.decisions[which], minlength=shape[0] * SCORES)
            return total.astype(np.int64).reshape(shape)

        return cls(cells.features, count(scored & moves), count(scored & ~moves))

    def under(self, config: RoutingConfig, feature: str) -> pd.DataFrame:
        """Return a row a score: ``score``, ``fixed``, and the requests each tier gets, a column a tier.

        ``feature`` is the one to look at; the empty name is all of them, each under its own boundaries.
        """
        chosen = [place for place, name in enumerate(self.features) if feature in ("", name)]
        scores = np.arange(SCORES)
        columns = {tier: np.zeros(SCORES, dtype=np.int64) for tier in config.tier_names}
        fixed = np.zeros(SCORES, dtype=np.int64)
        for place in chosen:
            starts = config.boundaries(self.features[place])
            tier_of = np.searchsorted(starts, scores, side="right") - 1
            for index, tier in enumerate(config.tier_names):
                columns[tier] += np.where(tier_of == index, self.movable[place], 0)
            fixed += self.fixed[place]
        return pd.DataFrame({"score": scores, "fixed": fixed, **columns})
