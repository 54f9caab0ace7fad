"""Scenarios kept by name and compared side by side on one prepared log."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from router_core.config import suggest
from router_core.errors import InputError
from router_core.ledger import scenarios as rows
from router_core.ledger.repeats import read_repeats
from router_core.ledger.store import Ledger
from router_core.projection import Preview
from router_core.projection.scenario import Scenario, build_scenario
from router_core.projection.whatif import WhatIf, what_if


@dataclass(frozen=True)
class SavedScenario:
    """A scenario in the ledger, with who saved it and when (UTC epoch milliseconds)."""

    scenario: Scenario
    author: str
    created_at_ms: int


def save(ledger: Ledger, scenario: Scenario, *, author: str) -> None:
    """Keep a scenario under its name, in place of an older one of that name."""
    rows.put_scenario(ledger, scenario.name, author, scenario.model_dump_json(exclude_defaults=True))
    ledger.event(author, "scenario", f"saved {scenario.name!r}")


def saved(ledger: Ledger) -> list[SavedScenario]:
    """Return every scenario of the ledger, by name."""
    return [
        SavedScenario(build_scenario(json.loads(row.scenario_json)), row.author, row.created_at_ms)
        for row in rows.read_scenarios(ledger)
    ]


def remove(ledger: Ledger, name: str, *, author: str) -> None:
    """Forget a scenario; raises ``InputError`` where there is none of that name."""
    rows.drop_scenario(ledger, name)
    ledger.event(author, "scenario", f"removed {name!r}")


def named(ledger: Ledger, names: Sequence[str]) -> list[Scenario]:
    """Return the scenarios of these names, in their order, all where none is given; raises ``InputError``."""
    known = {one.scenario.name: one.scenario for one in saved(ledger)}
    if not known:
        raise InputError("no scenario is saved yet; save one with 'tierwise scenario save NAME ...'")
    for name in names:
        if name not in known:
            raise InputError(f"there is no scenario {name!r}; {suggest(name, list(known))}")
    return [known[name] for name in names or known]


def compare(ledger: Ledger, preview: Preview, scenarios: Sequence[Scenario]) -> list[WhatIf]:
    """Project scenarios on one prepared log; how requests repeat is read where one of them changes a cache.

    Raises ``ConfigError`` and ``InputError`` where one does not fit the log.
    """
    cube = preview.cube
    repeats = {}
    if any(one.cache_ttl for one in scenarios) and cube.since is not None and cube.until is not None:
        repeats = dict(read_repeats(ledger, cube.since, cube.until).by_feature)
    found = []
    for one in scenarios:
        try:
            found.append(what_if(preview, one, repeats))
        except InputError as error:
            raise InputError(f"scenario {one.name!r}: {error}") from None
    return found
