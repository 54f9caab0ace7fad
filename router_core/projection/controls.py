"""The three policies every preview stands beside: all on the cheapest tier, all on the strongest, and a shuffle."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router_core.projection.cube import Cube
from router_core.projection.target import Target


def controls(cube: Cube, target: Target) -> Mapping[str, NDArray[np.floating[Any]]]:
    """Return the controls of a target: by name, the share of a feature's requests on each tier, (features, tiers).

    ``shuffled`` gives every feature the tier shares of the target, but at random instead of by score: a router that
    does not beat it has learnt nothing.
    """
    features, tiers = len(cube.features), len(cube.tiers)
    tier = target.tier_of()
    per_score = cube.tally.decisions.sum(axis=(0, 2))
    shares = np.stack([np.bincount(tier[f], per_score[f], minlength=tiers) for f in range(features)])
    shares = shares / np.maximum(per_score.sum(axis=1, keepdims=True), 1)
    cheapest, strongest = np.zeros((features, tiers)), np.zeros((features, tiers))
    cheapest[:, 0], strongest[:, -1] = 1, 1
    return {"all_cheapest": cheapest, "all_strongest": strongest, "shuffled": shares}
