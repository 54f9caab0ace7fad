"""Plan: how requests of one feature are served, made once for a version of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from router_core.config import Cache, Cascade, Compress, RoutingConfig
from router_core.decision import Strategy
from router_core.serving.checks import NamedCheck, build_checks

# What a cascade looks at when the configuration lists no checks: an empty or cut-off answer, and one that says it is
# unsure.
DEFAULT_CHECKS: tuple[Mapping[str, Any], ...] = ({"length": {}}, {"uncertainty": None})
_STRATEGIES = {"direct": Strategy.DIRECT, "cascade": Strategy.CASCADE, "chain": Strategy.CHAIN}


@dataclass(frozen=True, slots=True)
class Plan:
    """The strategy and what goes with it; ``plain`` where a request is passed on and nothing else is to be done.

    ``cache`` and ``compress`` are None where they are off; ``checks`` are those of ``cascade``, made, ``logprobs`` says
    that one of them wants token probabilities, ``samples`` how many further answers they ask for.
    """

    strategy: Strategy
    cascade: Cascade
    checks: tuple[NamedCheck, ...]
    logprobs: bool
    samples: int
    cache: Cache | None
    compress: Compress | None
    plain: bool


class Plans:
    """The plan of every feature; raises ``ConfigError`` where a check cannot be built."""

    def __init__(self, config: RoutingConfig) -> None:
        self._default = _plan(config.strategy, config.cascade, config.cache, config.compress, "cascade")
        self._own = {
            name: _plan(
                feature.strategy or config.strategy,
                feature.cascade or config.cascade,
                feature.cache or config.cache,
                feature.compress or config.compress,
                "cascade" if feature.cascade is None else f"features.{name}.cascade",
            )
            for name, feature in config.features.items()
        }

    def of(self, feature: str) -> Plan:
        """Return the plan of a feature; one that the configuration does not list is served by the global settings."""
        return self._own.get(feature, self._default)


def _plan(chosen: str, cascade: Cascade, cache: Cache, compress: Compress, where: str) -> Plan:
    strategy = _STRATEGIES[chosen]
    settings = cascade.checks or (DEFAULT_CHECKS if strategy == Strategy.CASCADE else ())
    checks = tuple(build_checks(settings, f"{where}.checks"))
    asking = [entry["self_consistency"] or {} for entry in settings if "self_consistency" in entry]
    kept, shortened = None if cache.mode == "off" else cache, compress if compress.enabled else None
    return Plan(
        strategy,
        cascade,
        checks,
        logprobs=any("logprob" in entry for entry in settings),
        samples=sum(int(options.get("samples", 2)) for options in asking),
        cache=kept,
        compress=shortened,
        plain=strategy == Strategy.DIRECT and kept is None and shortened is None,
    )
