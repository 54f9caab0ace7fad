"""Opening a ledger from the command line together with the configuration it is to start with."""

from __future__ import annotations

from pathlib import Path

from router_core.cli import note
from router_core.config import RoutingConfig, load_config
from router_core.ledger.config_versions import add_version, live_version
from router_core.ledger.store import Ledger, open_ledger


def open_with_config(db: str, path: Path | None, *, author: str) -> Ledger:
    """Open a ledger; a configuration file becomes its first version where it has none yet.

    Raises ``ConfigError`` where the file cannot be used, and what ``open_ledger`` raises.
    """
    config = servable_config(path) if path is not None else None
    ledger = open_ledger(db, timezone=config.timezone if config is not None else "UTC")
    if config is not None and not first_version(ledger, config, author=author, note=f"from {path}"):
        note(f"{ledger.url} has a configuration already, so {path} was not used; 'tierwise config push' pushes it")
    return ledger


def servable_config(path: Path) -> RoutingConfig:
    """Read a configuration file that a gateway is to serve.

    Raises ``ConfigError`` where it cannot: rules that do not compile and checks that cannot be made, too.
    """
    from router_core.complexity.rules import RuleSet
    from router_core.serving.plan import Plans

    config = load_config(path)
    RuleSet(config)
    Plans(config)
    return config


def first_version(ledger: Ledger, config: RoutingConfig, *, author: str, note: str) -> bool:
    """Make a configuration version 1 where the ledger has no version yet; return whether it was."""
    if live_version(ledger):
        return False
    add_version(ledger, config.model_dump_json(), author, note, 0)
    return True
