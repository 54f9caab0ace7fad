"""Counting: how many tokens a request in Anthropic's form is estimated to have; nobody is called for it."""

from __future__ import annotations

from pydantic_core import to_json
from starlette.types import Receive, Scope, Send

from router_core.errors import TierwiseError
from router_core.gateway.chat import Chat, refuse, whole
from router_core.gateway.engine import Engine
from router_core.gateway.messages import Messages
from router_core.serving.messages import prompt_text
from router_core.usage import estimate_tokens


class Counting:
    """``POST /v1/messages/count_tokens`` as an ASGI application."""

    def __init__(self, engine: Engine, max_body: int) -> None:
        self._form = Messages()
        self._chat = Chat(engine, max_body, self._form)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            body, _ = await self._chat.asked(scope, receive)
        except TierwiseError as error:
            await refuse(error, self._form, send)
        else:
            await whole(to_json({"input_tokens": estimate_tokens(prompt_text(body))}), (), scope, send)
