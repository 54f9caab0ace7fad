"""Versions of the configuration: pushed, followed and rolled back; immutable, the newest one live."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from router_core.config import RoutingConfig, build_config, default_config
from router_core.errors import ConfigError, InputError, TierwiseError, VersionConflictError
from router_core.ledger import config_versions
from router_core.ledger.config_versions import StoredVersion
from router_core.ledger.pushes import Pushes
from router_core.ledger.store import Ledger

FIRST_AUTHOR = "tierwise"

_log = logging.getLogger("tierwise.lifecycle")


@dataclass(frozen=True, slots=True)
class Version:
    """One pushed configuration; ``projection`` is what was foretold of it when it was pushed, None where nothing was.

    ``created_at_ms`` is UTC epoch milliseconds.
    """

    version: int
    config: RoutingConfig
    author: str
    note: str
    created_at_ms: int
    projection: Mapping[str, Any] | None = None


def push(
    ledger: Ledger,
    config: RoutingConfig | Mapping[str, Any],
    *,
    author: str,
    note: str,
    expected: int | None = None,
    projection: Mapping[str, Any] | None = None,
    at_ms: int | None = None,
) -> Version:
    """Make a configuration live as the next version; running routers take it up within a second.

    ``expected`` is the version the draft was made from: where another one is live by now ``VersionConflictError`` is
    raised and nothing is pushed. Plain data is validated first; raises ``ConfigError`` where it cannot be used.
    ``at_ms`` (UTC epoch milliseconds) dates the version otherwise than now, for a log that is filled afterwards.
    """
    checked = build_config(config.model_dump(mode="json") if isinstance(config, RoutingConfig) else config)
    _ensure_first(ledger, at_ms)
    number = config_versions.add_version(
        ledger,
        _kept(checked),
        author,
        note,
        expected,
        None if projection is None else json.dumps(projection, allow_nan=False),
        at_ms=at_ms,
    )
    return version(ledger, number)


def live(ledger: Ledger) -> Version:
    """Return the version that is live; a new ledger starts with the shipped configuration as version 1."""
    return version(ledger, _ensure_first(ledger))


def version(ledger: Ledger, number: int) -> Version:
    """Return one version; raises ``LedgerError`` where there is none of that number."""
    return _read(config_versions.version(ledger, number))


def history(ledger: Ledger) -> list[Version]:
    """Return every version, oldest first."""
    _ensure_first(ledger)
    return [_read(stored) for stored in config_versions.versions(ledger)]


def rollback(ledger: Ledger, to: int, *, author: str, note: str = "", expected: int | None = None) -> Version:
    """Make an older configuration live again, as a new version that says so; history stays as it was.

    Raises ``InputError`` where that configuration is live already, and as ``push`` does.
    """
    now = live(ledger)
    if to == now.version:
        raise InputError(f"version {to} is live already; 'tierwise config history' lists the versions before it")
    reason = f"back to version {to}" + (f": {note}" if note else "")
    return push(
        ledger,
        version(ledger, to).config,
        author=author,
        note=reason,
        expected=now.version if expected is None else expected,
    )


def _ensure_first(ledger: Ledger, at_ms: int | None = None) -> int:
    number = config_versions.live_version(ledger)
    if number:
        return number
    note = "the configuration Tierwise starts with"
    try:
        return config_versions.add_version(ledger, _kept(default_config()), FIRST_AUTHOR, note, 0, at_ms=at_ms)
    except VersionConflictError as error:  # another process was faster
        return error.actual


def _kept(config: RoutingConfig) -> str:
    # Everything is written out, defaults too: a version must not change its meaning when a default does.
    return config.model_dump_json()


def _read(stored: StoredVersion) -> Version:
    try:
        config = build_config(json.loads(stored.config_json))
        projection = None if stored.projection_json is None else json.loads(stored.projection_json)
    except (ConfigError, json.JSONDecodeError) as error:
        path = error.path if isinstance(error, ConfigError) else None
        raise ConfigError(f"version {stored.version} cannot be used by this Tierwise: {error}", path=path) from None
    return Version(stored.version, config, stored.author, stored.note, stored.created_at_ms, projection)


class ConfigWatch:
    """Follows the live version from a thread of its own, whichever process pushed it: a ledger in PostgreSQL says when
    one was pushed, and one in a file is asked every ``poll_s``.

    ``current`` is one pair, swapped whole, so that a request that reads it once sees one version. While the ledger
    cannot be read, or a newer version cannot be used, the last good one stays current, ``problem`` says why, and the
    watch goes on trying. Raises what ``versions.live`` raises where there is none to begin with.
    """

    def __init__(self, ledger: Ledger, *, poll_s: float = 0.25) -> None:
        self._ledger = ledger
        self._pushes = Pushes(ledger, poll_s=poll_s)
        first = live(ledger)
        self._current: tuple[int, RoutingConfig] = (first.version, first.config)
        self._problem: str | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="tierwise-config-watch", daemon=True)
        self._thread.start()

    @property
    def current(self) -> tuple[int, RoutingConfig]:
        """The live version's number and configuration."""
        return self._current

    @property
    def problem(self) -> str | None:
        """Why the last look failed; None where it did not."""
        return self._problem

    def close(self) -> None:
        """Stop watching; ``current`` stays what it was."""
        self._stopped.set()
        self._thread.join()

    def __enter__(self) -> ConfigWatch:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                self._pushes.wait(self._stopped)
                if self._stopped.is_set():
                    break
                self._look()
                self._problem = None
            except TierwiseError as error:
                if self._problem != str(error):
                    _log.warning("still using configuration version %d: %s", self._current[0], error)
                self._problem = str(error)
        self._pushes.close()

    def _look(self) -> None:
        number = config_versions.live_version(self._ledger)
        if number > self._current[0]:
            found = version(self._ledger, number)
            self._current = (found.version, found.config)
            _log.info("configuration version %d is live: %s", found.version, found.note)
