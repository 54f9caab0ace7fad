"""The draft being tuned: what differs from the live configuration, kept apart from it, in and out of the URL."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote

from router_core.config import RoutingConfig, diff_configs, set_values
from router_core.errors import ConfigError

EVERYWHERE = ""  # the scope of the global settings; any other scope is a feature's name
STRATEGY, FLOOR, EXPLORATION, THRESHOLD, SHORTENS, SHORTENS_ABOVE = (
    "strategy",
    "quality_floor",
    "exploration.rate",
    "cascade.acceptance_threshold",
    "compress.enabled",
    "compress.above_tokens",
)
# A link may bring these and nothing else: what it opens is one click from being pushed.
_VALUES: Final = {
    STRATEGY: re.compile(r"direct|cascade|chain"),
    FLOOR: re.compile(r"0(\.\d{1,6})?|1"),
    EXPLORATION: re.compile(r"0(\.\d{1,6})?|1"),
    THRESHOLD: re.compile(r"0(\.\d{1,6})?|1"),
    SHORTENS: re.compile(r"true|false"),
    SHORTENS_ABOVE: re.compile(r"[1-9]\d{0,7}"),
}
_BY_FEATURE: Final = (STRATEGY, FLOOR)


@dataclass(frozen=True)
class Draft:
    """What differs from the live configuration.

    ``boundaries`` are ``score_min`` of every tier, cheapest first, by scope; ``values`` are other settings as text, by
    scope and name.
    """

    boundaries: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    values: Mapping[tuple[str, str], str] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything differs."""
        return bool(self.boundaries or self.values)

    def of(self, scope: str, live: RoutingConfig) -> tuple[int, ...]:
        """Return the boundaries of a scope: the draft's own, or what it inherits."""
        if scope in self.boundaries:
            return self.boundaries[scope]
        if scope == EVERYWHERE:
            return live.boundaries()
        return self.config(live).boundaries(scope)

    def with_scope(self, scope: str, values: Sequence[int], live: RoutingConfig) -> Draft:
        """Return the draft with a scope's boundaries set; those that equal the live ones are dropped."""
        rest = {name: kept for name, kept in self.boundaries.items() if name != scope}
        without = Draft(rest, self.values)
        inherited = live.boundaries() if scope == EVERYWHERE else without.config(live).boundaries(scope)
        wanted = tuple(int(value) for value in values)
        return without if wanted == inherited else Draft({**rest, scope: wanted}, self.values)

    def with_value(self, scope: str, name: str, value: str, live: RoutingConfig) -> Draft:
        """Return the draft with one setting given; one that says what is live anyway is dropped."""
        rest = {key: kept for key, kept in self.values.items() if key != (scope, name)}
        without = Draft(self.boundaries, rest)
        given = Draft(self.boundaries, {**rest, (scope, name): value})
        return without if given.config(live) == without.config(live) else given

    def settings(self, live: RoutingConfig) -> list[str]:
        """Return the draft as ``PATH=VALUE`` settings of a configuration."""
        found = [
            f"{_path(scope, 'boundaries', live)}.{tier}={value}"
            for scope, values in sorted(self.boundaries.items())
            for tier, value in zip(live.tier_names[1:], values[1:], strict=True)
        ]
        return found + [f"{_path(*key, live)}={value}" for key, value in sorted(self.values.items())]

    def config(self, live: RoutingConfig) -> RoutingConfig:
        """Return the configuration to preview and push; raises ``ConfigError`` where boundaries cross."""
        config = live
        for scope, values in sorted(self.boundaries.items()):
            config = config.with_boundaries(values, None if scope == EVERYWHERE else scope)
        if self.values:
            config = set_values(config, [f"{_path(*key, live)}={value}" for key, value in sorted(self.values.items())])
        return config

    def fits(self, live: RoutingConfig) -> bool:
        """Return whether the draft can still be laid over the live configuration."""
        try:
            self.config(live)
        except (ConfigError, ValueError):
            return False
        return True

    def to_query(self, live: RoutingConfig) -> str:
        """Write the draft for a URL: ``,MEDIUM:50,COMPLEX:80;chat,MEDIUM:60;chat,strategy=cascade``; empty where
        nothing is changed."""
        names = live.tier_names
        parts = [
            ",".join([_written(scope), *(f"{name}:{value}" for name, value in zip(names[1:], values[1:], strict=True))])
            for scope, values in sorted(self.boundaries.items())
        ]
        parts += [f"{_written(scope)},{name}={value}" for (scope, name), value in sorted(self.values.items())]
        return ";".join(parts)

    @classmethod
    def from_query(cls, text: str, live: RoutingConfig) -> Draft:
        """Read a draft from a URL; raises ``ConfigError`` where it does not fit the live configuration."""
        draft = cls()
        for part in filter(None, text.split(";")):
            scope, *settings = part.split(",")
            scope = unquote(scope)
            values = list(draft.of(scope, live))
            for setting in settings:
                name, equals, value = setting.partition("=")
                if equals:
                    if not _may_be_given(scope, name, value):
                        raise ConfigError(f"the link asks for {setting!r}, which no draft can change so")
                    draft = draft.with_value(scope, name, value, live)
                    continue
                tier, _, value = setting.rpartition(":")
                if tier not in live.tier_names[1:] or not value.isdecimal() or int(value) > 100:
                    raise ConfigError(f"the link asks for {setting!r}, which is no boundary of the live configuration")
                values[live.tier_names.index(tier)] = int(value)
            draft = draft.with_scope(scope, values, live)
        draft.config(live)
        return draft


def value_of(config: RoutingConfig, scope: str, name: str) -> Any:
    """Return what a configuration says of one setting in a scope; a feature's own, else the global one."""
    entry = config.features.get(scope)
    if entry is not None and name in _BY_FEATURE and getattr(entry, name) is not None:
        return getattr(entry, name)
    found: Any = config
    for part in name.split("."):
        found = getattr(found, part)
    return found


def nudged(values: Sequence[int], index: int, value: int) -> tuple[int, ...]:
    """Return the boundaries after one moved: neighbours it would cross move along, so that they never cross."""
    wanted = max(0, min(100, int(value)))
    return tuple(
        wanted if place == index else max(old, wanted) if place > index else min(old, wanted)
        for place, old in enumerate(values)
    )


def difference(old: str, new: str) -> str:
    """Return what differs between two configurations written as YAML, as a unified diff; empty where nothing does."""
    changes = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=2)
    return "\n".join(line for line in list(changes)[2:] if not line.startswith("@@"))


def told(live: RoutingConfig, target: RoutingConfig) -> list[str]:
    """Say what a target changes, boundaries first and in the order of the tiers: ``MEDIUM starts at 52, not 45``."""
    found: list[tuple[tuple[str, int, str], str]] = []
    for change in diff_configs(live, target):
        path = str(change.path)
        everywhere = re.fullmatch(r"tiers\.(.+)\.score_min", path)
        own = re.fullmatch(r"features\.(.+)\.boundaries\.(.+)", path)
        scope, tier = (own[1], own[2]) if own else (EVERYWHERE, everywhere[1] if everywhere else "")
        if tier not in target.tier_names:
            found.append((("\N{DEL}", 0, path), str(change)))
            continue
        before, after = live.boundaries(scope or None), target.boundaries(scope or None)
        place = target.tier_names.index(tier)
        who = f"{scope}: {tier}" if scope else tier
        if before[place] != after[place]:
            found.append(((scope, place, path), f"{who} starts at {after[place]}, not {before[place]}"))
    return [sentence for _, sentence in sorted(found)]


def _path(scope: str, name: str, live: RoutingConfig) -> str:
    if scope == EVERYWHERE:
        return name
    return f"features.{scope if scope in live.features or '.' not in scope else f'[{scope}]'}.{name}"


def _written(scope: str) -> str:
    return quote(scope, safe="")


def _may_be_given(scope: str, name: str, value: str) -> bool:
    known = _VALUES.get(name)
    return known is not None and (scope == EVERYWHERE or name in _BY_FEATURE) and known.fullmatch(value) is not None
