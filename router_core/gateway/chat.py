"""POST /v1/chat/completions: one request in, one recorded answer out, whole or in pieces."""

from __future__ import annotations

import asyncio
from uuid import UUID

from pydantic_core import from_json
from starlette.types import Receive, Scope, Send

from router_core.errors import InputError, ProviderError, TierwiseError, TooLargeError
from router_core.gateway.access import with_key
from router_core.gateway.engine import Engine
from router_core.gateway.refusals import refusal, retry_after
from router_core.serving.requests import check_body, request_of
from router_core.serving.router import Answer, Delivery

Headers = list[tuple[bytes, bytes]]

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

    def __init__(self, engine: Engine, max_body: int) -> None:
        self._engine = engine
        self._max_body = max_body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            answer = await self._answer(scope, receive)
        except TierwiseError as error:
            await _refuse(error, send)
            return
        if answer.chunks is None:
            headers = [_JSON, (b"content-length", b"%d" % len(answer.body)), *_facts(answer)]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer.body})
        else:
            await send({"type": "http.response.start", "status": 200, "headers": [*_STREAM, *_facts(answer)]})
            await _deliver(answer.chunks, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        said: dict[str, str | None] = {}
        authorization = None
        announced = 0
        for name, value in scope["headers"]:
            if name in _SAID:
                said[_SAID[name]] = value.decode("utf-8", "replace").strip()
            elif name == b"authorization":
                authorization = value.decode("latin-1")
            elif name == b"content-length" and value.isdigit():
                announced = int(value)
        key = self._engine.access.check(authorization)
        body = check_body(_parsed(await self._read(receive, announced)))
        request = request_of(body, said)
        return await self._engine.router.complete(body, request if key is None else with_key(request, key))

    async def _read(self, receive: Receive, announced: int) -> bytes:
        if announced > self._max_body:
            raise TooLargeError(self._max_body)
        parts: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise InputError("the caller went away before the request had come in whole")
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_body:
                raise TooLargeError(self._max_body)
            parts.append(part)
            if not message.get("more_body", False):
                return parts[0] if len(parts) == 1 else b"".join(parts)


def _parsed(body: bytes) -> object:
    try:
        return from_json(body)
    except ValueError as error:
        raise InputError(f"the request is not JSON: {error}") from None


def _facts(answer: Answer) -> Headers:
    return [
        (b"x-tierwise-decision", str(UUID(bytes=answer.decision_id)).encode()),
        (b"x-tierwise-tier", _ascii(answer.tier)),
        (b"x-tierwise-model", _ascii(answer.model)),
        (b"x-tierwise-version", b"%d" % answer.config_version),
    ]


def _ascii(text: str) -> bytes:
    return text.encode("ascii", "replace").translate(_PRINTABLE)


async def _refuse(error: TierwiseError, send: Send) -> None:
    status, body = refusal(error)
    headers: Headers = [_JSON, (b"content-length", b"%d" % len(body))]
    if isinstance(error, ProviderError) and error.decision_id is not None:
        headers.append((b"x-tierwise-decision", str(UUID(bytes=error.decision_id)).encode()))
    if (wait := retry_after(error)) is not None:
        headers.append((b"retry-after", b"%d" % wait))
    if isinstance(error, TooLargeError):
        headers.append((b"connection", b"close"))  # the rest of the body is not read
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _deliver(pieces: Delivery, receive: Receive, send: Send) -> None:
    """Pass the pieces on; a caller who goes away ends the stream at the model too."""
    here = asyncio.current_task()
    assert here is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        here.cancel()

    watcher = asyncio.get_running_loop().create_task(watch())
    try:
        try:
            async for piece in pieces:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        except TierwiseError as error:
            event = b"data: " + refusal(error)[1] + b"\n\n"
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except asyncio.CancelledError:
        if not gone:
            raise
        here.uncancel()
    finally:
        watcher.cancel()
        await pieces.aclose()
