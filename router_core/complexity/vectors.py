"""Vectors: many texts embedded by an OpenAI-compatible endpoint, for fitting; httpx, since nobody waits."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router_core.complexity.excerpt import excerpt
from router_core.config import RoutingConfig, suggest
from router_core.errors import InputError, ProviderRefusedError

_BATCH = 128
_TIMEOUT_S = 120.0


@dataclass(frozen=True)
class Embedded:
    """One row a text, in their order; ``input_tokens`` as the endpoint counted them, None where it did not."""

    model: str
    vectors: NDArray[np.float64]
    input_tokens: int | None


def embed_texts(
    name: str,
    texts: Sequence[str],
    config: RoutingConfig,
    *,
    environ: Mapping[str, str] = os.environ,
    progress: Callable[[int, int], None] | None = None,
) -> Embedded:
    """Embed the excerpts of texts with the endpoint written PROVIDER/MODEL.

    Raises ``InputError`` where the configuration has no such provider or its key is missing, ``ProviderRefusedError``
    where it does not answer with one vector a text.
    """
    import httpx

    provider, _, model = name.partition("/")
    if provider not in config.providers or not model:
        hint = suggest(provider, list(config.providers))
        raise InputError(
            f"is {name!r}; write PROVIDER/MODEL with one of the configured providers: {hint}", source="--embeddings"
        )
    entry = config.providers[provider]
    headers = {}
    if entry.api_key_env is not None:
        if not (key := environ.get(entry.api_key_env, "").strip()):
            raise InputError(
                f"the key of provider {provider!r} is missing; set the environment variable {entry.api_key_env}"
            )
        headers["authorization"] = f"Bearer {key}"
    rows: list[list[float]] = []
    tokens: int | None = 0
    with httpx.Client(timeout=_TIMEOUT_S, headers=headers) as client:
        for start in range(0, len(texts), _BATCH):
            # An endpoint refuses an empty text, so that stands for it which has as little to say.
            batch = [excerpt(text) or " " for text in texts[start : start + _BATCH]]
            try:
                reply = client.post(f"{entry.base_url.rstrip('/')}/embeddings", json={"model": model, "input": batch})
                reply.raise_for_status()
                answer = reply.json()
                rows += [one["embedding"] for one in sorted(answer["data"], key=lambda one: one["index"])]
                if len(rows) != start + len(batch):
                    raise ValueError("another number of vectors than texts")
            except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
                raise ProviderRefusedError(
                    f"{provider!r} did not embed {len(batch)} texts with {model!r}: {error}",
                    provider_name=provider,
                    request_model=model,
                ) from None
            counted = _counted(answer)
            tokens = None if tokens is None or counted is None else tokens + counted
            if progress is not None:
                progress(len(rows), len(texts))
    try:
        vectors = np.array(rows, dtype=np.float64).reshape(len(texts), -1)
    except ValueError:
        raise ProviderRefusedError(
            f"{provider!r} gave vectors of different lengths for {model!r}", provider_name=provider, request_model=model
        ) from None
    return Embedded(name, vectors, tokens)


def _counted(answer: Mapping[str, Any]) -> int | None:
    usage = answer.get("usage")
    count = usage.get("prompt_tokens") if isinstance(usage, Mapping) else None
    return count if isinstance(count, int) else None
