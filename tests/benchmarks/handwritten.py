"""What somebody would write by hand in an afternoon: Starlette, aiohttp, twelve rules and a row a request.

It is the yardstick of the gateway's benchmark. Run as a process: ``handwritten.py UPSTREAM_URL DATABASE``; it prints
its port. It answers first and writes its rows later, in batches; it has no fail-over, no versions, no keys, no hashes.
"""

from __future__ import annotations

import json
import queue
import re
import socket
import sqlite3
import sys
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

PATTERNS = (
    r"\b(prove|proof|theorem|lemma)\b",
    r"\b(integral|derivative|equation|matrix)\b",
    r"\b(debug|refactor|compile|exception)\b",
    r"\b(step[- ]by[- ]step|chain of thought)\b",
    r"\b(compare|contrast|versus)\b",
    r"\b(design|architect|migrate)\b",
    r"\b(translate|rephrase|proofread)\b",
    r"\b(classify|categorise|label)\b",
    r"\b(contract|liability|clause)\b",
    r"\b(diagnosis|dosage|symptom)\b",
    r"\b(hello|thanks|good morning)\b",
    r"```|#include|def \w+\(",
)
COLUMNS = 30


class Log(threading.Thread):
    """Writes rows of thirty columns in batches, after their answers have gone out."""

    def __init__(self, path: str) -> None:
        super().__init__(daemon=True)
        self.rows: queue.SimpleQueue[tuple[object, ...]] = queue.SimpleQueue()
        self._path = path

    def run(self) -> None:
        connection = sqlite3.connect(self._path)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute(f"CREATE TABLE IF NOT EXISTS log ({', '.join(f'c{n}' for n in range(COLUMNS))})")
        insert = f"INSERT INTO log VALUES ({', '.join('?' * COLUMNS)})"
        while True:
            rows = [self.rows.get()]
            time.sleep(0.005)
            while not self.rows.empty():
                rows.append(self.rows.get())
            with connection:
                connection.executemany(insert, rows)


def create_app(upstream: str, database: str) -> Starlette:
    rules = [re.compile(pattern, re.IGNORECASE) for pattern in PATTERNS]
    log = Log(database)
    url = f"{upstream}/chat/completions"

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        log.start()
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            app.state.session = session
            yield

    async def chat(request: Request) -> Response:
        began = time.perf_counter()
        body = json.loads(await request.body())
        text = " ".join(message["content"] for message in body["messages"])
        score = len(text) // 100 + sum(10 for rule in rules if rule.search(text))
        body["model"] = "ok" if body["model"] == "auto" else body["model"]
        session: aiohttp.ClientSession = request.app.state.session
        if body.get("stream"):
            answered = await session.post(url, json=body)

            async def pieces() -> AsyncIterator[bytes]:
                async for piece in answered.content.iter_any():
                    yield piece
                log.rows.put((time.time(), score, *range(COLUMNS - 2)))

            return StreamingResponse(pieces(), media_type="text/event-stream")
        async with session.post(url, json=body) as response:
            content = await response.read()
        usage = json.loads(content)["usage"]
        spent = (time.perf_counter() - began, usage["prompt_tokens"], usage["completion_tokens"])
        log.rows.put((time.time(), score, *spent, *range(COLUMNS - 5)))
        return Response(content, media_type="application/json")

    return Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])], lifespan=lifespan)


def main() -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        create_app(*sys.argv[1:]), loop="uvloop", http="httptools", ws="none", log_level="warning", access_log=False
    )
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    main()
