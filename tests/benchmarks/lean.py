"""The two ends of the gateway's benchmark, an upstream and its callers, as lean as HTTP allows.

On a machine of few cores whatever they cost is taken from the gateway between them, and all gateways would look alike.
Run as a process it is the upstream, which prints its port: it answers with 200 tokens, or for the model ``paced``
streams 200 pieces, two milliseconds apart. It reads no more of a request than that.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import uvloop

TOKENS = 200
PIECES = 200
PAUSE_S = 0.002


class Upstream(asyncio.Protocol):
    """One connection of a gateway."""

    def __init__(self, whole: bytes, pieces: tuple[bytes, ...], end: bytes) -> None:
        self._whole, self._pieces, self._end = whole, pieces, end
        self._data = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (body := _message(self._data)) is not None:
            asked, self._data = body
            if b'"paced"' in asked:
                self._began = asyncio.get_running_loop().time()
                self._write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
                self._piece(0)
            else:
                self._write(self._whole)

    def _piece(self, number: int) -> None:
        if number == len(self._pieces):
            self._write(self._end)
            return
        self._write(self._pieces[number])
        # Each on time, however late the one before it was.
        asyncio.get_running_loop().call_at(self._began + (number + 1) * PAUSE_S, self._piece, number + 1)

    def _write(self, data: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(data)


class Caller(asyncio.Protocol):
    """One connection to a gateway, asking one thing after another."""

    def __init__(self) -> None:
        self._data = b""
        self._waiter: asyncio.Future[bytes] | None = None

    def ask(self, transport: Any, request: bytes) -> asyncio.Future[bytes]:
        """Send a request; the answer is the whole of what comes back."""
        self._waiter = asyncio.get_running_loop().create_future()
        transport.write(request)
        return self._waiter

    def data_received(self, data: bytes) -> None:
        self._data += data
        if self._waiter is not None and _message(self._data) is not None:
            answer, self._data = self._data, b""
            self._waiter.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(exc or ConnectionError(f"closed after {self._data[:200]!r}"))


def _message(data: bytes) -> tuple[bytes, bytes] | None:
    """Return (body, rest) of an HTTP message, None where it is not whole; only what is asked here is understood."""
    head, found, rest = data.partition(b"\r\n\r\n")
    if not found:
        return None
    lower = head.lower()
    start = lower.find(b"\r\ncontent-length:")
    if start >= 0:
        size = int(lower[start + 17 :].split(b"\r\n", 1)[0])
        return (rest[:size], rest[size:]) if len(rest) >= size else None
    return (rest, b"") if rest.endswith(b"0\r\n\r\n") else None


async def _ask_many(url: str, request: bytes, count: int, concurrency: int) -> list[float]:
    loop = asyncio.get_running_loop()
    at = urlsplit(url)
    left, took = iter(range(count)), []

    async def caller() -> None:
        transport, protocol = await loop.create_connection(Caller, at.hostname, at.port)
        try:
            for _ in left:
                began = time.perf_counter()
                answer = await protocol.ask(transport, request)
                took.append(time.perf_counter() - began)
                assert answer.startswith(b"HTTP/1.1 200"), answer[:500]
        finally:
            transport.close()

    await asyncio.gather(*(caller() for _ in range(concurrency)))
    return took


def ask_many(url: str, body: object, headers: Mapping[str, str], count: int, concurrency: int) -> list[float]:
    """Post a body ``count`` times, so many at once; return how many seconds each answer took."""
    content = json.dumps(body, separators=(",", ":")).encode()
    given = {"host": urlsplit(url).netloc, "content-type": "application/json", **headers}
    head = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    request = f"POST /v1/chat/completions HTTP/1.1\r\n{head}content-length: {len(content)}\r\n\r\n".encode() + content
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_ask_many(url, request, count, concurrency))


@contextmanager
def upstream() -> Iterator[str]:
    """Run the upstream as a process of its own and give its base URL."""
    with subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
        finally:
            process.kill()


async def _serve() -> None:
    base = {"id": "chatcmpl-1", "created": 1_700_000_000, "model": "ok"}
    message = {"role": "assistant", "content": "word " * TOKENS}
    usage = {"prompt_tokens": 170, "completion_tokens": TOKENS, "total_tokens": 170 + TOKENS}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    body = json.dumps({**base, "object": "chat.completion", "choices": [choice], "usage": usage}).encode()
    whole = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    def chunk(data: bytes) -> bytes:
        return b"%x\r\n%s\r\n" % (len(data), data)

    def piece(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        listed = [{"index": 0, "delta": delta, "finish_reason": finish_reason}]
        data = {**base, "object": "chat.completion.chunk", "choices": listed}
        return b"data: " + json.dumps(data).encode() + b"\n\n"

    pieces = (*[chunk(piece({"content": "word "}))] * PIECES, chunk(piece({}, "stop")))
    told = b"data: " + json.dumps({**base, "choices": [], "usage": usage}).encode() + b"\n\n"
    end = chunk(told) + chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listener.getsockname()[1], flush=True)
    server = await asyncio.get_running_loop().create_server(lambda: Upstream(whole, pieces, end), sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve())
