"""What differs between two configurations, and settings such as boundaries.COMPLEX=70 laid over one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from router_core.config.routing import RoutingConfig, build_config, suggest
from router_core.errors import ConfigError


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
    ``features.chat.boundaries.COMPLEX=80`` moves one feature only. A new name with a dot in it goes in brackets:
    ``models.[gpt-6.1].provider=openai``.
    """
    data = config.model_dump(mode="json")
    for setting in settings:
        path, equals, text = setting.partition("=")
        path = path.strip()
        if not equals or not path:
            raise ConfigError(f"{setting!r} is not PATH=VALUE; write for instance boundaries.COMPLEX=70")
        try:
            value = yaml.safe_load(text)
        except (yaml.YAMLError, ValueError, RecursionError):
            raise ConfigError(f"the value of {path!r} is not YAML: {text[:80]!r}", path=path) from None
        parts = re.findall(r"\[[^\]]*\]|[^.]+", path)
        if parts[0] == "boundaries" and len(parts) == 2:
            parts = ["tiers", parts[1], "score_min"]
        elif parts[0] not in data:
            raise ConfigError(f"unknown key {parts[0]!r}; {suggest(parts[0], ['boundaries', *data])}", path=path)
        _set(data, parts, value, path)
    return build_config(data)


def _set(target: Any, parts: Sequence[str], value: Any, path: str) -> None:
    if isinstance(target, list):
        names = [item.get("name") if isinstance(item, dict) else None for item in target]
        part, rest = parts[0], parts[1:]
        if part in names:
            key: Any = names.index(part)
        elif part.isdigit() and int(part) < len(target):
            key = int(part)
        else:
            known = [name for name in names if name]
            hint = suggest(part, known) if known else f"it has {len(target)} entries, counted from 0"
            raise ConfigError(f"{path}: there is no {part!r} here; {hint}", path=path)
    elif isinstance(target, dict):
        key, rest = _known_name(target, parts)
    else:
        raise ConfigError(f"{path}: what stands before {parts[0]!r} is a value, not a section", path=path)
    if not rest:
        target[key] = value
        return
    if isinstance(target, dict) and target.get(key) is None:
        target[key] = {}
    _set(target[key], rest, value, path)


def _known_name(target: dict[str, Any], parts: Sequence[str]) -> tuple[str, Sequence[str]]:
    """Take as many parts as make a name that exists, since names of models have dots in them."""
    for count in range(len(parts), 0, -1):
        name = ".".join(parts[:count])
        if name in target:
            return name, parts[count:]
    return parts[0].strip("[]"), parts[1:]
