"""HttpStream: a streamed answer on its way through, counted when it ends, is cut or is given up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import aiohttp

from router_core.decision import UsageSource
from router_core.errors import BadAnswerError
from router_core.serving.messages import prompt_text, streamed_text
from router_core.serving.providers.counts import counted
from router_core.serving.providers.events import DONE, EventReader
from router_core.serving.providers.refusals import Refusals
from router_core.serving.providers.seam import Call, Reply
from router_core.usage import Usage, estimate_tokens

_DATA = re.compile(rb"^data:", re.MULTILINE)
_KEPT = 4 * 2**20  # bytes of a stream kept in case its usage has to be estimated
_LINGER_S = 0.25  # how long a finished stream may take to close before its connection is given up


class HttpStream:
    """The ``chunks`` of a reply, which it fills in as they pass; ``aclose`` may come at any moment."""

    def __init__(
        self,
        call: Call,
        response: aiohttp.ClientResponse,
        refusals: Refusals,
        *,
        started: float,
        timer: Callable[[], float],
    ) -> None:
        self._call = call
        self._response = response
        self._refusals = refusals
        self._started = started
        self._timer = timer
        self._reader = EventReader(wants_usage=call.wants_usage)
        self._reply = Reply(chunks=self, tail=DONE)
        self._first = b""
        self._kept: list[bytes] = []
        self._kept_bytes = self._all_bytes = 0
        self._open = True

    async def opened(self) -> Reply:
        """Wait for the first event and return the reply; raises ``ProviderError`` where none comes.

        Comments, by which an endpoint keeps a connection open while a request waits there, are no event: what fails
        after them can still fail over, as long as the call's time-out has not passed.
        """
        while not self._reader.done and not _DATA.search(self._first):
            if self._first and self._timer() - self._started > self._call.timeout_s:
                break
            data = await self._response.content.readany()
            if not data:
                raise self._refusals.bad(self._call, "a stream without an event")
            self._first += self._read(data)
        return self._reply

    def __aiter__(self) -> HttpStream:
        return self

    async def __anext__(self) -> bytes:
        """Return the next events; raises ``ProviderError`` where the stream is cut."""
        if not self._open:
            raise StopAsyncIteration
        piece, self._first = self._first, b""
        try:
            while not piece:
                if self._reader.done:
                    await self._linger()
                    raise StopAsyncIteration
                data = await self._response.content.readany()
                if data:
                    piece = self._read(data)
                elif self._reader.finished:
                    raise StopAsyncIteration
                else:
                    raise self._refusals.bad(self._call, "a stream that was cut before its end")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._settle()
            if self._reader.finished:
                raise StopAsyncIteration from None
            raise self._refusals.failed(self._call, error) from None
        except BaseException:
            self._settle()
            raise
        if self._reply.ttft_ms is None and self._reader.spoke:
            self._reply.ttft_ms = round((self._timer() - self._started) * 1000)
        self._all_bytes += len(piece)
        if self._kept_bytes < _KEPT:
            self._kept.append(piece)
            self._kept_bytes += len(piece)
        return piece

    async def aclose(self) -> None:
        """Stop listening, and count what has passed."""
        self._settle()

    def _settle(self) -> None:
        if not self._open:
            return
        self._open = False
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()
        reply = self._reply
        reply.usage, reply.reported_cost_nusd = counted(self._reader.usage)
        if reply.usage is None:
            text = streamed_text(b"".join(self._kept))
            spoken = estimate_tokens(text) * self._all_bytes // max(self._kept_bytes, 1)
            reply.usage = Usage(estimate_tokens(prompt_text(self._call.body)), spoken)
            reply.usage_source = UsageSource.ESTIMATED
        self._kept.clear()

    def _read(self, data: bytes) -> bytes:
        try:
            return self._reader.feed(data)
        except BadAnswerError as error:
            if error.body:
                raise self._refusals.refused(self._call, None, error.body.encode()) from None
            raise self._refusals.bad(self._call, str(error)) from None

    async def _linger(self) -> None:
        """Wait a moment for the end of a finished stream, so that its connection can be used again."""
        content = self._response.content
        if content.at_eof():
            return
        try:
            async with asyncio.timeout(_LINGER_S):
                while not content.at_eof():
                    await content.readany()
        except (TimeoutError, aiohttp.ClientError, OSError):
            pass  # the answer is complete; only the connection is lost
