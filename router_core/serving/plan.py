"""Plan: how requests of one feature are served, made once for a version of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from router_core.config import Cache, Compress, RoutingConfig
from router_core.decision import Strategy
from router_core.serving.checks import NamedCheck, build_checks

# What a cascade looks at when the configuration lists no checks: an empty or cut-off answer, and one that says it is
# unsure.
DEFAULT_CHECKS: tuple[Mapping[str, Any], ...] = ({"length": {}}, {"uncertainty": None})
_STRATEGIES = {"direct": Strategy.DIRECT, "cascade": Strategy.CASCADE, "chain": Strategy.CHAIN}


@dataclass(frozen=True, slots=True)
class Plan:
    """The strategy and what goes with it; ``plain`` where a request is passed on and nothing else is to be done.

    ``cache`` and ``compress`` are None where they are off; ``logprobs`` says that a check wants token probabilities,
    ``samples`` how many further answers checks ask for.
    """

    strategy: Strategy
    checks: tuple[NamedCheck, ...]
    logprobs: bool
    samples: int
    cache: Cache | None
    compress: Compress | None
    plain: bool


class Plans:
    """The plan of every feature; raises ``ConfigError`` where a check cannot be built."""

    def __init__(self, config: RoutingConfig) -> None:
        settings = config.cascade.checks or DEFAULT_CHECKS
        chosen = {config.strategy, *(feature.strategy for feature in config.features.values())}
        # Looking for other people's checks takes a while, so nobody looks where no cascade needs any.
        needed = "cascade" in chosen or config.cascade.checks
        checks = tuple(build_checks(settings)) if needed else ()
        logprobs = any("logprob" in entry for entry in settings)
        asking = [entry["self_consistency"] or {} for entry in settings if "self_consistency" in entry]
        samples = sum(int(options.get("samples", 2)) for options in asking) if checks else 0
        compress = config.compress if config.compress.enabled else None

        def plan(chosen: str, cache: Cache) -> Plan:
            strategy = _STRATEGIES[chosen]
            kept = None if cache.mode == "off" else cache
            plain = strategy == Strategy.DIRECT and kept is None and compress is None
            return Plan(strategy, checks, logprobs, samples, kept, compress, plain)

        self._default = plan(config.strategy, config.cache)
        self._own = {
            name: plan(feature.strategy or config.strategy, feature.cache or config.cache)
            for name, feature in config.features.items()
        }

    def of(self, feature: str) -> Plan:
        """Return the plan of a feature; one that the configuration does not list is served by the global settings."""
        return self._own.get(feature, self._default)
