"""The sections of a configuration, each one validated value; what they mean together is judged in ``routing``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Boundary = Annotated[int, Field(ge=0, le=100, strict=True)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Provider(Section):
    """An OpenAI-compatible endpoint; its key is read from the environment variable ``api_key_env`` when it is used."""

    base_url: str
    api_key_env: str | None = None


class Model(Section):
    """A model as tiers name it: whose it is, what that provider calls it, how long a prompt it takes, what it can do.

    A model that does not say what it can do, or how long a prompt it takes, is taken to suit every request.
    """

    provider: str
    name: str | None = None
    context_window: int | None = Field(default=None, gt=0)
    capabilities: tuple[Literal["tools", "images", "json"], ...] | None = None


class Tier(Section):
    """One step of the ladder: the first model is the primary, the rest take over when it fails."""

    name: str = Field(min_length=1)
    models: tuple[str, ...] = Field(min_length=1)
    score_min: Boundary = 0
    max_output_tokens: int | None = Field(default=None, gt=0)


class Cache(Section):
    """Answers served again: when, for how long, and how alike two prompts must be.

    ``false_hit_sample`` is the share of semantic hits that a model answers too, to be compared. ``url`` names a Redis
    to keep answers in (without one they are in a file beside the ledger), ``max_bytes`` bounds that file, and
    ``embeddings`` (PROVIDER/MODEL) tells how alike prompts are in place of their words; these three are the same for
    every feature.
    """

    mode: Literal["off", "exact", "semantic"] = "off"
    ttl_seconds: int = Field(default=3600, gt=0)
    similarity_threshold: float = Field(default=0.95, ge=0.8, le=1)
    false_hit_sample: Share = 0.0
    embeddings: str | None = Field(default=None, pattern=r"^[^/]+/.+$")
    url: str | None = Field(default=None, pattern=r"^(rediss?|unix)://.+$")
    max_bytes: int = Field(default=256 * 2**20, gt=0)


class When(Section):
    """Conditions of a rule; all that are given must hold."""

    feature: tuple[str, ...] = ()
    user_tier: tuple[str, ...] = ()
    min_tokens: int | None = Field(default=None, ge=0)
    max_tokens: int | None = Field(default=None, ge=0)
    keywords: tuple[str, ...] = ()
    regex: str | None = None
    language: tuple[str, ...] = ()
    expected_format: tuple[str, ...] = ()

    @field_validator("feature", "user_tier", "keywords", "language", "expected_format", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _says_something(self) -> When:
        if self == When.model_construct():
            raise ValueError("a rule needs at least one condition under 'when'")
        return self


class Rule(Section):
    """Names a tier, or sets a score, for the requests that meet its conditions; the first that matches wins."""

    when: When
    tier: str | None = None
    score: Boundary | None = None

    @model_validator(mode="after")
    def _one_effect(self) -> Rule:
        if (self.tier is None) == (self.score is None):
            raise ValueError("a rule sets either 'tier' or 'score', not both and not neither")
        return self


class Classifier(Section):
    """Which stages judge complexity, in order, and how sure one must be for the rest to be skipped.

    ``scorer`` names the fitted scorer version in the ledger; without one the shipped reference scale is used. A stage
    that calls an endpoint is passed over after ``timeout`` seconds, and while that endpoint cools down.
    """

    stages: tuple[Literal["rules", "embedding", "judge"], ...] = ("rules", "embedding")
    confidence: Share = 0.5
    scorer: str | None = None
    judge_model: str | None = None
    timeout: float = Field(default=5.0, gt=0)


class Exploration(Section):
    """The share of requests sent to another tier on purpose, so that later previews rest on evidence."""

    rate: Share = 0.0
    tiers: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


class Cascade(Section):
    """Try cheap, check, escalate."""

    start_tier: str | None = None
    acceptance_threshold: Share = 0.7
    max_escalations: int = Field(default=1, ge=0)
    checks: tuple[Mapping[str, Any], ...] = ()
    on_error: Literal["accept", "escalate"] = "escalate"


class Chain(Section):
    """Which tier decomposes a request, reasons about its parts and puts the answer together; None: the assigned one."""

    decompose_tier: str | None = None
    reason_tier: str | None = None
    synthesise_tier: str | None = None
    max_parts: int = Field(default=4, ge=2, le=10)


class Compress(Section):
    """Summarise old turns above a token budget with the cheapest model."""

    enabled: bool = False
    above_tokens: int = Field(default=8000, gt=0)
    keep_last: int = Field(default=4, ge=0)


class Feature(Section):
    """What is different for one product feature; anything left out follows the global setting.

    A ``cache``, ``cascade`` or ``compress`` of its own stands whole in place of the global section.
    """

    boundaries: Mapping[str, Boundary] = Field(default_factory=dict)
    pin: str | None = None
    strategy: Literal["direct", "cascade", "chain"] | None = None
    quality_floor: Share | None = None
    cache: Cache | None = None
    cascade: Cascade | None = None
    compress: Compress | None = None
    team: str | None = None


class Budget(Section):
    """A spending limit: ``scope`` is ``all``, ``team:NAME`` or ``feature:NAME``; amounts in US dollars."""

    scope: str = Field(default="all", pattern=r"^(all|team:.+|feature:.+)$")
    max_budget: float = Field(gt=0)
    budget_duration: Literal["1d", "7d", "30d", "month"] = "month"
    soft_budget: float | None = Field(default=None, gt=0)
    mode: Literal["alert", "downgrade", "block"] = "alert"


class Alerts(Section):
    """Who is told of what wants attention: ``webhook`` is posted each alert once, by ``tierwise alerts --send``."""

    webhook: str | None = None

    @field_validator("webhook")
    @classmethod
    def _by_http(cls, value: str | None) -> str | None:
        try:
            parts = None if value is None else urlsplit(value)
            usable = parts is None or (parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0)
        except ValueError:  # a port that is no number, or brackets that do not close
            usable = False
        if not usable:
            raise ValueError("a webhook is an http:// or https:// address, such as https://hooks.example.com/tierwise")
        return value


class Feedback(Section):
    """When measured quality suggests moving traffic: below one mark up a tier, above the other down."""

    window: int = Field(default=200, gt=0)
    upgrade_below: Share = 0.70
    downgrade_above: Share = 0.95


class Capture(Section):
    """Whether prompt text is kept, and for how long; off unless asked for."""

    prompts: Literal["none", "sample", "all"] = "none"
    retention_days: int = Field(default=30, gt=0)


class Sticky(Section):
    """How long a conversation keeps its model after its last turn."""

    warm_seconds: int = Field(default=600, ge=0)
