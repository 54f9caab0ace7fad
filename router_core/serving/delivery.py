"""Answers on their way to the caller: whole ones, and streams that are recorded before their last piece."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from router_core.decision import RoutingDecision, Status, Strategy
from router_core.errors import BadAnswerError, ProviderTimeoutError, TierwiseError
from router_core.serving.draft import Draft
from router_core.serving.messages import answer_text, answer_values
from router_core.serving.providers import Reply

_log = logging.getLogger("tierwise.serving")

_MOST_KEPT = 4 * 2**20  # bytes of a stream that a cache takes


@dataclass(slots=True)
class Answer:
    """What the caller gets: ``body``, the model's JSON, or ``chunks`` where a stream was asked for.

    ``model`` is the configured model that answered, empty where a cache did. ``decision`` is set once it is recorded:
    before ``complete`` returns, or before the last of ``chunks``.
    """

    decision_id: bytes
    config_version: int
    tier: str
    model: str
    body: bytes = b""
    chunks: Delivery | None = None
    decision: RoutingDecision | None = None
    strategy: Strategy = Strategy.DIRECT

    @property
    def text(self) -> str:
        """What a whole answer says; empty for a stream, whose pieces say it."""
        return answer_text(answer_values(self.body))


class Delivery:
    """The pieces of a streamed answer, raw server-sent events; its decision is recorded before the last one.

    Whoever stops early calls ``aclose``: what has passed is then counted and recorded as aborted. ``keep`` records,
    ``kept`` is given all that has passed of a stream that ended well. A stream still going ``most_s`` after it began
    is cut.
    """

    def __init__(
        self,
        answer: Answer,
        reply: Reply,
        draft: Draft,
        timer: Callable[[], float],
        keep: Callable[[Draft, RoutingDecision], Awaitable[None]],
        *,
        most_s: float,
        kept: Callable[[bytes], Awaitable[None]] | None = None,
    ) -> None:
        assert reply.chunks is not None  # the router saw to it
        self._answer = answer
        self._reply = reply
        self._chunks = reply.chunks
        self._draft = draft
        self._timer = timer
        self._keep = keep
        self._most_s = most_s
        self._until = timer() + most_s
        self._kept = kept
        self._pieces: list[bytes] = []
        self._bytes = 0
        self._ended = False

    def __aiter__(self) -> Delivery:
        return self

    async def __anext__(self) -> bytes:
        """Return the next piece; raises ``ProviderError`` where the stream is cut, once that is recorded."""
        if self._ended:
            raise StopAsyncIteration
        try:
            piece = await self._chunks.__anext__()
        except StopAsyncIteration:
            await self._end(Status.OK)
            return self._reply.tail
        except TierwiseError:
            await self.aclose()
            raise
        except Exception as error:  # noqa: BLE001 - a provider is anybody's code; what has passed is recorded all the same
            _log.exception("a provider failed in the middle of a stream")
            await self.aclose()
            raise BadAnswerError(f"the answer broke off ({type(error).__name__})") from None
        except BaseException:
            await self.aclose()
            raise
        if self._timer() > self._until:
            await self.aclose(Status.TIMEOUT)
            raise ProviderTimeoutError(f"the answer was still going on after {self._most_s:g} s, so it was cut")
        if self._kept is not None:
            self._bytes += len(piece)
            if self._bytes > _MOST_KEPT:
                self._kept = None
                self._pieces.clear()
            else:
                self._pieces.append(piece)
        return piece

    async def aclose(self, status: Status = Status.ABORTED) -> None:
        """Stop listening, and record what has passed as aborted; harmless where the stream has ended."""
        if not self._ended:
            self._ended = True
            await self._chunks.aclose()
            await self._end(status)

    async def _end(self, status: Status) -> None:
        self._ended = True
        try:
            if status == Status.OK and self._kept is not None:
                await self._kept(b"".join(self._pieces))
        finally:  # whoever gives up meanwhile leaves it on record all the same
            self._answer.decision = self._draft.ended(self._timer(), status)
            await self._keep(self._draft, self._answer.decision)
