"""RoutingConfig: all that decides where a request goes, as one validated value with YAML in and out and a diff."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from router_core.errors import ConfigError

Boundary = Annotated[int, Field(ge=0, le=100, strict=True)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Provider(_Section):
    """An OpenAI-compatible endpoint; its key is read from the environment variable ``api_key_env`` when it is used."""

    base_url: str
    api_key_env: str | None = None


class Model(_Section):
    """A model as tiers name it: whose it is, what that provider calls it, and how long a prompt it takes."""

    provider: str
    name: str | None = None
    context_window: int | None = Field(default=None, gt=0)


class Tier(_Section):
    """One step of the ladder: the first model is the primary, the rest take over when it fails."""

    name: str = Field(min_length=1)
    models: tuple[str, ...] = Field(min_length=1)
    score_min: Boundary = 0
    max_output_tokens: int | None = Field(default=None, gt=0)


class Cache(_Section):
    """Answers served again: when, for how long, and how alike two prompts must be."""

    mode: Literal["off", "exact", "semantic"] = "off"
    ttl_seconds: int = Field(default=3600, gt=0)
    similarity_threshold: Share = 0.95


class Feature(_Section):
    """What is different for one product feature; anything left out follows the global setting."""

    boundaries: Mapping[str, Boundary] = Field(default_factory=dict)
    pin: str | None = None
    strategy: Literal["direct", "cascade", "chain"] | None = None
    quality_floor: Share | None = None
    cache: Cache | None = None
    team: str | None = None


class When(_Section):
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


class Rule(_Section):
    """Names a tier, or sets a score, for the requests that meet its conditions; the first that matches wins."""

    when: When
    tier: str | None = None
    score: Boundary | None = None

    @model_validator(mode="after")
    def _one_effect(self) -> Rule:
        if (self.tier is None) == (self.score is None):
            raise ValueError("a rule sets either 'tier' or 'score', not both and not neither")
        return self


class Classifier(_Section):
    """Which stages judge complexity, in order, and how sure one must be for the rest to be skipped.

    ``scorer`` names the fitted scorer version in the ledger; without one the shipped reference scale is used.
    """

    stages: tuple[Literal["rules", "embedding", "judge"], ...] = ("rules", "embedding")
    confidence: Share = 0.5
    scorer: str | None = None
    judge_model: str | None = None


class Exploration(_Section):
    """The share of requests sent to another tier on purpose, so that later previews rest on evidence."""

    rate: Share = 0.0
    tiers: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


class Cascade(_Section):
    """Try cheap, check, escalate."""

    start_tier: str | None = None
    acceptance_threshold: Share = 0.7
    max_escalations: int = Field(default=1, ge=0)
    checks: tuple[Mapping[str, Any], ...] = ()
    on_error: Literal["accept", "escalate"] = "escalate"


class Compress(_Section):
    """Summarise old turns above a token budget with the cheapest model."""

    enabled: bool = False
    above_tokens: int = Field(default=8000, gt=0)
    keep_last: int = Field(default=4, ge=0)


class Budget(_Section):
    """A spending limit: ``scope`` is ``all``, ``team:NAME`` or ``feature:NAME``; amounts in US dollars."""

    scope: str = "all"
    max_budget: float = Field(gt=0)
    budget_duration: Literal["1d", "7d", "30d", "month"] = "month"
    soft_budget: float | None = Field(default=None, gt=0)
    mode: Literal["alert", "downgrade", "block"] = "alert"


class Feedback(_Section):
    """When measured quality suggests moving traffic: below one mark up a tier, above the other down."""

    window: int = Field(default=200, gt=0)
    upgrade_below: Share = 0.70
    downgrade_above: Share = 0.95


class Capture(_Section):
    """Whether prompt text is kept, and for how long; off unless asked for."""

    prompts: Literal["none", "sample", "all"] = "none"
    retention_days: int = Field(default=30, gt=0)


class Sticky(_Section):
    """How long a conversation keeps its model after its last turn."""

    warm_seconds: int = Field(default=600, ge=0)


class RoutingConfig(_Section):
    """One immutable configuration. Tiers are ordered from cheapest to strongest; raises ``ConfigError`` when loaded
    from text that cannot be used."""

    tiers: tuple[Tier, ...] = Field(min_length=1)
    models: Mapping[str, Model] = Field(min_length=1)
    providers: Mapping[str, Provider] = Field(min_length=1)
    features: Mapping[str, Feature] = Field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    classifier: Classifier = Classifier()
    exploration: Exploration = Exploration()
    sticky: Sticky = Sticky()
    cascade: Cascade = Cascade()
    fallbacks: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    num_retries: int = Field(default=0, ge=0, le=10)
    timeout: float = Field(default=60.0, gt=0)
    cooldown_time: float = Field(default=30.0, ge=0)
    cache: Cache = Cache()
    compress: Compress = Compress()
    budgets: tuple[Budget, ...] = ()
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
        raise ConfigError(f"there is no tier {name!r}; {_suggest(name, self.tier_names)}")

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


def _suggest(word: str, choices: Sequence[str]) -> str:
    near = difflib.get_close_matches(word, list(choices), n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else "choose one of " + ", ".join(repr(c) for c in choices)


def _unknown(path: str, what: str, word: str, choices: Sequence[str]) -> tuple[str, str]:
    return path, f"{path} names the unknown {what} {word!r}; {_suggest(word, choices)}"


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
    if config.cascade.start_tier is not None and config.cascade.start_tier not in names:
        yield _unknown("cascade.start_tier", "tier", config.cascade.start_tier, names)
    for name in (*config.fallbacks, *(m for chain in config.fallbacks.values() for m in chain)):
        if name not in config.models:
            yield _unknown("fallbacks", "model", name, list(config.models))
    for key, chosen in (
        ("baseline_model", config.baseline_model),
        ("classifier.judge_model", config.classifier.judge_model),
    ):
        if chosen is not None and chosen not in config.models:
            yield _unknown(key, "model", chosen, list(config.models))
    if config.timezone not in available_timezones():
        yield "timezone", f"{config.timezone!r} is not a time zone; write one such as 'Europe/Zurich' or 'UTC'"


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
            message = f"unknown key {parts[-1]!r}" + (f"; {_suggest(parts[-1], choices)}" if choices else "")
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


def parse_config(text: str) -> RoutingConfig:
    """Read a configuration from YAML text; raises ``ConfigError`` with the line and a suggestion."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"this is not YAML: {problem}", line=mark.line + 1 if mark else None) from None
    if not isinstance(data, dict):
        raise ConfigError("a configuration is a mapping with 'tiers', 'models' and 'providers'", line=1)
    lines: dict[str, int] = {}
    if node is not None:
        _collect_lines(node, "", lines)
    return build_config(data, lines)


def _collect_lines(node: yaml.Node, path: str, lines: dict[str, int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = f"{path}.{key.value}" if path else str(key.value)
            if inner in lines:
                raise ConfigError(
                    f"{key.value!r} is given twice (first on line {lines[inner]})",
                    path=inner,
                    line=key.start_mark.line + 1,
                )
            lines[inner] = key.start_mark.line + 1
            _collect_lines(value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect_lines(value, f"{path}.{index}" if path else str(index), lines)


def load_config(path: str | Path) -> RoutingConfig:
    """Read a configuration file; raises ``ConfigError`` where it cannot be read or used."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigError(f"cannot read the configuration {str(path)!r}: {reason}") from None
    return parse_config(text)


def default_config() -> RoutingConfig:
    """Return the configuration shipped with Tierwise: four tiers of models from three providers."""
    return load_config(data_dir() / "config.yaml")


def data_dir() -> Path:
    """Return the folder of shipped data: beside the packages in a checkout, inside the package once installed."""
    inside = Path(__file__).parent / "data"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "data"


def plain(config: RoutingConfig) -> dict[str, Any]:
    """Return the configuration as plain data without anything left at its default: what YAML and the ledger keep."""
    return config.model_dump(mode="json", exclude_defaults=True)


def dump_config(config: RoutingConfig) -> str:
    """Return the configuration as YAML; ``parse_config`` of it gives the same configuration back."""
    return yaml.safe_dump(plain(config), sort_keys=False, allow_unicode=True, width=100)


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two configurations; None stands for absent."""

    path: str
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.path}: {_shown(self.old)} -> {_shown(self.new)}"


def _shown(value: Any) -> str:
    return "(none)" if value is None else str(value)


def diff_configs(old: RoutingConfig, new: RoutingConfig) -> list[Change]:
    """List what differs, by dotted path; tiers are matched by name, so a moved boundary is one line."""
    before, after = _flat(old), _flat(new)
    return [
        Change(path, before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    ]


def _flat(config: RoutingConfig) -> dict[str, Any]:
    data = config.model_dump(mode="json")
    data["tiers"] = {tier["name"]: {**tier, "position": index} for index, tier in enumerate(data["tiers"])}
    flat: dict[str, Any] = {}

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{path}.{key}" if path else str(key))
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for index, inner in enumerate(value):
                walk(inner, f"{path}.{index}")
        else:
            flat[path] = value

    walk(data, "")
    return flat


def set_values(config: RoutingConfig, settings: Sequence[str]) -> RoutingConfig:
    """Apply ``PATH=VALUE`` settings (VALUE is YAML) together; raises ``ConfigError`` where a path or value is wrong.

    ``tiers.COMPLEX.score_min=70`` and, for short, ``boundaries.COMPLEX=70`` both name a tier by its name;
    ``features.chat.boundaries.COMPLEX=80`` moves one feature only.
    """
    data = config.model_dump(mode="json")
    for setting in settings:
        path, equals, text = setting.partition("=")
        if not equals or not path.strip():
            raise ConfigError(f"{setting!r} is not PATH=VALUE; write for instance boundaries.COMPLEX=70")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"the value of {path!r} is not YAML: {text!r}") from None
        parts = re.split(r"\.(?![^\[]*\])", path.strip())
        if parts[0] == "boundaries" and len(parts) == 2:
            parts = ["tiers", parts[1], "score_min"]
        _set(data, parts, value, config, path)
    return build_config(data)


def _set(data: dict[str, Any], parts: list[str], value: Any, config: RoutingConfig, path: str) -> None:
    target: Any = data
    for depth, part in enumerate(parts):
        last = depth == len(parts) - 1
        if isinstance(target, list):
            names = [item.get("name") if isinstance(item, dict) else None for item in target]
            if part in names:
                index = names.index(part)
            elif part.isdigit() and int(part) < len(target):
                index = int(part)
            else:
                known = [name for name in names if name]
                raise ConfigError(f"{path}: there is no {part!r} here; {_suggest(part, known)}", path=path)
            if last:
                target[index] = value
            else:
                target = target[index]
        elif isinstance(target, dict):
            if last:
                target[part] = value
            else:
                if target.get(part) is None:
                    target[part] = {}
                target = target[part]
        else:
            raise ConfigError(f"{path}: {parts[depth - 1]!r} holds a value, not a section", path=path)


def reporting_zone(config: RoutingConfig) -> ZoneInfo:
    """Return the one time zone in which days are counted."""
    return ZoneInfo(config.timezone)
