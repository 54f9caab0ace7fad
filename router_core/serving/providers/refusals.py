"""What an endpoint means when it does not answer: its status, headers and words as a leaf of ``ProviderError``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
from pydantic import SecretStr
from pydantic_core import from_json

from router_core.errors import (
    BadAnswerError,
    ContentPolicyError,
    ContextOverflowError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    RateLimitedError,
)
from router_core.serving.providers.seam import Call
from router_core.usage import Usage

_OVERFLOW = re.compile(
    r"context[ _-]?(?:length|window|size)|maximum context|(?:prompt|input) is too long|too many (?:input )?tokens"
    r"|token count .{0,40}exceeds|exceeds? .{0,60}(?:token limit|number of tokens)"
    r"|reduce the length of the (?:messages|prompt)",
    re.IGNORECASE,
)
_RATE_CODES = ("rate_limit_exceeded", "rate_limit_error", "insufficient_quota", "too_many_requests", "429")
_POLICY_CODES = ("content_policy_violation", "content_filter", "responsible_ai_policy_violation")
_POLICY = re.compile(
    r"content[ _-](?:management |filtering )?(?:policy|filter)|safety (?:policy|system|filter)", re.IGNORECASE
)
_SHOWN = 300


class Refusals:
    """Says for one endpoint why there is no answer; its key never appears in what is said."""

    def __init__(
        self, provider_name: str, url: str, *, key: Callable[[], SecretStr | None], clock: Callable[[], int]
    ) -> None:
        self._provider_name = provider_name
        self._url = url
        self._key = key
        self._clock = clock

    def failed(self, call: Call, error: Exception) -> ProviderError:
        """Read what the HTTP client raised."""
        name = self._provider_name
        facts: dict[str, Any] = {"provider_name": name, "request_model": call.model}
        if isinstance(error, TimeoutError):
            return ProviderTimeoutError(f"{name!r} did not answer {call.model!r} within {call.timeout_s:g} s", **facts)
        if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
            return ProviderRefusedError(f"the address of provider {name!r} cannot be used: {self._url}", **facts)
        if isinstance(error, aiohttp.ClientConnectorError):
            return ProviderRefusedError(f"nothing answers for {name!r} at {self._url}: {error.strerror}", **facts)
        return BadAnswerError(f"{name!r} broke off its answer for {call.model!r} ({type(error).__name__})", **facts)

    def refused(self, call: Call, response: aiohttp.ClientResponse | None, body: bytes) -> ProviderError:
        """Read a response that is not an answer; None stands for an error event inside a stream."""
        if (key := self._key()) is not None:
            body = body.replace(key.get_secret_value().encode(), b"***")
        status = response.status if response is not None else None
        headers: Mapping[str, str] = response.headers if response is not None else {}
        return refusal(self._provider_name, call.model, status, body, headers, self._clock())

    def bad(self, call: Call, what: str, body: bytes = b"", usage: Usage | None = None) -> BadAnswerError:
        """Say that what came is not an answer; ``usage`` is what it counted all the same."""
        return BadAnswerError(
            f"{self._provider_name!r} sent {what} for {call.model!r}",
            provider_name=self._provider_name,
            request_model=call.model,
            body=body[:2000].decode(errors="replace"),
            usage=usage,
        )

    def filtered(self, call: Call, body: bytes, usage: Usage | None) -> ContentPolicyError:
        """Say that an answer was held back whole by the endpoint's content policy; ``usage`` is what it counted."""
        return ContentPolicyError(
            f"{self._provider_name!r} held back the answer of {call.model!r} by its content policy",
            provider_name=self._provider_name,
            request_model=call.model,
            body=body[:2000].decode(errors="replace"),
            usage=usage,
        )

    def not_json(self, call: Call, response: aiohttp.ClientResponse, body: bytes) -> BadAnswerError:
        """Say what came where an answer was expected."""
        if response.content_type == "text/html" or body.lstrip()[:1] == b"<":
            return self.bad(call, "an HTML page instead of an answer", body)
        return self.bad(call, f"{response.content_type} instead of an answer" if body else "an empty answer", body)


def refusal(
    provider_name: str, model: str, status: int | None, body: bytes, headers: Mapping[str, str], at_ms: int
) -> ProviderError:
    """Read a refusal; ``status`` is None for an error event inside a stream. ``at_ms`` dates a Retry-After date."""
    code, message = _words(body)
    facts: dict[str, Any] = {
        "provider_name": provider_name,
        "request_model": model,
        "status": status,
        "body": body[:2000].decode(errors="replace"),
    }
    if code == "context_length_exceeded" or (
        status in (None, 400, 413, 422) and (status == 413 or _OVERFLOW.search(message))
    ):
        return ContextOverflowError(f"the prompt is longer than {model!r} takes: {message}", **facts)
    if status == 429 or (status is None and code in _RATE_CODES):
        wait = retry_after_s(headers, at_ms)
        asked = f" for {wait:g} s" if wait is not None else ""
        return RateLimitedError(
            f"{provider_name!r} asks to wait{asked} before {model!r} is called again: {message}",
            retry_after_s=wait,
            **facts,
        )
    if code in _POLICY_CODES or (status in (400, 403, 422) and _POLICY.search(message)):
        return ContentPolicyError(f"{provider_name!r} refused {model!r} by its content policy: {message}", **facts)
    if status in (408, 504):
        return ProviderTimeoutError(f"{provider_name!r} gave up on {model!r} (HTTP {status}): {message}", **facts)
    if status is None:
        return BadAnswerError(f"{provider_name!r} broke off {model!r}: {message}", **facts)
    return ProviderRefusedError(
        f"{provider_name!r} refused {model!r} (HTTP {status}): {message}",
        retry_after_s=retry_after_s(headers, at_ms),
        **facts,
    )


def _words(body: bytes) -> tuple[str, str]:
    """Return (code, message) of an error body in any of the shapes in use."""
    try:
        data = from_json(body)
    except ValueError:
        text = body[: _SHOWN * 4].decode(errors="replace").strip()
        if text[:1] == "<":
            title = re.search(r"<title>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
            return "", f"an HTML page{f' titled {title[1].strip()!r}' if title else ''}"
        return "", text[:_SHOWN] or "no reason given"
    if isinstance(data, list) and data:
        data = data[0]
    error = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(error, dict):
        message = error.get("message") or error.get("detail") or error.get("type") or "no reason given"
        return str(error.get("code") or error.get("type") or ""), str(message)[:_SHOWN]
    return "", str(error)[:_SHOWN]


def retry_after_s(headers: Mapping[str, str], at_ms: int) -> float | None:
    """Return how many seconds the headers ask to wait, None where they do not; never negative, at most a day."""
    milliseconds, seconds = headers.get("retry-after-ms"), headers.get("Retry-After")
    try:
        if milliseconds is not None:
            wait = float(milliseconds) / 1000
        elif seconds is None:
            return None
        elif re.fullmatch(r"[0-9.]+", seconds.strip()):
            wait = float(seconds)
        else:
            when = parsedate_to_datetime(seconds)
            moment = when if when.tzinfo is not None else when.replace(tzinfo=UTC)
            wait = (moment - datetime.fromtimestamp(at_ms / 1000, UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, 0.0), 86_400.0)
