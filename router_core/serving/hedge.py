"""Hedging: where a model keeps its first byte for too long the next one is asked too, and the first to answer wins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

from router_core.decision import Status
from router_core.serving.providers.seam import Reply

SLOWER = "hedge: slower"


class Raced(Protocol):
    """A call that can win or lose."""

    status: Status
    reason: str
    reply: Reply | None


_R = TypeVar("_R", bound=Raced)


async def hedged(
    first: _R, rival: Callable[[], _R | None], ask: Callable[[_R], Coroutine[Any, Any, _R]], *, after_s: float
) -> _R:
    """Return the one of two calls that was answered first, or where neither was the one that failed last.

    ``rival`` gives the second after ``after_s`` seconds without a word of the first, None where there is nobody. The
    slower one is cancelled and marked; what it is known to have used stays on it.
    """
    begun = asyncio.create_task(ask(first))
    racing = {begun: first}
    won: _R | None = None
    last = first
    try:
        await asyncio.wait(racing, timeout=after_s)
        if not begun.done() and (second := rival()) is not None:
            racing[asyncio.create_task(ask(second))] = second
        pending = set(racing)
        while pending and won is None:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                last = task.result()
                won = last if last.reply is not None and won is None else won
    finally:
        for task in racing:
            task.cancel()
        await asyncio.gather(*racing, return_exceptions=True)
        for one in racing.values():
            if one is not won and won is not None:
                await _lose(one)
    return last if won is None else won


async def _lose(one: Raced) -> None:
    if one.reply is not None and one.reply.chunks is not None:
        await one.reply.chunks.aclose()
    if one.reply is not None or one.status == Status.ABORTED:  # one that failed by itself keeps saying why
        one.status, one.reason = Status.ABORTED, SLOWER
