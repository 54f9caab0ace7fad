"""Trials, track records and scenarios give in PostgreSQL what they give in SQLite."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("psycopg")

from router_core.config import set_values
from router_core.demo import fill
from router_core.ledger.evidence import evidence
from router_core.ledger.price_rows import read_prices
from router_core.ledger.repeats import read_repeats
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.lifecycle import scenarios, trials, versions
from router_core.lifecycle.track_record import track_record
from router_core.lifecycle.trials import Replay
from router_core.prices import PriceBook
from router_core.projection import Cube, Preview
from router_core.projection.scenario import build_scenario
from router_core.usage import Usage
from tests.test_ledger_postgres import Server, server

__all__ = ["server"]

NOW = round(datetime(2026, 11, 23, 15, 20, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(scope="module")
def ledgers(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Ledger, Ledger]]:
    path: Path = tmp_path_factory.mktemp("proving") / "ledger.db"
    with open_ledger(path) as ours, open_ledger(server.database("proving")) as theirs:
        for one in (ours, theirs):
            fill(one, decisions=3_000, days=10, seed=9, now_ms=NOW)
            refresh(one)
        yield ours, theirs


def previewed(ledger: Ledger) -> Preview:
    config, book = versions.live(ledger).config, PriceBook(read_prices(ledger))
    return Preview(Cube.from_evidence(evidence(ledger), config, book), config, book, replicates=10)


def test_the_same_requests_are_drawn_and_prove_the_same(ledgers: tuple[Ledger, Ledger]) -> None:
    proofs, counts = [], []
    for one in ledgers:
        preview = previewed(one)
        proposal = trials.propose(one, preview, set_values(preview.config, ["boundaries.MEDIUM=60"]), 40)
        held = trials.hold(one, proposal, author="ada")
        replays = [
            Replay(chosen.id, place % 2, 1.0, Usage(500 + place, 50)) for place, chosen in enumerate(held.trial.chosen)
        ]
        first = trials.conclude(one, held, replays, author="ada")
        assert trials.conclude(one, held, replays, author="ada") == first
        proofs.append((held.trial.chosen, first))
        with one.reading() as connection:
            trial = connection.exec_driver_sql("SELECT COUNT(*), SUM(input_tokens) FROM attempt WHERE kind = 9").one()
            label = connection.exec_driver_sql("SELECT COUNT(*) FROM quality_label WHERE note = 'trial 1'").scalar_one()
        counts.append((int(trial[0]), int(trial[1]), label))
        refresh(one)
    assert proofs[0] == proofs[1]
    assert counts[0] == counts[1] == (40, 40 * 500 + 780, 40)


def test_requests_repeat_alike(ledgers: tuple[Ledger, Ledger]) -> None:
    ours, theirs = (read_repeats(one, date(2026, 11, 1), date(2026, 11, 23), most_read=900) for one in ledgers)
    assert (ours.days, ours.every) == (theirs.days, theirs.every)
    assert ours.every > 1
    assert ours.by_feature.keys() == theirs.by_feature.keys()
    for name, asked in ours.by_feature.items():
        other = theirs.by_feature[name]
        assert np.array_equal(asked.at_ms, other.at_ms)
        assert asked.hit_share(86_400, 0) == other.hit_share(86_400, 0)


def test_pushes_have_the_same_record_and_scenarios_the_same_figures(ledgers: tuple[Ledger, Ledger]) -> None:
    records, figures = [], []
    for one in ledgers:
        records.append([outcome.as_json() for outcome in track_record(one, now_ms=NOW, replicates=10)])
        built = build_scenario({"name": "more", "growth": {"*": 0.1}, "cache_ttl": {"*": 86_400}})
        scenarios.save(one, built, author="ada")
        scenarios.save(one, built, author="bob")
        (saved,) = scenarios.saved(one)
        assert (saved.scenario, saved.author) == (built, "bob")
        (found,) = scenarios.compare(one, previewed(one), scenarios.named(one, ()))
        figures.append(found.as_json())
        scenarios.remove(one, "more", author="ada")
        assert scenarios.saved(one) == []
    assert records[0] == records[1]
    assert len(records[0]) == 1
    assert figures[0] == figures[1]
