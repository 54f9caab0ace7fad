"""A real OpenAI-compatible upstream as a process of its own; the model it is asked for says how it behaves.

Run as ``python tests/upstream.py`` it listens on a free local port and prints it. Models: ``ok`` answers;
``http-500`` (any number) answers with that status; ``wait-429`` asks to wait three seconds; ``html`` sends a page;
``hang`` never answers; ``after:SECONDS`` answers so late; ``slow`` pauses between pieces; ``paced`` sends 200, two
milliseconds apart; ``cut`` breaks off in the middle; ``cut-early`` before the first piece; ``no-usage`` counts
nothing; ``no-choices`` answers without any; ``overflow`` finds the prompt too long; ``error-event`` reports an error
inside the stream; ``mutters`` sends comments first, ``mutters-error`` then the same error; ``flood`` answers without
end; ``cost`` states its price; ``echo-key`` repeats the caller's key in its refusal. ``says:TEXT`` answers that text,
``raw:JSON`` with that for an answer, or for the pieces of one, ``sure:P`` with that probability for each token where
it is asked for; ``forbids`` refuses by its content policy, ``filtered`` holds its answer back by it; ``endless``
streams for ever; ``vary`` never answers the same twice; ``parts`` takes part in a chain; ``grades`` grades the two
answers it is shown, 9 for one that says "forty" and 4 for another, and likes the first more. ``chaos`` answers four
times of five, and otherwise fails in each of these ways by turns. ``embed`` makes vectors of words. ``GET /calls``
lists the bodies received, ``GET /totals`` counts calls and the tokens told of.
"""

from __future__ import annotations

import asyncio
import json
import math
import socket
import subprocess
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_FAULTS = ("http-403", "http-429", "http-500", "cut", "hang", "html", "cut-early", "no-choices")
_MOST_LISTED = 5_000
_SPOKEN = ("vary", "parts")
_PAUSES = {"slow": 0.2, "paced": 0.002}
WORDS = ("The", " answer", " is", " forty", "-two", ".")
USAGE = {
    "prompt_tokens": 11,
    "completion_tokens": 6,
    "total_tokens": 17,
    "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


class App:
    """The upstream as an ASGI application."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.answered = 0
        self.closed_early = 0
        self.received = 0
        self.told = 0
        self.chaotic = 0
        self.faults = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        if scope["path"] == "/calls":
            facts = {"calls": self.calls, "answered": self.answered, "closed_early": self.closed_early}
            await _json(send, 200, facts)
            return
        if scope["path"] == "/totals":
            await _json(send, 200, {"calls": self.received, "input_tokens": self.told})
            return
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        asked = json.loads(body)
        self.received += 1
        if asked["model"] == "chaos":
            self.chaotic += 1
            if self.chaotic % 5 == 0:
                self.faults += 1
                asked["model"] = _FAULTS[self.faults % len(_FAULTS)]
            else:
                asked["model"] = "ok"
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        size = len(body)
        kept = asked if size < 100_000 else {**asked, "messages": "left out"}
        if len(self.calls) < _MOST_LISTED:
            self.calls.append({"body": kept, "bytes": size, "authorization": headers.get("authorization")})
        if asked["model"] == "echo-key":
            await _json(send, 401, {"error": {"message": f"wrong key {headers.get('authorization')}"}})
            return
        if scope["path"].endswith("/embeddings") and asked["model"].startswith("embed"):
            await self._embed(asked, send)
            return
        await self._answer(asked, receive, send)

    async def _embed(self, asked: dict[str, Any], send: Any) -> None:
        """Answer with the words of each text, hashed into 64 numbers; ``embed-few`` gives but 3 of them."""
        texts = asked["input"] if isinstance(asked["input"], list) else [asked["input"]]
        data = []
        for index, text in enumerate(texts):
            vector = [0.0] * 64
            for word in text.lower().split():
                place = zlib.crc32(word.encode("utf-8", "replace"))
                vector[place % 64] += 1.0 if place & 64 else -1.0
            vector = vector[:3] if asked["model"] == "embed-few" else vector
            data.append({"object": "embedding", "index": index, "embedding": vector})
        tokens = 7 * len(texts)
        self.told += tokens
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        await _json(send, 200, {"object": "list", "model": asked["model"], "data": data, "usage": usage})

    async def _answer(self, asked: dict[str, Any], receive: Any, send: Any) -> None:
        model = asked["model"]
        if model == "hang":
            while (await receive())["type"] != "http.disconnect":
                pass
            self.closed_early += 1
            return
        if model.startswith("after:"):
            await asyncio.sleep(float(model[6:]))
        if model.startswith("http-"):
            await _json(send, int(model[5:]), {"error": {"message": f"fault {model}", "type": "fault", "code": None}})
        elif model == "wait-429":
            await _json(send, 429, {"error": {"message": "slow down", "code": "rate_limit"}}, [(b"retry-after", b"3")])
        elif model == "overflow":
            fault = {"message": "This model's maximum context length is 10 tokens.", "code": "context_length_exceeded"}
            await _json(send, 400, {"error": fault})
        elif model == "forbids":
            await _json(send, 400, {"error": {"message": "not allowed", "code": "content_policy_violation"}})
        elif model == "html":
            page = b"<html><title>Bad gateway</title></html>"
            await _whole(send, 200, page, [(b"content-type", b"text/html")])
        elif model.startswith("raw:") and not asked.get("stream"):
            await _json(send, 200, json.loads(model[4:]))
        elif model == "flood":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            gone = asyncio.ensure_future(receive())
            while not gone.done():
                await send({"type": "http.response.body", "body": bytes(2**20), "more_body": True})
                await asyncio.sleep(0)
            self.closed_early += 1
        elif asked.get("stream"):
            await self._stream(asked, model, receive, send)
        elif model in ("cut", "cut-early"):
            start = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5000")]}
            await send(start)
            await send({"type": "http.response.body", "body": b'{"choices": [', "more_body": True})
        else:
            message = {"role": "assistant", "content": self._text(model, asked)}
            choice = _choice("message", message, "stop")
            if model == "filtered":
                message["content"], choice["finish_reason"] = "", "content_filter"
            if asked.get("logprobs"):
                choice["logprobs"] = {"content": [{"token": "x", "logprob": math.log(float(model[5:] or 1))}] * 3}
            if asked.get("tools") and model == "calls-tool":
                call = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}
                message.update(content=None, tool_calls=[call])
                choice["finish_reason"] = "tool_calls"
            answer = {**_base(model, "chat.completion"), "choices": [choice]}
            if model == "no-choices":
                answer["choices"] = []
            if model != "no-usage":
                self.told += 11
                answer["usage"] = {**USAGE, "cost": 0.000125} if model == "cost" else USAGE
            await _json(send, 200, answer)
            self.answered += 1

    def _text(self, model: str, asked: dict[str, Any]) -> str:
        last = str(asked["messages"][-1].get("content"))
        if model == "vary":
            self.answered += 1
            return " ".join(4 * ["abcdefghij"[self.answered % 10] * 5])
        if model == "parts":
            if "apart into" in last:
                return 'Here you are: ["What is it?", "Why is it so?"]'
            return "a part worked out" if "Work out this one part" in last else "the whole answer"
        if model == "grades":
            first, second = ("forty" in answer for answer in last.rsplit("First answer:", 1)[1].split("Second answer:"))
            return f"{9 if first else 4} {8 if second else 3}"
        return model[5:] if model.startswith("says:") else "".join(WORDS)

    async def _stream(self, asked: dict[str, Any], model: str, receive: Any, send: Any) -> None:
        gone = asyncio.ensure_future(receive())
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
        if model == "cut-early":
            return
        base = _base(model, "chat.completion.chunk")
        if model.startswith("raw:"):
            for data in json.loads(model[4:]):
                await _piece(send, data)
            await send({"type": "http.response.body", "body": b"data: [DONE]\n\n"})
            return
        for _ in range(3 if model.startswith("mutters") else 0):
            await send({"type": "http.response.body", "body": b": still waiting\n\n", "more_body": True})
            await asyncio.sleep(0.1)
        while model == "endless":
            await _piece(send, {**base, "choices": [_choice("delta", {"content": "on and "}, None)]})
            await asyncio.sleep(0.02)
            if gone.done():
                self.closed_early += 1
                return
        words: tuple[str, ...] = (self._text(model, asked),) if ":" in model or model in _SPOKEN else WORDS
        for place, word in enumerate(words if model != "paced" else ("word ",) * 200):
            if model in ("error-event", "mutters-error"):
                await _piece(send, {"error": {"message": "overloaded", "type": "server_error", "code": None}})
                return
            if gone.done():
                self.closed_early += 1
                return
            if place == 3 and model == "cut":
                return
            delta = {"role": "assistant", "content": word} if place == 0 else {"content": word}
            await _piece(send, {**base, "choices": [_choice("delta", delta, None)], "usage": None})
            if model in _PAUSES:
                await asyncio.sleep(_PAUSES[model])
        await _piece(send, {**base, "choices": [_choice("delta", {}, "stop")], "usage": None})
        if (asked.get("stream_options") or {}).get("include_usage") and model != "no-usage":
            self.told += 11
            await _piece(send, {**base, "choices": [], "usage": USAGE})
        await send({"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        self.answered += 1
        gone.cancel()


def _base(model: str, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-upstream", "object": kind, "created": 1_700_000_000, "model": model}


def _choice(part: str, message: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
    return {"index": 0, part: message, "finish_reason": finish_reason}


async def _piece(send: Any, data: dict[str, Any]) -> None:
    piece = b"data: " + json.dumps(data).encode() + b"\n\n"
    await send({"type": "http.response.body", "body": piece, "more_body": True})


async def _json(send: Any, status: int, value: Any, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    await _whole(send, status, json.dumps(value).encode(), [(b"content-type", b"application/json"), *(headers or [])])


async def _whole(send: Any, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def upstream() -> Iterator[str]:
    """Run an upstream process and give its base URL."""
    process = subprocess.Popen([sys.executable, __file__], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/v1"
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def main() -> None:
    import uvicorn

    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        App(), loop="uvloop", http="httptools", ws="none", lifespan="off", log_level="critical", access_log=False
    )
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
