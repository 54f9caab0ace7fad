"""Doubly robust cross-check: do requests that chance sent to a tier answer as the models expect of that tier?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from router_core.projection.cube import EXPLORED
from router_core.projection.prepared import Prepared
from router_core.projection.result import Interval
from router_core.projection.tables import Table
from router_core.projection.target import Target

Floats = npt.NDArray[np.floating]

_LEAST = 20  # explored and labelled requests; fewer say nothing
_REACH = 1.96


class CrossCheck:
    """The models' change in quality, corrected by explored requests weighted by their inverse propensity.

    Right where either the models or the logged propensities are, and far noisier than the models: it is there to
    contradict them, not to replace them. Only traffic that was explored at all can be checked.
    """

    def __init__(self, prepared: Prepared) -> None:
        tally = prepared.cube.tally
        expected = prepared.log.quality[-1][0]
        count, labels, total, squares, inverse = (
            values[EXPLORED].astype(float)
            for values in (
                tally.decisions,
                tally.labelled,
                tally.quality,
                tally.quality_squares,
                tally.inverse_propensity,
            )
        )
        # Each stands for so many requests of its cell; of them, so many are labelled.
        weight = np.divide(inverse, np.maximum(count, 1)) * (count / np.maximum(labels, 1))
        surprise = weight * (total - labels * expected)
        variance = weight**2 * np.maximum(squares - 2 * expected * total + labels * expected**2, 0)
        elsewhere = np.arange(count.shape[1])[:, None] != prepared.live_tier[:, None]
        columns = [(values * elsewhere)[None] for values in (surprise, variance, labels)]
        self._decisions = prepared.cube.decisions
        self._table = Table.of(columns, len(columns), prepared.live.starts)

    def at(self, target: Target, modelled: Interval) -> Interval | None:
        """Correct ``modelled`` for a target; None where too few explored requests went where traffic would move."""
        surprise, variance, labels = self._table.between(target.starts, slice(None))[:, 0].tolist()
        if labels < _LEAST or modelled.change is None or modelled.logged is None:
            return None
        change = modelled.change + surprise / self._decisions
        reach = _REACH * float(np.sqrt(max(variance, 0.0))) / self._decisions
        return Interval(modelled.logged, modelled.logged + change, change, change - reach, change + reach)
