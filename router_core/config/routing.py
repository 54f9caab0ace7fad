"""RoutingConfig: all that decides where a request goes, as one value that hangs together or is refused."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field, ValidationError, model_validator

from router_core.config.sections import (
    Alerts,
    Budget,
    Cache,
    Capture,
    Cascade,
    Chain,
    Classifier,
    Compress,
    Exploration,
    Feature,
    Feedback,
    Model,
    Provider,
    Rule,
    Section,
    Share,
    Sticky,
    Tier,
)
from router_core.errors import ConfigError


class RoutingConfig(Section):
    """One immutable configuration. Tiers are ordered from cheapest to strongest; raises ``ConfigError`` when loaded
    from text that cannot be used."""

    tiers: tuple[Tier, ...] = Field(min_length=1)
    models: Mapping[str, Model] = Field(min_length=1)
    providers: Mapping[str, Provider] = Field(min_length=1)
    features: Mapping[str, Feature] = Field(default_factory=dict)
    unknown_feature: Literal["default", "refuse"] = "default"
    rules: tuple[Rule, ...] = ()
    classifier: Classifier = Classifier()
    exploration: Exploration = Exploration()
    sticky: Sticky = Sticky()
    strategy: Literal["direct", "cascade", "chain"] = "direct"
    cascade: Cascade = Cascade()
    chain: Chain = Chain()
    fallbacks: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    num_retries: int = Field(default=0, ge=0, le=10)
    timeout: float = Field(default=60.0, gt=0)
    stream_timeout: float = Field(default=600.0, gt=0)
    cooldown_time: float = Field(default=30.0, ge=0)
    hedge_after: float | None = Field(default=None, gt=0)
    cache: Cache = Cache()
    compress: Compress = Compress()
    budgets: tuple[Budget, ...] = ()
    alerts: Alerts = Alerts()
    feedback: Feedback = Feedback()
    quality_floor: Share | None = None
    baseline_model: str | None = None
    timezone: str = "UTC"
    currency: str = Field(default="USD", pattern=r"^[A-Z]{3}$")
    capture: Capture = Capture()

    @property
    def tier_names(self) -> tuple[str, ...]:
        """Names of the tiers, cheapest first."""
        return tuple(tier.name for tier in self.tiers)

    def tier(self, name: str) -> Tier:
        """Return the tier of that name; raises ``ConfigError`` where there is none."""
        for tier in self.tiers:
            if tier.name == name:
                return tier
        raise ConfigError(f"there is no tier {name!r}; {suggest(name, self.tier_names)}")

    def boundaries(self, feature: str | None = None) -> tuple[int, ...]:
        """Return ``score_min`` of every tier, cheapest first, with the feature's own boundaries laid over."""
        own = self.features[feature].boundaries if feature is not None and feature in self.features else {}
        return tuple(own.get(tier.name, tier.score_min) for tier in self.tiers)

    def price_names(self, model: str) -> tuple[str, str]:
        """Return (provider name, the provider's own model name) under which a configured model is priced."""
        entry = self.models[model]
        return entry.provider, entry.name or model

    def with_boundaries(self, boundaries: Sequence[int], feature: str | None = None) -> RoutingConfig:
        """Return a copy with new ``score_min`` values, cheapest tier first, globally or for one feature."""
        values = [int(value) for value in boundaries]
        if feature is None:
            tiers = [{**tier.model_dump(), "score_min": value} for tier, value in zip(self.tiers, values, strict=True)]
            return build_config({**self.model_dump(), "tiers": tiers})
        own = self.features[feature].model_dump() if feature in self.features else {}
        own["boundaries"] = dict(zip(self.tier_names[1:], values[1:], strict=True))
        return build_config({**self.model_dump(), "features": {**self.model_dump()["features"], feature: own}})

    @model_validator(mode="after")
    def _hangs_together(self) -> RoutingConfig:
        problems = list(_problems(self))
        if problems:
            raise _Located(*problems[0])
        return self


class _Located(ValueError):
    """A validation failure that knows which key it is about."""

    def __init__(self, path: str, message: str) -> None:
        self.path = path
        super().__init__(message)


def suggest(word: str, choices: Sequence[str]) -> str:
    """Return the question or the list that helps a person who wrote ``word`` where one of ``choices`` was wanted."""
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else "choose one of " + ", ".join(repr(c) for c in choices)


def _unknown(path: str, what: str, word: str, choices: Sequence[str]) -> tuple[str, str]:
    return path, f"{path} names the unknown {what} {word!r}; {suggest(word, choices)}"


def _problems(config: RoutingConfig) -> Iterator[tuple[str, str]]:
    names = config.tier_names
    for index, tier in enumerate(config.tiers):
        if names.index(tier.name) != index:
            yield f"tiers.{index}.name", f"the tier {tier.name!r} is listed twice; give each tier one name"
        for position, model in enumerate(tier.models):
            if model not in config.models:
                yield _unknown(f"tiers.{index}.models.{position}", "model", model, list(config.models))
    for name, model_entry in config.models.items():
        if model_entry.provider not in config.providers:
            yield _unknown(f"models.{name}.provider", "provider", model_entry.provider, list(config.providers))
    yield from _crossings(config, None)
    for name, feature in config.features.items():
        for tier_name in feature.boundaries:
            if tier_name not in names:
                yield _unknown(f"features.{name}.boundaries.{tier_name}", "tier", tier_name, names)
        if feature.pin is not None and feature.pin not in names:
            yield _unknown(f"features.{name}.pin", "tier", feature.pin, names)
        if feature.boundaries:
            yield from _crossings(config, name)
        if feature.cascade is not None and (start := feature.cascade.start_tier) is not None and start not in names:
            yield _unknown(f"features.{name}.cascade.start_tier", "tier", start, names)
        if feature.cache is not None and feature.cache.url is not None:
            yield f"features.{name}.cache.url", "answers of all features are kept in one place; name it under cache.url"
        if feature.cache is not None and feature.cache.embeddings is not None:
            yield f"features.{name}.cache.embeddings", "all features use one; name it under cache.embeddings"
    embeds = (config.cache.embeddings or "").partition("/")[0]
    if embeds and embeds not in config.providers:
        yield _unknown("cache.embeddings", "provider", embeds, list(config.providers))
    for index, rule in enumerate(config.rules):
        if rule.tier is not None and rule.tier not in names:
            yield _unknown(f"rules.{index}.tier", "tier", rule.tier, names)
        low, high = rule.when.min_tokens, rule.when.max_tokens
        if low is not None and high is not None and low > high:
            yield (
                f"rules.{index}.when.min_tokens",
                f"min_tokens {low} is above max_tokens {high}, so the rule never applies",
            )
        if rule.when.regex is not None:
            yield from _bad_regex(f"rules.{index}.when.regex", rule.when.regex)
    for index, name in enumerate(config.exploration.tiers):
        if name not in names:
            yield _unknown(f"exploration.tiers.{index}", "tier", name, names)
    for path, named in (
        ("cascade.start_tier", config.cascade.start_tier),
        ("chain.decompose_tier", config.chain.decompose_tier),
        ("chain.reason_tier", config.chain.reason_tier),
        ("chain.synthesise_tier", config.chain.synthesise_tier),
    ):
        if named is not None and named not in names:
            yield _unknown(path, "tier", named, names)
    for name in (*config.fallbacks, *(m for chain in config.fallbacks.values() for m in chain)):
        if name not in config.models:
            yield _unknown("fallbacks", "model", name, list(config.models))
    for key, chosen in (
        ("baseline_model", config.baseline_model),
        ("classifier.judge_model", config.classifier.judge_model),
    ):
        if chosen is not None and chosen not in config.models:
            yield _unknown(key, "model", chosen, list(config.models))
    for index, budget in enumerate(config.budgets):
        if budget.soft_budget is not None and budget.soft_budget > budget.max_budget:
            yield (
                f"budgets.{index}.soft_budget",
                f"soft_budget {budget.soft_budget:g} is above max_budget {budget.max_budget:g}, so it would never warn",
            )
    if not _is_zone(config.timezone):
        yield "timezone", f"{config.timezone!r} is not a time zone; write one such as 'Europe/Zurich' or 'UTC'"


def _is_zone(name: str) -> bool:
    try:
        return bool(ZoneInfo(name).key)
    except (KeyError, ValueError, OSError):  # unknown, not a name at all, or a folder of zones such as Europe
        return False


def _crossings(config: RoutingConfig, feature: str | None) -> Iterator[tuple[str, str]]:
    marks = config.boundaries(feature)
    if marks[0] != 0:
        where = "tiers.0.score_min" if feature is None else f"features.{feature}.boundaries.{config.tier_names[0]}"
        yield where, f"the cheapest tier {config.tier_names[0]!r} must start at score 0, not {marks[0]}"
    for index in range(1, len(marks)):
        if marks[index] < marks[index - 1]:
            low, high = config.tier_names[index - 1], config.tier_names[index]
            where = f"tiers.{index}.score_min" if feature is None else f"features.{feature}.boundaries"
            of = "" if feature is None else f" for feature {feature!r}"
            yield (
                where,
                f"boundaries cross{of}: {high} starts at {marks[index]}, below {low} at {marks[index - 1]}; "
                f"raise {high} to at least {marks[index - 1]} or lower {low}",
            )


def _bad_regex(path: str, pattern: str) -> Iterator[tuple[str, str]]:
    import re2

    options = re2.Options()
    options.log_errors = False
    try:
        re2.compile(pattern, options)
    except re2.error as error:
        text = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        yield (
            path,
            f"the pattern {pattern!r} cannot be used: {text}; RE2 has no look-around or back-references, "
            "so that no prompt can make a rule hang",
        )


def build_config(data: Mapping[str, Any], lines: Mapping[str, int] | None = None) -> RoutingConfig:
    """Validate plain data; raises ``ConfigError`` with the dotted path, and the YAML line where ``lines`` has it."""
    known = lines or {}
    try:
        return RoutingConfig.model_validate(data)
    except ValidationError as error:
        first = min(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
        inner = first.get("ctx", {}).get("error")
        parts = [str(part) for part in first["loc"]]
        if isinstance(inner, _Located):
            path, message = inner.path, str(inner)
        elif first["type"] == "extra_forbidden":
            path = ".".join(parts)
            choices = _fields_at(parts[:-1])
            message = f"unknown key {parts[-1]!r}" + (f"; {suggest(parts[-1], choices)}" if choices else "")
        else:
            path = ".".join(parts)
            text = str(inner) if inner is not None else first["msg"]
            given = first.get("input")
            shown = f" (it is {given!r})" if isinstance(given, str | int | float | bool) else ""
            message = f"{path}: {text[:1].lower()}{text[1:]}{shown}" if path else text
        raise ConfigError(message, path=path, line=_line_of(path, known)) from None


def _line_of(path: str, lines: Mapping[str, int]) -> int | None:
    parts = path.split(".")
    while parts:
        if (line := lines.get(".".join(parts))) is not None:
            return line
        parts.pop()
    return None


def _fields_at(parts: Sequence[str]) -> list[str]:
    kind: Any = RoutingConfig
    inside_container = False
    for part in parts:
        if inside_container:  # an index or a name, such as the 0 of tiers.0
            inside_container = False
            continue
        if part not in kind.model_fields:
            return []
        annotation = kind.model_fields[part].annotation
        found = next((a for a in _arguments(annotation) if isinstance(a, type) and issubclass(a, BaseModel)), None)
        if found is None:
            return []
        inside_container = getattr(annotation, "__origin__", None) in (tuple, Mapping)
        kind = found
    return list(kind.model_fields)


def _arguments(kind: Any) -> Iterator[Any]:
    yield kind
    for argument in getattr(kind, "__args__", ()):
        yield from _arguments(argument)


def reporting_zone(config: RoutingConfig) -> ZoneInfo:
    """Return the one time zone in which days are counted."""
    return ZoneInfo(config.timezone)
