"""The draft being tuned: boundaries by scope, kept apart from the live configuration, in and out of the URL."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from router_core.config import RoutingConfig
from router_core.errors import ConfigError

EVERYWHERE = ""  # the scope of the global boundaries; any other scope is a feature's name


@dataclass(frozen=True)
class Draft:
    """Boundaries that differ from the live ones: ``score_min`` of every tier, cheapest first, by scope."""

    boundaries: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

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
        without = Draft(rest)
        inherited = live.boundaries() if scope == EVERYWHERE else without.config(live).boundaries(scope)
        wanted = tuple(int(value) for value in values)
        return without if wanted == inherited else Draft({**rest, scope: wanted})

    def config(self, live: RoutingConfig) -> RoutingConfig:
        """Return the configuration to preview and push; raises ``ConfigError`` where boundaries cross."""
        config = live
        for scope, values in sorted(self.boundaries.items()):
            config = config.with_boundaries(values, None if scope == EVERYWHERE else scope)
        return config

    def fits(self, live: RoutingConfig) -> bool:
        """Return whether the draft can still be laid over the live configuration."""
        try:
            self.config(live)
        except (ConfigError, ValueError):
            return False
        return True

    def to_query(self, live: RoutingConfig) -> str:
        """Write the draft for a URL: ``,MEDIUM:50,COMPLEX:80;chat,MEDIUM:60``; empty where nothing is changed."""
        names = live.tier_names
        return ";".join(
            ",".join([scope, *(f"{name}:{value}" for name, value in zip(names[1:], values[1:], strict=True))])
            for scope, values in sorted(self.boundaries.items())
        )

    @classmethod
    def from_query(cls, text: str, live: RoutingConfig) -> Draft:
        """Read a draft from a URL; raises ``ConfigError`` where it does not fit the live configuration."""
        draft = cls()
        for part in filter(None, text.split(";")):
            scope, *settings = part.split(",")
            values = list(draft.of(scope, live))
            for setting in settings:
                tier, _, value = setting.rpartition(":")
                if tier not in live.tier_names[1:] or not value.isdecimal() or int(value) > 100:
                    raise ConfigError(f"the link asks for {setting!r}, which is no boundary of the live configuration")
                values[live.tier_names.index(tier)] = int(value)
            draft = draft.with_scope(scope, values, live)
        draft.config(live)
        return draft


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
