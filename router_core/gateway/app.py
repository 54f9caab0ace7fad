"""The gateway as an ASGI application: its addresses, and its life from start to the last drained request."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from router_core.errors import OverloadedError, TierwiseError, UnknownModelError
from router_core.gateway.chat import Chat
from router_core.gateway.counting import Counting
from router_core.gateway.engine import Engine
from router_core.gateway.messages import Messages
from router_core.gateway.metrics import CONTENT_TYPE
from router_core.gateway.refusals import refusal, shaped
from router_core.serving.requests import AUTO

MAX_BODY = 32 * 2**20
"""How many bytes a request may have unless the gateway is told otherwise."""

MAX_REQUESTS = 10_000
"""How many requests there may be at work at once unless the gateway is told otherwise."""

_log = logging.getLogger("tierwise.gateway")


def create_app(engine: Engine, *, max_body: int = MAX_BODY, max_requests: int = MAX_REQUESTS) -> Starlette:
    """Return the application; it starts ``engine`` when it starts, and closes it when it has drained.

    Callers beyond ``max_requests`` at once are asked to come back; health and metrics are told all the same.
    """

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        engine.start()
        try:
            yield
        finally:
            await engine.close()

    async def models(request: Request) -> Response:
        try:
            engine.access.check(_credentials(request))
        except TierwiseError as error:
            status, body = refusal(error)
            return Response(body, status, media_type="application/json")
        config = engine.router.config
        owners = {AUTO: "tierwise"} | {name: model.provider for name, model in config.models.items()}
        listed = [{"id": name, "object": "model", "created": 0, "owned_by": owner} for name, owner in owners.items()]
        wanted = request.path_params.get("model")
        if wanted is None:
            return JSONResponse({"object": "list", "data": listed})
        found = next((one for one in listed if one["id"] == wanted), None)
        if found is not None:
            return JSONResponse(found)
        status, body = refusal(UnknownModelError(wanted, tuple(config.models)))
        return Response(body, status, media_type="application/json")

    async def metrics(request: Request) -> Response:
        try:
            engine.access.check(_credentials(request))
        except TierwiseError as error:
            status, body = refusal(error)
            return Response(body, status, media_type="application/json")
        return Response(engine.metrics.text(), headers={"content-type": CONTENT_TYPE.decode()})

    async def healthz(_request: Request) -> Response:
        ledger = "spooling" if engine.away else "ok"
        return JSONResponse({"status": "ok", "version": engine.router.version, "ledger": ledger})

    chat = {
        "/v1/chat/completions": Chat(engine, max_body),
        "/v1/messages": Chat(engine, max_body, Messages()),
    }
    return _Gateway(
        chat,
        max_requests,
        routes=[
            *(Route(path, endpoint, methods=["POST"]) for path, endpoint in chat.items()),
            Route("/v1/messages/count_tokens", Counting(engine, max_body), methods=["POST"]),
            Route("/v1/models", models, methods=["GET"]),
            Route("/v1/models/{model:path}", models, methods=["GET"]),
            Route("/metrics", metrics, methods=["GET"]),
            Route("/healthz", healthz, methods=["GET"]),
        ],
        exception_handlers={HTTPException: _not_here, Exception: _broken},
        lifespan=lifespan,
    )


class _Gateway(Starlette):
    """The application; requests for answers, which are nearly all, take no detour on their way to their endpoint."""

    def __init__(self, chat: Mapping[str, Chat], most: int, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._chat = chat
        self._most = most
        self._at_work = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST":
            endpoint = self._chat.get(scope["path"])
            if endpoint is not None:
                if self._at_work >= self._most:
                    await endpoint.turn_away(OverloadedError(self._most), send)
                    return
                self._at_work += 1
                try:
                    await endpoint(scope, receive, send)
                finally:
                    self._at_work -= 1
                return
        await super().__call__(scope, receive, send)


def _credentials(request: Request) -> str | None:
    """Return how a caller shows a key, as OpenAI's clients or as Anthropic's send it."""
    key = request.headers.get("x-api-key")
    return request.headers.get("authorization") or (None if key is None else f"Bearer {key}")


async def _not_here(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    message = (
        f"{request.method} {request.url.path} is not served here; POST /v1/chat/completions, POST /v1/messages and "
        "GET /v1/models are"
    )
    body = shaped(message, "invalid_request_error", "not_found" if error.status_code == 404 else "method_not_allowed")
    return Response(body, error.status_code, dict(error.headers or {}), media_type="application/json")


async def _broken(_request: Request, _error: Exception) -> Response:
    # The traceback is in the log; callers learn only whose fault it is.
    body = shaped("the gateway failed on this request; its log says why", "server_error", "internal_error")
    return Response(body, 500, media_type="application/json")
