"""How good a tier's answers are at a score: curves fitted to the labels, and the log's own quality."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def logged(decisions: Floats, labelled: Floats, quality: Floats, expected: Floats) -> Floats:
    """Return the quality summed over the requests of each cell as they were answered, (R, group, F, K, 101).

    With every request labelled it is the sum of the labels. Otherwise the curve, ``expected`` (R, F, K, 101), speaks
    for the unlabelled, corrected by how far the labels of the same feature and tier lie from it; labels are taken to
    be missing at random.
    """
    count = decisions.sum(axis=(1, 4), keepdims=True)
    known = labelled.sum(axis=(1, 4), keepdims=True)
    weight = np.divide(count, known, out=np.zeros_like(count), where=known > 0)
    # Written so that with every request labelled (weight 1) the curve cancels exactly.
    total: Floats = weight * quality + expected[:, None] * (decisions - weight * labelled)
    return total
