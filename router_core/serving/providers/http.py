"""HttpProvider: calls to OpenAI-compatible endpoints over one shared, kept-alive HTTP session."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
from pydantic import SecretStr
from pydantic_core import from_json, to_json

from router_core.config import RoutingConfig
from router_core.decision import UsageSource
from router_core.errors import ProviderRefusedError
from router_core.serving.messages import answer_text, prompt_text
from router_core.serving.providers.counts import counted
from router_core.serving.providers.refusals import Refusals
from router_core.serving.providers.seam import Call, Reply
from router_core.serving.providers.stream import HttpStream
from router_core.usage import Usage, estimate_tokens

_LARGEST = 64 * 2**20  # bytes of an answer
_LARGE = 2**20  # bytes from which a body is written piece by piece, so that it holds up nobody else


class HttpSession:
    """One HTTP session for all endpoints, opened in the running event loop when it is first used there."""

    def __init__(self) -> None:
        self._sessions: dict[asyncio.AbstractEventLoop, aiohttp.ClientSession] = {}

    def get(self) -> aiohttp.ClientSession:
        """Return the open session of the running event loop."""
        loop = asyncio.get_running_loop()
        session = self._sessions.get(loop)
        if session is None:
            connector = aiohttp.TCPConnector(limit=0, ttl_dns_cache=60)
            session = self._sessions[loop] = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar()
            )
        return session

    async def close(self) -> None:
        """Close the connections that the running event loop opened."""
        session = self._sessions.pop(asyncio.get_running_loop(), None)
        if session is not None:
            await session.close()


class HttpProvider:
    """One OpenAI-compatible endpoint.

    The key is read from the environment variable ``api_key_env`` at each call, so that it can be rotated, and appears
    in no message.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        *,
        session: HttpSession,
        api_key_env: str | None = None,
        environ: Mapping[str, str] = os.environ,
        timer: Callable[[], float] = time.monotonic,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._name = name
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._embeddings_url = base_url.rstrip("/") + "/embeddings"
        self._session = session
        self._api_key_env = api_key_env
        self._environ = environ
        self._timer = timer
        self._refusals = Refusals(name, self._url, key=self._key, clock=clock)

    async def complete(self, call: Call) -> Reply:
        """Make the call; a stream is handed over once its first event has come, so what fails before can fail over.

        Raises the leaf of ``ProviderError`` that says why there is no answer.
        """
        return await (self._stream(call) if call.stream else self._whole(call))

    async def _whole(self, call: Call) -> Reply:
        try:
            response = await self._post(call, call.body, aiohttp.ClientTimeout(total=call.timeout_s))
            if response.status != 200:
                raise self._refusals.refused(call, response, await self._body(call, response))
            body = await self._body(call, response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._refusals.failed(call, error) from None
        try:
            answer = from_json(body)
        except ValueError:
            raise self._refusals.not_json(call, response, body) from None
        if not isinstance(answer, dict):
            raise self._refusals.bad(call, "an answer that is not a JSON object", body)
        usage, cost = counted(answer.get("usage"))
        if not (answer.get("data") if call.embeddings else _chosen(answer.get("choices"))):
            if answer.get("error"):
                raise self._refusals.refused(call, None, body)
            what = "an answer without embeddings" if call.embeddings else "an answer without choices"
            raise self._refusals.bad(call, what, body, usage)
        if b'"content_filter"' in body and _held_back(answer):
            raise self._refusals.filtered(call, body, usage)
        if usage is not None:
            return Reply(body, usage=usage, reported_cost_nusd=cost)
        usage = Usage(estimate_tokens(prompt_text(call.body)), estimate_tokens(answer_text(answer)))
        return Reply(body, usage=usage, usage_source=UsageSource.ESTIMATED, reported_cost_nusd=cost)

    async def _stream(self, call: Call) -> Reply:
        started = self._timer()
        body = {**call.body, "stream_options": {**(call.body.get("stream_options") or {}), "include_usage": True}}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=call.timeout_s, sock_read=call.timeout_s)
        try:
            response = await self._post(call, body, timeout)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._refusals.failed(call, error) from None
        try:
            if response.status != 200:
                raise self._refusals.refused(call, response, await self._body(call, response))
            if response.content_type != "text/event-stream":
                raise self._refusals.not_json(call, response, await self._body(call, response))
            stream = HttpStream(call, response, self._refusals, started=started, timer=self._timer)
            return await stream.opened()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            response.close()
            raise self._refusals.failed(call, error) from None
        except BaseException:
            response.close()
            raise

    async def _body(self, call: Call, response: aiohttp.ClientResponse) -> bytes:
        """Return all of a response; raises ``BadAnswerError`` where there is more than any answer has."""
        if (response.content_length or _LARGEST) < _LARGEST and "Content-Encoding" not in response.headers:
            return await response.read()
        parts, size = [], 0
        async for part in response.content.iter_any():
            parts.append(part)
            size += len(part)
            if size > _LARGEST:
                response.close()
                raise self._refusals.bad(call, f"more than {_LARGEST:,} bytes")
        return b"".join(parts)

    async def _post(
        self, call: Call, body: Mapping[str, Any], timeout: aiohttp.ClientTimeout
    ) -> aiohttp.ClientResponse:
        headers = {"Content-Type": "application/json"}
        if self._api_key_env is not None:
            if (key := self._key()) is None:
                raise ProviderRefusedError(
                    f"the key of provider {self._name!r} is missing; set the environment variable {self._api_key_env}",
                    provider_name=self._name,
                    request_model=call.model,
                )
            headers["Authorization"] = f"Bearer {key.get_secret_value()}"
        payload = to_json(body)
        return await self._session.get().post(
            self._embeddings_url if call.embeddings else self._url,
            data=io.BytesIO(payload) if len(payload) > _LARGE else payload,
            headers=headers,
            timeout=timeout,
            allow_redirects=False,
        )

    def _key(self) -> SecretStr | None:
        words = self._environ.get(self._api_key_env, "").split() if self._api_key_env is not None else []
        return SecretStr(words[0]) if words else None


def _chosen(choices: object) -> bool:
    """Whether this is what an answer says: a list of choices, each with its message."""
    return (
        isinstance(choices, list)
        and bool(choices)
        and all(isinstance(one, dict) and isinstance(one.get("message"), dict) for one in choices)
    )


def _held_back(answer: Mapping[str, Any]) -> bool:
    """Whether a content policy left nothing of the answer."""
    finishes = {choice.get("finish_reason") for choice in answer["choices"] if isinstance(choice, Mapping)}
    return finishes == {"content_filter"} and not answer_text(answer).strip()


def http_providers(config: RoutingConfig, session: HttpSession) -> dict[str, HttpProvider]:
    """Return the endpoint of every provider of a configuration, by name."""
    return {
        name: HttpProvider(name, entry.base_url, session=session, api_key_env=entry.api_key_env)
        for name, entry in config.providers.items()
    }
