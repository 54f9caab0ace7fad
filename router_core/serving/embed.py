"""Embeddings: the vector that an OpenAI-compatible endpoint makes of a text, as a call of the request it is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router_core.complexity.excerpt import excerpt
from router_core.complexity.score import Score
from router_core.decision import Kind
from router_core.errors import InputError, ProviderError
from router_core.serving.failover import Endpoint
from router_core.serving.job import Job
from router_core.serving.messages import answer_values
from router_core.serving.providers import Call

Vector = NDArray[np.float64]


async def embed(job: Job, endpoint: Endpoint, text: str, *, reason: str) -> Vector | None:
    """Return the vector of a text's excerpt, asked for at most once for one request; None where nobody gave one."""
    part = excerpt(text)
    if (known := job.vectors.get((endpoint.upstream_model, part))) is not None:
        return known
    if job.failover.asleep((endpoint,)):
        return None
    longest = min(job.live.config.timeout, job.live.config.classifier.timeout)

    def call(asked: Endpoint) -> Call:
        return Call(
            asked.upstream_model,
            {"model": asked.upstream_model, "input": part},
            longest,
            embeddings=True,
        )

    try:
        one = await job.failover.answer(
            (endpoint,),
            call,
            providers=job.live.providers,
            config=job.live.config,
            started=job.draft.started,
            tries=job.draft.tries,
            kind=Kind.EMBEDDING,
            reason=reason,
        )
    except ProviderError:
        return None
    assert one.reply is not None  # it was answered
    vector = _vector(answer_values(one.reply.body))
    if vector is None:
        one.reason = f"{reason}: unusable"
        return None
    job.vectors[endpoint.upstream_model, part] = vector
    return vector


async def score_by_embedding(job: Job, endpoint: Endpoint) -> Score | None:
    """Return the score by the endpoint's vector; None where there is none, or none that the scorer can judge."""
    vector = await embed(job, endpoint, job.draft.request.text, reason="classifier")
    if vector is None:
        return None
    try:
        return job.live.classifier.of_vector(job.draft.request, vector)
    except InputError:
        job.draft.tries[-1].reason = "classifier: other dimensions"
        return None


def _vector(values: Mapping[str, Any]) -> Vector | None:
    """Return the first embedding of an answer; None where it is not a list of numbers."""
    listed = values.get("data")
    first = listed[0] if isinstance(listed, list) and listed else None
    numbers = first.get("embedding") if isinstance(first, Mapping) else None
    if not isinstance(numbers, list) or not numbers:
        return None
    try:
        vector = np.array(numbers, dtype=np.float64)
    except (TypeError, ValueError):
        return None
    return vector if vector.ndim == 1 and np.isfinite(vector).all() else None
