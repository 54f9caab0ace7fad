"""What can go wrong, as one tree; each leaf is something a caller can act on and carries the facts as attributes.

TierwiseError
├── ConfigError               a configuration that cannot be used: where, what, and how to mend it
├── InputError                a file, line or option that cannot be read
├── UsageError                token counts that contradict one another
├── UnknownModelError         the caller named a model that is not configured
├── UnpricedModelError        no price is known for a model at that time
├── AccessError               the gateway does not let this caller do this
│   ├── UnknownKeyError       no key was given, nobody gave it out, or it was revoked
│   └── FeatureNotAllowedError  the key is not for that feature
├── TooLargeError             a request body beyond the configured limit
├── SlowBodyError             a request body that did not come in whole in time
├── OverloadedError           the gateway has as many requests at work as it may
├── BudgetExceededError       a budget that blocks is spent
├── LedgerError               the ledger cannot be used
│   ├── NotALedgerError       the file is not a Tierwise ledger
│   ├── LedgerLockedError     another process holds the ledger
│   ├── LedgerFullError       neither queue nor spool can take another decision
│   └── VersionConflictError  somebody else pushed in the meantime
├── NoSupportError            the log holds no evidence for what was asked
└── ProviderError             a model endpoint did not answer properly
    ├── ProviderRefusedError      it said no (4xx), or nothing listens there
    │   └── ContentPolicyError        its content policy forbids the prompt or the answer
    ├── ProviderTimeoutError      it did not answer in time
    ├── RateLimitedError          it asked to wait (429)
    ├── ContextOverflowError      the prompt is longer than the model's window
    └── BadAnswerError            what it sent is not an answer: HTML, a cut stream, no choices
"""

from __future__ import annotations

from typing import Any


class TierwiseError(Exception):
    """Base of every error raised on purpose; its text is one sentence a person can act on."""


class ConfigError(TierwiseError):
    """A configuration that cannot be used.

    ``path`` is the dotted key (``tiers.1.score_min``), ``line`` the line of the YAML file where one is known.
    """

    def __init__(self, message: str, *, path: str | None = None, line: int | None = None) -> None:
        self.path = path
        self.line = line
        super().__init__(f"line {line}: {message}" if line else message)


class InputError(TierwiseError):
    """A file, line or option that cannot be read; ``source`` names it and ``line`` counts from 1."""

    def __init__(self, message: str, *, source: str | None = None, line: int | None = None) -> None:
        self.source = source
        self.line = line
        where = ", ".join(part for part in (source, f"line {line}" if line else None) if part)
        super().__init__(f"{where}: {message}" if where else message)


class UsageError(TierwiseError):
    """Token counts that contradict one another, such as more cached tokens than tokens."""


class UnpricedModelError(TierwiseError):
    """No price is known for a model at that time."""

    def __init__(self, provider_name: str, request_model: str) -> None:
        self.provider_name = provider_name
        self.request_model = request_model
        super().__init__(
            f"no price is known for {request_model!r} at {provider_name!r}; add one with 'tierwise prices set'"
        )


class UnknownModelError(TierwiseError):
    """The caller named a model that is not configured; ``models`` are those that are."""

    def __init__(self, model: str, models: tuple[str, ...]) -> None:
        self.model = model
        self.models = models
        super().__init__(f"there is no model {model[:100]!r}; choose 'auto' or one of {', '.join(map(repr, models))}")


class AccessError(TierwiseError):
    """The gateway does not let this caller do this."""


class UnknownKeyError(AccessError):
    """No gateway key was given, nobody gave it out, or it was revoked."""


class FeatureNotAllowedError(AccessError):
    """The gateway key is not for that feature; ``features`` are those it is for."""

    def __init__(self, feature: str, features: tuple[str, ...]) -> None:
        self.feature = feature
        self.features = features
        allowed = ", ".join(map(repr, features))
        super().__init__(f"this key is not for the feature {feature!r}; it is for {allowed}")


class TooLargeError(TierwiseError):
    """A request body beyond the configured limit, in bytes."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the request is larger than the {limit:,} bytes this gateway takes; send less")


class SlowBodyError(TierwiseError):
    """A request body that did not come in whole within so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(f"the request did not come in whole within {seconds:g} s; send it faster")


class OverloadedError(TierwiseError):
    """A request beyond the ``most`` that a gateway works on at once."""

    def __init__(self, most: int) -> None:
        self.most = most
        super().__init__(f"the gateway is at work on {most:,} requests already; send it again in a moment")


class BudgetExceededError(TierwiseError):
    """A budget that blocks has no room for this request; ``scope`` names it. ``decision_id`` names the decision."""

    def __init__(self, scope: str, max_budget: float, budget_duration: str) -> None:
        self.scope = scope
        self.max_budget = max_budget
        self.budget_duration = budget_duration
        self.decision_id: bytes | None = None
        period = "this month" if budget_duration == "month" else f"in this period of {budget_duration}"
        super().__init__(
            f"the budget {scope!r} of {max_budget:g} US dollars has no room left {period}; raise it, or wait until it "
            "begins anew"
        )


class LedgerError(TierwiseError):
    """The ledger cannot be used."""


class NotALedgerError(LedgerError):
    """The file is not a Tierwise ledger."""


class LedgerLockedError(LedgerError):
    """Another process holds the ledger."""


class LedgerFullError(LedgerError):
    """Neither queue nor spool can take another decision, so the request is refused rather than lost."""


class VersionConflictError(LedgerError):
    """Somebody else pushed a configuration in the meantime."""

    def __init__(self, expected: int, actual: int) -> None:
        self.expected = expected
        self.actual = actual
        super().__init__(
            f"this draft starts from version {expected}, but version {actual} is live now; "
            "look at what changed, then push again"
        )


class NoSupportError(TierwiseError):
    """The log holds no evidence for what was asked."""


class ProviderError(TierwiseError):
    """A model endpoint did not answer properly.

    ``status`` is its HTTP status where there was one; ``retry_after_s`` the wait it asked for; ``body`` the first
    part of what it said, for the log; ``usage`` the ``Usage`` it counted all the same. Once the failure is recorded,
    ``decision_id`` names the decision.
    """

    reason = "error"

    def __init__(
        self,
        message: str,
        *,
        provider_name: str = "",
        request_model: str = "",
        status: int | None = None,
        retry_after_s: float | None = None,
        body: str = "",
        usage: Any = None,
    ) -> None:
        self.provider_name = provider_name
        self.request_model = request_model
        self.status = status
        self.retry_after_s = retry_after_s
        self.body = body
        self.usage = usage
        self.decision_id: bytes | None = None
        super().__init__(message)


class ProviderRefusedError(ProviderError):
    """The endpoint said no (4xx), failed (5xx), or nothing listens there."""

    reason = "refused"


class ContentPolicyError(ProviderRefusedError):
    """The endpoint's content policy forbids the prompt, or what would have been its answer."""

    reason = "content_policy"


class ProviderTimeoutError(ProviderError):
    """The endpoint did not answer in time."""

    reason = "timeout"


class RateLimitedError(ProviderError):
    """The endpoint asked to wait (429)."""

    reason = "rate_limited"


class ContextOverflowError(ProviderError):
    """The prompt is longer than the model's window."""

    reason = "context_overflow"


class BadAnswerError(ProviderError):
    """What the endpoint sent is not an answer: HTML, a cut stream, no choices."""

    reason = "bad_answer"
