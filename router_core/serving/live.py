"""Live: everything a version of the configuration brings; a request takes it once and sees no other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from router_core.complexity.classify import Classifier
from router_core.config import RoutingConfig
from router_core.errors import ConfigError
from router_core.prices import PriceBook
from router_core.serving.capabilities import Capabilities
from router_core.serving.failover import Chains, Endpoint
from router_core.serving.plan import Plans
from router_core.serving.providers import Provider


@dataclass(frozen=True, slots=True)
class Live:
    """One version, ready to serve."""

    config: RoutingConfig
    version: int
    classifier: Classifier
    prices: PriceBook
    providers: Mapping[str, Provider]
    chains: Chains
    plans: Plans
    capabilities: Capabilities
    asks_judge: bool
    embedder: Endpoint | None
    cache_embedder: Endpoint | None


def prepare(
    config: RoutingConfig,
    version: int,
    classifier: Classifier | None,
    prices: PriceBook | None,
    providers: Mapping[str, Provider],
) -> Live:
    """Make a version ready; raises ``ConfigError`` where a provider is missing or a check cannot be built."""
    for name in config.providers:
        if name not in providers:
            raise ConfigError(f"nobody answers for the provider {name!r}", path=f"providers.{name}")
    judge = classifier or Classifier(config)
    return Live(
        config,
        version,
        judge,
        _shipped_prices() if prices is None else prices,
        providers,
        Chains(config),
        Plans(config),
        Capabilities(config),
        "judge" in config.classifier.stages,
        None if judge.asks_endpoint is None else embedder(judge.asks_endpoint, config),
        None if config.cache.embeddings is None else embedder(config.cache.embeddings, config),
    )


def embedder(name: str, config: RoutingConfig) -> Endpoint:
    """Return the endpoint written PROVIDER/MODEL; raises ``ConfigError`` where there is no such provider."""
    provider, _, model = name.partition("/")
    if provider not in config.providers or not model:
        raise ConfigError(
            f"embeddings come from {name!r}, and {provider!r} is not one of the providers", path="providers"
        )
    return Endpoint(model, "", provider, model)


def _shipped_prices() -> PriceBook:
    from router_core.config import data_dir
    from router_core.prices import catalogue, load_price_overrides

    return PriceBook([*catalogue(), *load_price_overrides(data_dir() / "prices.yaml")])
