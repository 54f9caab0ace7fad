"""Whose model a log means: providers by one spelling, and models by the name their provider gives them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from router_core.exchange.fields import name


def own_name(provider: Any, model: Any) -> tuple[str, str]:
    """Return (provider, model) of a log that may write the provider in front of the model, as in openai/gpt-4.1."""
    return _own_name(name(provider), name(model))


@lru_cache(maxsize=8192)
def _own_name(provider: str, model: str) -> tuple[str, str]:
    provider = provider.lower()
    front, mark, rest = model.partition("/")
    if mark and (not provider or front.lower() == provider):
        return front.lower(), rest
    return (provider or provider_of(model)), model


@lru_cache(maxsize=8192)
def provider_of(model: str) -> str:
    """Return the provider whose model this is as far as the price catalogue knows, "" where it does not."""
    from genai_prices.data_snapshot import get_snapshot

    try:
        provider, _ = get_snapshot().find_provider_model(model, None, None, None)
    except LookupError:
        return ""
    return str(provider.id)
