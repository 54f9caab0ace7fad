"""A target configuration as numbers: where each feature's tiers begin, and how much is explored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_core.config import Cache, RoutingConfig
from router_core.errors import ConfigError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

SCORES = 101


@dataclass(frozen=True)
class Exploration:
    """The share of requests of each feature sent to another tier by chance, (F,), and the tiers that takes, (K,)."""

    rate: tuple[float, ...]
    tiers: tuple[bool, ...]


@dataclass(frozen=True)
class Target:
    """``starts`` (F, K - 1) is the score, 0..101, at which each tier but the first begins; 101 is never.

    A pinned feature is one whose tiers up to the pinned one begin at 0 and the others never.
    """

    starts: Ints
    exploration: Exploration

    @classmethod
    def of(cls, config: RoutingConfig, features: Sequence[str], tiers: Sequence[str]) -> Target:
        """Read a configuration; raises ``ConfigError`` where its tiers are not those of the cube."""
        if config.tier_names != tuple(tiers):
            raise ConfigError(
                f"the target has the tiers {', '.join(config.tier_names)}, but the log was read with "
                f"{', '.join(tiers)}; a preview can move boundaries, not rename tiers",
                path="tiers",
            )
        usual = config.boundaries()[1:]
        starts = np.array([usual] * len(features), dtype=np.int64).reshape(len(features), len(tiers) - 1)
        for row, name in enumerate(features):
            entry = config.features.get(name)
            if entry is None:
                continue
            if entry.pin is not None:
                starts[row] = pinned(tiers.index(entry.pin), len(tiers))
            elif entry.boundaries:
                starts[row] = config.boundaries(name)[1:]
        chosen = config.exploration
        rate = tuple(chosen.rate if not chosen.features or name in chosen.features else 0.0 for name in features)
        return cls(starts, Exploration(rate, tuple(not chosen.tiers or name in chosen.tiers for name in tiers)))

    def tier_of(self) -> Ints:
        """Return the tier at every (feature, score), (F, 101)."""
        scores = np.arange(SCORES)
        tier: Ints = (scores[None, :, None] >= self.starts[:, None, :]).sum(axis=2)
        return tier


def pinned(tier: int, tiers: int) -> Ints:
    """Return the starts (K - 1,) that send every score to one tier."""
    return np.where(np.arange(1, tiers) <= tier, 0, SCORES)


# What a configuration holds beside boundaries, pins and exploration, and beside what ``ranges`` has ends for; a preview
# says so where it differs.
_UNPROJECTED = ("rules", "classifier", "sticky", "chain", "cache", "fallbacks", "budgets")


def unprojected(live: RoutingConfig, target: RoutingConfig, left: Sequence[str] = ()) -> tuple[str, ...]:
    """Name in a sentence what differs between two configurations but is not in the figures; nothing if nothing does.

    ``left`` names what ``ranges`` has no ends for either.
    """
    parts = [name for name in _UNPROJECTED if getattr(live, name) != getattr(target, name)]
    swapped = [new.name for old, new in zip(live.tiers, target.tiers, strict=False) if old.models[0] != new.models[0]]
    parts += [f"the models of {name}" for name in swapped]
    parts += [f"the cache of {name}" for name in target.features if _cache(live, name) != _cache(target, name)]
    parts += left
    if not parts:
        return ()
    return (
        f"The figures hold boundaries, pins, exploration and prices; a change of {', '.join(parts)} is not in them.",
    )


def _cache(config: RoutingConfig, feature: str) -> Cache | None:
    entry = config.features.get(feature)
    return None if entry is None else entry.cache
