"""Whole answers: the head and the body of a response written as one, where the server can."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from starlette.types import Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

Headers = Iterable[tuple[bytes, bytes]]

_EXTENSION = "tierwise.whole"


def offer(scope: Any, cycle: RequestResponseCycle) -> None:
    """Let the application answer a request, which ``cycle`` serves, in one write."""
    scope["extensions"] = {_EXTENSION: partial(_write, cycle)}


async def send_whole(scope: Scope, send: Send, headers: Headers, body: bytes) -> None:
    """Answer with status 200 and a whole body; ``headers`` say how long it is, and are fit to be sent."""
    extensions: dict[str, Callable[[Headers, bytes], bool]] = scope.get("extensions") or {}
    write = extensions.get(_EXTENSION)
    if write is None or not write(headers, body):
        await send({"type": "http.response.start", "status": 200, "headers": list(headers)})
        await send({"type": "http.response.body", "body": body})


def _write(cycle: RequestResponseCycle, headers: Headers, body: bytes) -> bool:
    """Do what the cycle's ``send`` does with the two messages; returns False where it would wait, or has begun."""
    if cycle.flow.write_paused or cycle.disconnected or cycle.response_started:
        return False
    parts = [b"HTTP/1.1 200 OK\r\n"]
    for name, value in cycle.default_headers:
        parts += (name, b": ", value, b"\r\n")
    for name, value in headers:
        parts += (name, b": ", value, b"\r\n")
    parts += (b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n", body)
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(b"".join(parts))
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
