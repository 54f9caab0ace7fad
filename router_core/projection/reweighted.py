"""How often each feature's requests come in a scenario, and how many of them still call a model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.projection.estimate import Preview
from router_core.projection.scenario import Scenario

Floats = npt.NDArray[np.float64]

NO_CACHE = 0


class Repetition(Protocol):
    """How one feature's requests repeat; the ledger's ``repeats.Asked`` is one."""

    @property
    def logged_share(self) -> float:
        """Share of the requests that a cache answered."""
        ...

    def hit_share(self, ttl_seconds: int, now_seconds: int) -> float:
        """Return the share that a cache would answer with another time to live."""
        ...


@dataclass(frozen=True)
class Traffic:
    """How often each feature's requests come, and what share of today's calls to answer are still made, (F,)."""

    requests: Floats
    calls: Floats
    said: tuple[str, ...]

    @classmethod
    def of(cls, preview: Preview, scenario: Scenario, repeats: Mapping[str, Repetition]) -> Traffic:
        """Read a scenario's growth and cache; ``repeats`` by feature."""
        features = preview.cube.features
        growth = [float(scenario.of(name, scenario.growth, 0.0)) for name in features]
        calls = np.ones(len(features))
        said = _say_growth(preview, growth)
        seldom, unseen = [], []
        for index, name in enumerate(features):
            ttl, seen = scenario.of(name, scenario.cache_ttl, None), repeats.get(name)
            if ttl is None or not preview.cube.decisions_by_feature[index]:
                continue
            if seen is None:
                unseen.append(name)
                continue
            now = _ttl_now(preview.config, name)
            if ttl == now:
                continue
            before, after = seen.logged_share, seen.hit_share(int(ttl), now)
            if before == after:
                seldom.append(name)
                continue
            calls[index] = (1 - after) / (1 - before) if before < 1 else 1.0
            said.append(
                f"{name} keeps answers for {int(ttl):,} s ({now:,} s now): {after:.1%} of its requests are answered "
                f"from there ({before:.1%} now), and the others cost what they do now."
            )
        if seldom:
            said.append(f"Keeping answers of {', '.join(seldom)} so long changes nothing: hardly any request repeats.")
        if unseen:
            said.append(f"Nothing is known of how requests of {', '.join(unseen)} repeat, so their caches stay as is.")
        return cls(1 + np.array(growth), calls, tuple(said))


def _say_growth(preview: Preview, growth: Sequence[float]) -> list[str]:
    cube = preview.cube
    asked = [index for index in range(len(growth)) if cube.decisions_by_feature[index]]
    said = []
    for share in dict.fromkeys(growth[index] for index in asked):
        if share:
            names = [cube.features[index] for index in asked if growth[index] == share]
            which = "all features" if len(names) == len(asked) > 1 else ", ".join(names)
            how = "grows" if share > 0 else "shrinks"
            said.append(f"Traffic of {which} {how} by {abs(share):.0%}; its requests stay of the same kind.")
    return said


def _ttl_now(config: RoutingConfig, feature: str) -> int:
    own = config.features[feature].cache if feature in config.features else None
    cache = own or config.cache
    return NO_CACHE if cache.mode == "off" else cache.ttl_seconds
