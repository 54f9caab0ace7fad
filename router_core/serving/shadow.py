"""Shadow: a cached answer beside the one a model gives to the same request, to learn how often the cache is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from router_core.decision import Kind
from router_core.errors import ProviderError
from router_core.serving.failover import Try
from router_core.serving.job import Job
from router_core.serving.messages import answer_text, answer_values
from router_core.serving.similarity import fingerprint

_ALIKE = 0.5
"""Two answers to one question share this much of their words and contradict one another in none that are watched."""

AGREES, DIFFERS = "cache sample: agrees", "cache sample: differs"


async def compare(job: Job, cached: bytes) -> Try | None:
    """Have the tier answer too, off the record of the caller, and note on the attempt whether the two agree.

    The caller waits for it, since the decision is recorded before it is answered, and gets the cached answer as in
    every other hit. None where no model answered.
    """
    body = {key: value for key, value in job.body.items() if key not in ("stream", "stream_options")}
    try:
        one = await job.ask(job.draft.chain, body=body, kind=Kind.SHADOW, reason="cache sample")
    except ProviderError:
        return None
    assert one.reply is not None
    one.reason = AGREES if _agree(answer_values(cached), answer_values(one.reply.body)) else DIFFERS
    return one


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    texts = [" ".join(answer_text(answer).casefold().split()) for answer in (one, other)]
    if texts[0] == texts[1]:
        return True
    prints = [fingerprint(text) for text in texts]
    if prints[0] is None or prints[1] is None:
        return False
    return prints[0].likeness(prints[1]) >= _ALIKE
