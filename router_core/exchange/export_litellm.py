"""A configuration as LiteLLM's proxy_config.yaml: its models, tiers, boundaries, fail-overs and cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from router_core.config import RoutingConfig
from router_core.exchange.outlet import Outlet, Statement

PLUGIN = "router_core.exchange.litellm_plugin.classifier"
_FOUR = ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING")
# Providers that LiteLLM reaches by name; any other one is an OpenAI-compatible endpoint to it.
_PREFIXES = {
    "anthropic": "anthropic",
    "azure": "azure",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "gemini": "gemini",
    "google": "gemini",
    "groq": "groq",
    "mistral": "mistral",
    "openai": "openai",
    "openrouter": "openrouter",
    "x-ai": "xai",
    "xai": "xai",
}
_HEAD = """\
# Routing of configuration version {version}, for the LiteLLM proxy. Boundaries are on Tierwise's scale of 0 to 100,
# written here as 0 to 1; the classifier plugin scores on that scale and reads the live configuration from the ledger
# named in TIERWISE_DB, so that later pushes need no new file.
"""


def export_litellm(path: str | Path, config: RoutingConfig, *, version: int = 0, router: str = "auto") -> Statement:
    """Write a configuration for LiteLLM's proxy; clients ask for the model ``router`` to be routed.

    What LiteLLM has no words for - pins, rules, boundaries of single features - is named in the statement's notes.
    Raises ``InputError`` where the file cannot be written.
    """
    text = _HEAD.format(version=version) + yaml.safe_dump(
        proxy_config(config, router=router), sort_keys=False, allow_unicode=True, width=120
    )
    with Outlet(path) as outlet:
        outlet.write(text.encode())
        return outlet.statement(
            "LiteLLM proxy configuration",
            rows=len(config.models),
            list_cost_nusd=None,
            since=None,
            until=None,
            notes=tuple(_unsaid(config)),
        )


def proxy_config(config: RoutingConfig, *, router: str = "auto") -> dict[str, Any]:
    """Return the same as plain data."""
    settings: dict[str, Any] = {
        "routing_strategy": "simple-shuffle",
        "num_retries": config.num_retries,
        "timeout": config.timeout,
        "cooldown_time": config.cooldown_time,
    }
    fallbacks = _fallbacks(config)
    if fallbacks:
        settings["fallbacks"] = [{model: chain} for model, chain in fallbacks.items()]
        settings["context_window_fallbacks"] = [{model: list(chain)} for model, chain in fallbacks.items()]
    litellm: dict[str, Any] = {}
    if config.cache.mode != "off":
        parameters: dict[str, Any] = {"type": "local", "ttl": config.cache.ttl_seconds}
        if config.cache.mode == "semantic":
            parameters["similarity_threshold"] = config.cache.similarity_threshold
        litellm = {"cache": True, "cache_params": parameters}
    return {
        "model_list": [_router(config, router), *(_model(config, name) for name in config.models)],
        "router_settings": settings,
        **({"litellm_settings": litellm} if litellm else {}),
        "general_settings": {"store_prompts_in_spend_logs": False},
    }


def _router(config: RoutingConfig, router: str) -> dict[str, Any]:
    names, marks = config.tier_names, config.boundaries()
    boundaries = {
        f"{low.lower()}_{high.lower()}": mark / 100
        for low, high, mark in zip(names, names[1:], marks[1:], strict=False)
    }
    own = {} if names == _FOUR else {"tier_definitions": [{"name": name, "description": name} for name in names]}
    return {
        "model_name": router,
        "litellm_params": {
            "model": "auto_router/complexity_router",
            "complexity_router_default_model": config.tiers[-1].models[0],  # when in doubt, up
            "complexity_router_config": {
                "classifier_type": "custom",
                "classifier_plugin": PLUGIN,
                "classifier_fallback": "heuristic",
                "tiers": {tier.name: tier.models[0] for tier in config.tiers},
                "tier_boundaries": boundaries,
                **own,
                "session_affinity": config.sticky.warm_seconds > 0,
            },
        },
    }


def _model(config: RoutingConfig, name: str) -> dict[str, Any]:
    entry = config.models[name]
    provider = config.providers[entry.provider]
    prefix = _PREFIXES.get(entry.provider)
    parameters: dict[str, Any] = {"model": f"{prefix or 'openai'}/{entry.name or name}"}
    if prefix is None:
        parameters["api_base"] = provider.base_url
    if provider.api_key_env:
        parameters["api_key"] = f"os.environ/{provider.api_key_env}"
    return {"model_name": name, "litellm_params": parameters, "model_info": {"id": name}}


def _fallbacks(config: RoutingConfig) -> dict[str, list[str]]:
    """Return who takes over from each model: the rest of its tier's chain, then its own fall-backs."""
    found: dict[str, list[str]] = {}
    for tier in config.tiers:
        for place, model in enumerate(tier.models):
            found.setdefault(model, []).extend(tier.models[place + 1 :])
    for model, others in config.fallbacks.items():
        found.setdefault(model, []).extend(others)
    cleaned = {model: [one for one in dict.fromkeys(chain) if one != model] for model, chain in found.items()}
    return {model: chain for model, chain in cleaned.items() if chain}


def _unsaid(config: RoutingConfig) -> list[str]:
    told = []
    if config.rules:
        told.append("Rules are not in the file; the classifier plugin applies them.")
    if any(feature.pin or feature.boundaries for feature in config.features.values()):
        told.append("Pins and boundaries of single features are not in the file; the classifier plugin applies them.")
    if config.cascade.start_tier is not None or any(feature.strategy for feature in config.features.values()):
        told.append("Cascades and chains are left out; LiteLLM has nothing like them.")
    if config.budgets:
        told.append("Budgets are left out; set them in LiteLLM.")
    return told
