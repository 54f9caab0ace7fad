"""Refusals: every error as the status and JSON that OpenAI's clients understand."""

from __future__ import annotations

import math

from pydantic_core import to_json

from router_core.errors import (
    BadAnswerError,
    BudgetExceededError,
    ContentPolicyError,
    ContextOverflowError,
    FeatureNotAllowedError,
    InputError,
    LedgerError,
    OverloadedError,
    ProviderError,
    ProviderRefusedError,
    ProviderTimeoutError,
    RateLimitedError,
    SlowBodyError,
    TierwiseError,
    TooLargeError,
    UnknownKeyError,
    UnknownModelError,
)

_INVALID = "invalid_request_error"
# The first class that fits: (status, OpenAI's type, code).
_MEANINGS: tuple[tuple[type[TierwiseError], int, str, str | None], ...] = (
    (UnknownModelError, 404, _INVALID, "model_not_found"),
    (UnknownKeyError, 401, _INVALID, "invalid_api_key"),
    (FeatureNotAllowedError, 403, _INVALID, "feature_not_allowed"),
    (TooLargeError, 413, _INVALID, "request_too_large"),
    (SlowBodyError, 408, _INVALID, "request_timeout"),
    (InputError, 400, _INVALID, None),
    # 402 and not OpenAI's 429, which its clients would send again and again.
    (BudgetExceededError, 402, "insufficient_quota", "budget_exceeded"),
    (ContextOverflowError, 400, _INVALID, "context_length_exceeded"),
    (ContentPolicyError, 400, _INVALID, "content_policy_violation"),
    (RateLimitedError, 429, "rate_limit_error", "rate_limit_exceeded"),
    (ProviderTimeoutError, 504, "server_error", "upstream_timeout"),
    (BadAnswerError, 502, "server_error", "upstream_bad_answer"),
    (ProviderError, 502, "server_error", "upstream_refused"),
    (OverloadedError, 503, "server_error", "overloaded"),
    (LedgerError, 503, "server_error", "ledger_unavailable"),
    (TierwiseError, 500, "server_error", None),
)
_CALLERS_FAULT = (400, 422)


def refusal(error: TierwiseError) -> tuple[int, bytes]:
    """Return (HTTP status, JSON body) for an error."""
    status, kind, code = next((s, k, c) for fits, s, k, c in _MEANINGS if isinstance(error, fits))
    if isinstance(error, ProviderRefusedError) and error.status in _CALLERS_FAULT:
        status, kind = error.status, _INVALID  # the model's own word on the request, so it is the caller's to mend
    param = "model" if isinstance(error, UnknownModelError) else getattr(error, "source", None)
    return status, shaped(str(error), kind, code, param)


def shaped(message: str, kind: str, code: str | None = None, param: str | None = None) -> bytes:
    """Return an error as OpenAI's JSON."""
    return to_json({"error": {"message": message, "type": kind, "param": param, "code": code}})


def retry_after(error: TierwiseError) -> int | None:
    """Return how many seconds a caller is to wait before asking again, None where that would not help."""
    if isinstance(error, OverloadedError):
        return 1
    wait = error.retry_after_s if isinstance(error, ProviderError) else None
    return max(1, math.ceil(wait)) if wait is not None else None
