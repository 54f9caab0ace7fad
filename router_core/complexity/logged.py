"""Logged: requests that one tier each answered and somebody judged, and what can be learnt of the others from that."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Logged:
    """One entry a request: its text, the group (feature) it is reported under, and what came of it.

    ``on_cheap`` and ``on_strong`` say whether the cheapest or the strongest tier answered (neither, where one between
    did), ``quality`` (0..1) how well, ``propensity`` with what chance that tier was chosen. ``explored`` counts those
    that went where the policy would not have sent them.
    """

    source: str
    cheap: str
    strong: str
    prompts: tuple[str, ...]
    groups: tuple[str, ...]
    on_cheap: NDArray[np.bool_]
    on_strong: NDArray[np.bool_]
    quality: Floats
    propensity: Floats
    explored: int

    def __len__(self) -> int:
        return len(self.prompts)

    def gains(self, cheap: Floats, strong: Floats) -> Floats:
        """Return an unbiased gain of each request, given what a model expects of both tiers.

        Only one tier answered each, so it is what the model expects, corrected by what was found on that tier in
        proportion to how seldom it is asked (doubly robust). Single gains are far from 0..1; their mean is right
        whatever the model expects, since the chances are known.
        """
        on_strong = np.where(self.on_strong, (self.quality - strong) / self.propensity, 0.0)
        on_cheap = np.where(self.on_cheap, (self.quality - cheap) / self.propensity, 0.0)
        found: Floats = strong - cheap + on_strong - on_cheap
        return found

    def part(self, which: NDArray[np.int64]) -> Logged:
        """Return some of the requests."""
        return Logged(
            self.source,
            self.cheap,
            self.strong,
            tuple(self.prompts[index] for index in which),
            tuple(self.groups[index] for index in which),
            self.on_cheap[which],
            self.on_strong[which],
            self.quality[which],
            self.propensity[which],
            self.explored,
        )
