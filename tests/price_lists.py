"""Small price lists for tests, written after the formats of LiteLLM and of models.dev."""

from __future__ import annotations

import json
from typing import Any


def litellm(**models: dict[str, Any]) -> bytes:
    """Return LiteLLM's JSON of some models, keys with ``__`` for a slash."""
    sample = {"sample_spec": {"input_cost_per_token": 0.0, "litellm_provider": "one of the providers", "mode": "chat"}}
    entries = {
        key.replace("__", "/"): {"litellm_provider": "openai", "mode": "chat", **entry} for key, entry in models.items()
    }
    return json.dumps({**sample, **entries}).encode()


def models_dev(provider: str, **models: dict[str, Any]) -> bytes:
    """Return models.dev's JSON of some models of one provider, each given as its costs."""
    entries = {key: {"id": key, "name": key, "cost": cost} for key, cost in models.items()}
    return json.dumps({provider: {"id": provider, "name": provider, "models": entries}}).encode()
