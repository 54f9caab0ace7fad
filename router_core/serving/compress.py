"""Compression: the old turns of a long conversation become one summary, written by the cheapest model."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from router_core.config import Compress
from router_core.decision import Kind
from router_core.errors import ProviderError
from router_core.serving.job import Job
from router_core.serving.messages import answer_text, answer_values, content_text, prompt_text
from router_core.usage import estimate_tokens

_ASK = (
    "Summarise this earlier part of a conversation for the assistant who is to carry it on. Keep every name, number, "
    "date, decision, open question and wish; leave out courtesies. Write notes, not sentences, in the language of the "
    "conversation, and add nothing."
)
_FEWEST_TURNS = 2
_SHARE = 4  # a summary has at most this part of what it stands for
LONGEST_SUMMARY = 1_000
"""Tokens that a summary has at most."""


class Summaries:
    """Summaries written lately, by team and by the very turns they stand for; in memory only, ``most`` of them."""

    def __init__(self, most: int = 2_000) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, str] = OrderedDict()

    def find(self, team: str, told: str) -> str | None:
        """Return the summary of these turns, None where there is none."""
        return self._kept.get(_key(team, told))

    def keep(self, team: str, told: str, summary: str) -> None:
        """Remember a summary, forgetting the oldest where there are too many."""
        self._kept[_key(team, told)] = summary
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)


def _key(team: str, told: str) -> bytes:
    return blake2b(f"{team}\0{told}".encode("utf-8", "replace"), digest_size=16).digest()


async def compress(job: Job, settings: Compress, summaries: Summaries) -> None:
    """Shorten the job's body where its prompt is above ``above_tokens``; where that fails it stays as it is.

    Only plain turns of user and assistant before the last ``keep_last`` messages are summarised; instructions, calls
    of tools and what tools returned stay word for word and in their places. The turns taken grow ``keep_last`` at a
    time, so that the next turns of a conversation find their summary written.
    """
    messages = job.body["messages"]
    size = sum(len(content_text(message.get("content"))) for message in messages)
    if size <= settings.above_tokens or estimate_tokens(prompt_text(job.body)) <= settings.above_tokens:
        return  # no estimate exceeds one token a character
    recent = max(0, len(messages) - settings.keep_last)
    old = [place for place in range(recent) if _plain(messages[place])]
    old = old[: len(old) - len(old) % max(_FEWEST_TURNS, settings.keep_last)]
    if not old:
        return
    told = "\n\n".join(f"{messages[place]['role']}: {messages[place]['content']}" for place in old)
    summary = summaries.find(job.draft.team, told)
    if summary is None:
        summary = await _written(job, told)
        if summary is None:
            return
        summaries.keep(job.draft.team, told, summary)
    note = {"role": "system", "content": f"Summary of the earlier conversation:\n{summary}"}
    gone = frozenset(old[1:])
    shorter = [note if place == old[0] else one for place, one in enumerate(messages) if place not in gone]
    job.body = {**job.body, "messages": shorter}


async def _written(job: Job, told: str) -> str | None:
    """Have the cheapest model summarise; None where it does not, or writes no less than there was."""
    tokens = estimate_tokens(told)
    live = job.live
    chain = live.chains.by_tier[live.config.tier_names[0]]
    if job.failover.asleep(chain):
        return None
    asked = job.side(
        [{"role": "system", "content": _ASK}, {"role": "user", "content": told}],
        max_tokens=min(LONGEST_SUMMARY, max(64, tokens // _SHARE)),
        temperature=0,
    )
    try:
        one = await job.ask(chain, body=asked, kind=Kind.COMPRESS, reason="long")
    except ProviderError:
        return None
    assert one.reply is not None
    summary = answer_text(answer_values(one.reply.body)).strip()
    if not summary or estimate_tokens(summary) >= tokens:
        one.reason = "long: no shorter"
        return None
    return summary


def _plain(message: Mapping[str, Any]) -> bool:
    return (
        message.get("role") in ("user", "assistant")
        and isinstance(message.get("content"), str)
        and not message.get("tool_calls")
        and not message.get("function_call")
    )
