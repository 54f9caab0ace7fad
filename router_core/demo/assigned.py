"""Which tier each simulated request got, why and how likely: the real policy, asked once a feature and score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.decision import Reason
from router_core.demo.asked import NAMES, Asked
from router_core.policy import propensities, tier_for_score

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SCORES = 101


@dataclass
class Assigned:
    """One entry a request: ``tier`` indexes the configuration's tiers, ``version`` the configurations in turn."""

    tier: Ints
    reason: Ints
    propensity: Floats
    version: Ints


def chances(config: RoutingConfig, features: Sequence[str], feature: Ints, score: Ints) -> tuple[Ints, Floats]:
    """Return the tier that pins or boundaries name, (n,), and the probability of each with exploration, (n, tiers)."""
    names = config.tier_names
    due = np.zeros(len(feature), dtype=np.int64)
    found = np.zeros((len(feature), len(names)))
    for number, name in enumerate(features):
        mine = feature == number
        entry = config.features.get(name)
        if entry is not None and entry.pin is not None:
            due[mine] = names.index(entry.pin)
            found[mine, names.index(entry.pin)] = 1.0
            continue
        at_score = np.array([names.index(tier_for_score(config, name, value)) for value in range(_SCORES)])
        spread = np.array([list(propensities(config, name, tier).values()) for tier in names])
        due[mine] = at_score[score[mine]]
        found[mine] = spread[due[mine]]
    return due, found


def assign(asked: Asked, configs: Sequence[RoutingConfig], version: Ints, random: np.random.Generator) -> Assigned:
    """Assign a day's requests; ``version`` says which configuration was live when each came."""
    n = len(asked)
    draw = random.random(n)
    tier, propensity = np.zeros(n, dtype=np.int64), np.ones(n)
    reason = np.full(n, int(Reason.POLICY))
    for number, config in enumerate(configs):
        mine = np.flatnonzero(version == number)
        due, spread = chances(config, NAMES, asked.feature[mine], asked.score[mine])
        chosen = np.minimum((draw[mine, None] >= np.cumsum(spread, axis=1)).sum(axis=1), spread.shape[1] - 1)
        tier[mine], propensity[mine] = chosen, spread[np.arange(len(mine)), chosen]
        reason[mine] = np.where(chosen == due, int(Reason.POLICY), int(Reason.EXPLORE))
        pinned = np.array([name in config.features and config.features[name].pin is not None for name in NAMES])
        reason[mine[pinned[asked.feature[mine]]]] = int(Reason.PIN)
    tier[asked.classification], propensity[asked.classification] = 0, 1.0
    reason[asked.classification] = int(Reason.RULE)
    warm = asked.follows >= 0
    tier, propensity[warm], reason[warm] = tier[_roots(asked.follows)], 1.0, int(Reason.STICKY)
    return Assigned(tier, reason, propensity, version)


def _roots(follows: Ints) -> Ints:
    """Return the turn from which each request has its tier: the last one that the policy decided."""
    root = np.where(follows >= 0, follows, np.arange(len(follows)))
    while (root != root[root]).any():
        root = root[root]
    return root
