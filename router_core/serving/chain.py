"""Chain: a request taken apart by one tier, reasoned about part by part by another, and answered by a third."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from pydantic_core import from_json

from router_core.decision import Kind, Reason
from router_core.errors import ProviderError
from router_core.serving.failover import Endpoint, Try
from router_core.serving.job import Job
from router_core.serving.messages import answer_text, answer_values

_DECOMPOSE = (
    "Take the user's request apart into at most {parts} questions that can be answered one by one and together answer "
    "it. Answer with a JSON list of strings and nothing else; where the request is one simple question, the list holds "
    "it alone."
)
_REASON = "Work out this one part of the request above, and nothing else of it, briefly and exactly:\n{part}"
_SYNTHESISE = (
    "Answer the request above. Its parts were worked out already; use what is right in these notes, and do not "
    "mention them:\n{notes}"
)
_BESIDE = ("stream", "stream_options", "tools", "tool_choice", "functions", "response_format", "n", "logprobs")


async def chain(job: Job) -> Try:
    """Answer in three steps, each on the tier that ``chain`` names for it, else on the assigned one.

    The parts are worked out at the same time; a part that nobody answers is left to the last step. A request that is
    one question, or that nobody takes apart, is answered as it stands. Raises ``ProviderError`` where the last step
    fails.
    """
    settings = job.live.config.chain
    parts = await _parts(job, _tier(job, settings.decompose_tier), settings.max_parts)
    if len(parts) < 2:
        return await job.ask(job.draft.chain)
    reason_tier = _tier(job, settings.reason_tier)
    worked = await asyncio.gather(*(_worked_out(job, reason_tier, part) for part in parts))
    notes = "\n\n".join(f"{part}\n{text}" for part, text in zip(parts, worked, strict=True) if text)
    body = {**job.body, "messages": [*job.body["messages"], _said(_SYNTHESISE.format(notes=notes))]}
    return await job.ask(_tier(job, settings.synthesise_tier), body=body, kind=Kind.CHAIN, reason="synthesise")


def _tier(job: Job, name: str | None) -> tuple[Endpoint, ...]:
    draft = job.draft
    # A pinned request is served by its tier and by no weaker one.
    return draft.chain if name is None or draft.reason == Reason.PIN else job.live.chains.by_tier[name]


async def _parts(job: Job, tier: Sequence[Endpoint], most: int) -> list[str]:
    messages = [*job.body["messages"], _said(_DECOMPOSE.format(parts=most))]
    try:
        one = await job.ask(tier, body=_side(job, messages), kind=Kind.CHAIN, reason="decompose")
    except ProviderError:
        return []
    assert one.reply is not None
    text = answer_text(answer_values(one.reply.body))
    start, end = text.find("["), text.rfind("]")
    try:
        listed = from_json(text[start : end + 1])
    except ValueError:
        listed = None
    if not isinstance(listed, list) or not listed or not all(isinstance(part, str) and part.strip() for part in listed):
        one.reason = "decompose: unparsable"
        return []
    return listed[:most]


async def _worked_out(job: Job, tier: Sequence[Endpoint], part: str) -> str:
    messages = [*job.body["messages"], _said(_REASON.format(part=part))]
    try:
        one = await job.ask(tier, body=_side(job, messages), kind=Kind.CHAIN, reason="reason")
    except ProviderError:
        return ""
    assert one.reply is not None
    return answer_text(answer_values(one.reply.body))


def _said(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def _side(job: Job, messages: Sequence[Any]) -> dict[str, Any]:
    """Return the request with other messages and without what concerns the form of its answer only."""
    kept = {key: value for key, value in job.body.items() if key not in _BESIDE}
    return {**kept, "messages": messages}
