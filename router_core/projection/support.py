"""Whether the log can speak for a moved request: labelled requests nearby on its new tier."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from router_core.projection.cube import Cube

Colour = Literal["plain", "amber", "red"]

WITHIN = 5  # scores
LEAST_NEARBY = 10  # labelled requests
LEAST_LABELS = 100  # on a tier in use, for any interval on quality at all
AMBER, RED = 0.02, 0.10  # unsupported shares of all traffic


def supported(cube: Cube) -> npt.NDArray[np.bool_]:
    """Say for each (tier, score) whether the tier has 10 labelled requests within 5 scores, over all features."""
    labels = cube.tally.labelled.sum(axis=(0, 1))
    sums = np.concatenate([np.zeros((len(labels), 1), dtype=np.int64), labels.cumsum(axis=1)], axis=1)
    scores = np.arange(labels.shape[1])
    low, high = np.maximum(scores - WITHIN, 0), np.minimum(scores + WITHIN + 1, labels.shape[1])
    near: npt.NDArray[np.bool_] = sums[:, high] - sums[:, low] >= LEAST_NEARBY
    return near


def colour(unsupported_share: float) -> Colour:
    """Return how far to trust a projection with that unsupported share of all traffic."""
    if unsupported_share <= AMBER:
        return "plain"
    return "amber" if unsupported_share <= RED else "red"
