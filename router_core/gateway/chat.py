"""A chat endpoint: one request in, one recorded answer out, whole or in pieces, in the form its callers speak."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any
from uuid import UUID

from pydantic_core import from_json
from starlette.types import Message, Receive, Scope, Send

from router_core.decision import Request
from router_core.errors import (
    BudgetExceededError,
    InputError,
    ProviderError,
    SlowBodyError,
    TierwiseError,
    TooLargeError,
)
from router_core.gateway.access import with_key
from router_core.gateway.dialect import ChatCompletions, Dialect
from router_core.gateway.engine import Engine
from router_core.gateway.leaving import Leaving
from router_core.gateway.refusals import retry_after
from router_core.gateway.whole import send_whole
from router_core.serving.requests import request_of
from router_core.serving.router import Answer, Delivery

Headers = list[tuple[bytes, bytes]]

_log = logging.getLogger("tierwise.gateway")
_BODY_S = 30.0  # for a request to come in whole
_SPARE_S = 5.0  # beyond the limit of a stream, for a caller who takes its last pieces slowly
_PRINTABLE = bytes(code if 32 <= code < 127 else ord("?") for code in range(256))
_JSON = (b"content-type", b"application/json")
_STREAM: Headers = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),  # proxies in front are to pass pieces on at once
]
# Headers by which callers say what a request is for, and what they say.
_SAID = {
    b"x-tierwise-feature": "feature",
    b"x-tierwise-team": "team",
    b"x-tierwise-conversation": "conversation",
    b"x-tierwise-user-tier": "user_tier",
    b"x-tierwise-expected-format": "expected_format",
    b"x-tierwise-language": "language",
}


class Chat:
    """The endpoint as an ASGI application."""

    def __init__(
        self, engine: Engine, max_body: int, dialect: Dialect | None = None, *, body_s: float = _BODY_S
    ) -> None:
        self._dialect = dialect or ChatCompletions()
        self._engine = engine
        self._body_s = body_s
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a caller who goes away ends the work on it, at the model too."""
        begun = False
        try:
            body, request = await self.asked(scope, receive)
            router = self._engine.router
            with Leaving(receive, most_s=router.config.stream_timeout + _SPARE_S):
                answer = await router.complete(body, request)
                begun = True
                if answer.chunks is None:
                    await whole(self._dialect.whole(answer.body), _facts(answer), scope, send)
                else:
                    await _deliver(answer, answer.chunks, self._dialect, send)
        except TierwiseError as error:
            await refuse(error, self._dialect, send)
        except Exception:
            if begun:
                raise
            # The traceback is in the log; callers learn only whose fault it is.
            _log.exception("a request could not be served")
            await refuse(TierwiseError("the gateway failed on this request; its log says why"), self._dialect, send)

    async def turn_away(self, error: TierwiseError, send: Send) -> None:
        """Refuse a request that nobody looks at."""
        await refuse(error, self._dialect, send)

    async def asked(self, scope: Scope, receive: Receive) -> tuple[dict[str, Any], Request]:
        """Return the body of a request in OpenAI's form, checked, and what routing is to know of it.

        Raises ``AccessError``, ``InputError``, ``TooLargeError`` and ``SlowBodyError``.
        """
        said: dict[str, str | None] = {}
        authorization = None
        announced = 0
        for name, value in scope["headers"]:
            if name in _SAID:
                said[_SAID[name]] = value.decode("utf-8", "replace").strip()
            elif name == b"authorization":
                authorization = value.decode("latin-1")
            elif name == b"x-api-key" and authorization is None:  # as Anthropic's clients send it
                authorization = f"Bearer {value.decode('latin-1')}"
            elif name == b"content-length" and value.isdigit():
                announced = int(value)
        key = self._engine.access.check(authorization)
        body = self._dialect.request(_parsed(await self._read(receive, announced)))
        request = request_of(body, said)
        return body, request if key is None else with_key(request, key)

    async def _read(self, receive: Receive, announced: int) -> bytes:
        if announced > self._max_body:
            raise TooLargeError(self._max_body)
        message = await receive()
        if not message.get("more_body", False) and message["type"] == "http.request":
            return self._bounded(message.get("body", b""))
        try:
            async with asyncio.timeout(self._body_s):
                return await self._rest(message, receive)
        except TimeoutError:
            raise SlowBodyError(self._body_s) from None

    def _bounded(self, body: bytes) -> bytes:
        if len(body) > self._max_body:
            raise TooLargeError(self._max_body)
        return body

    async def _rest(self, message: Message, receive: Receive) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            if message["type"] == "http.disconnect":
                raise InputError("the caller went away before the request had come in whole")
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_body:
                raise TooLargeError(self._max_body)
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)
            message = await receive()


def _parsed(body: bytes) -> object:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise InputError(f"the request is not JSON: {error}") from None


def _facts(answer: Answer) -> Headers:
    facts = [
        (b"x-tierwise-decision", str(UUID(bytes=answer.decision_id)).encode()),
        (b"x-tierwise-tier", _ascii(answer.tier)),
        (b"x-tierwise-model", _ascii(answer.model)),
        (b"x-tierwise-version", b"%d" % answer.config_version),
    ]
    if answer.strategy:
        facts.append((b"x-tierwise-strategy", answer.strategy.name.lower().encode()))
    return facts


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace").translate(_PRINTABLE)


async def whole(content: bytes, facts: Iterable[tuple[bytes, bytes]], scope: Scope, send: Send) -> None:
    """Send a JSON answer, with what its headers are to say."""
    headers = [_JSON, (b"content-length", b"%d" % len(content)), *facts]
    await send_whole(scope, send, headers, content)


async def refuse(error: TierwiseError, dialect: Dialect, send: Send) -> None:
    """Send an error in its caller's form."""
    status, body = dialect.refused(error)
    headers: Headers = [_JSON, (b"content-length", b"%d" % len(body))]
    if isinstance(error, ProviderError | BudgetExceededError) and error.decision_id is not None:
        headers.append((b"x-tierwise-decision", str(UUID(bytes=error.decision_id)).encode()))
    if (wait := retry_after(error)) is not None:
        headers.append((b"retry-after", b"%d" % wait))
    if isinstance(error, TooLargeError | SlowBodyError):
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _deliver(answer: Answer, pieces: Delivery, dialect: Dialect, send: Send) -> None:
    """Pass the pieces on as they come."""
    try:
        await send({"type": "http.response.start", "status": 200, "headers": [*_STREAM, *_facts(answer)]})
        try:
            form = dialect.pieces()
            async for piece in pieces:
                body = piece if form is None else form.feed(piece)
                await send({"type": "http.response.body", "body": body, "more_body": True})
        except TierwiseError as error:
            await send({"type": "http.response.body", "body": dialect.broken(error), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        try:
            await pieces.aclose()
        except TierwiseError as error:  # the answer has begun, so there is nobody left to tell
            _log.warning("a stream that was given up could not be recorded: %s", error)
