"""How good a tier's answers are at a score: curves fitted to the labels, and the log's own quality."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from router_core.projection.curves import fit_curves

Floats = npt.NDArray[np.float64]
AnyFloats = npt.NDArray[np.floating]


def expected(
    labelled: AnyFloats, quality: AnyFloats, tiers: int, random: np.random.Generator
) -> Iterator[tuple[str, Floats]]:
    """Yield, for each family of curves, the expected quality by feature, score and tier, (R, F, 101, K) in 0..1.

    ``labelled`` and ``quality`` are (R, F, 101, K): labels and their sums.
    """
    feature, score, tier = np.nonzero(labelled[0])
    for family, predictor in fit_curves(
        feature,
        score,
        tier,
        labelled[:, feature, score, tier].astype(float),
        quality[:, feature, score, tier].astype(float),
        "logit",
        features=labelled.shape[1],
        tiers=tiers,
        random=random,
    ):
        yield family.name, 1 / (1 + np.exp(-np.clip(predictor, -30, 30)))


def logged(decisions: AnyFloats, labelled: AnyFloats, quality: AnyFloats, expectation: AnyFloats) -> AnyFloats:
    """Return the quality summed over the requests of each cell as they were answered, (R, group, F, 101, K).

    With every request labelled it is the sum of the labels. Otherwise the curve speaks for the unlabelled, corrected
    by how far the labels of the same feature and tier lie from the curve; labels are taken to be missing at random.
    """
    count = decisions.sum(axis=3, keepdims=True)
    known = labelled.sum(axis=3, keepdims=True)
    weight = np.divide(count, known, out=np.zeros_like(count), where=known > 0)
    curve = expectation[:, None]
    # Written so that with every request labelled (weight 1) the curve cancels exactly.
    total: AnyFloats = weight * quality + curve * (decisions - weight * labelled)
    return total
