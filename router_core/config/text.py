"""Configurations as YAML: read with the line of every mistake, written so that they read back the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from router_core.config.routing import RoutingConfig, build_config
from router_core.errors import ConfigError

_MOST_VALUES = 100_000
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's is several times as quick, where it is there


def parse_config(text: str) -> RoutingConfig:
    """Read a configuration from YAML text; raises ``ConfigError`` with the line and a suggestion."""
    lines: dict[str, int] = {}
    try:
        node = yaml.compose(text.removeprefix("\ufeff"), Loader=yaml.SafeLoader)
        if node is not None:
            _collect_lines(node, "", lines)
        data = None if node is None else yaml.SafeLoader("").construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        raise ConfigError(f"this is not YAML: {error.problem}", line=mark.line + 1 if mark else None) from None
    except (yaml.YAMLError, ValueError) as error:  # a date such as 2026-13-45 is a ValueError
        raise ConfigError(f"this is not YAML: {str(error).splitlines()[0]}") from None
    except RecursionError:
        raise ConfigError("this is nested too deeply to be a configuration") from None
    if not isinstance(data, dict):
        raise ConfigError("a configuration is a mapping with 'tiers', 'models' and 'providers'", line=1)
    return build_config(data, lines)


def _collect_lines(node: yaml.Node, path: str, lines: dict[str, int]) -> None:
    lines.setdefault(path, node.start_mark.line + 1)
    if len(lines) > _MOST_VALUES:  # aliases of aliases can make a short text hold any number
        raise ConfigError("this holds more values than a configuration can have")
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
    package = Path(__file__).parent.parent
    inside = package / "data"
    return inside if inside.is_dir() else package.parent / "data"


def plain(config: RoutingConfig) -> dict[str, Any]:
    """Return the configuration as plain data without anything left at its default: what YAML and the ledger keep."""
    return config.model_dump(mode="json", exclude_defaults=True)


def dump_config(config: RoutingConfig) -> str:
    """Return the configuration as YAML; ``parse_config`` of it gives the same configuration back."""
    return str(yaml.dump(plain(config), Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=100))
