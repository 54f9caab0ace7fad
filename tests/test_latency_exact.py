"""Exact quantiles of latency are those of the calls themselves, and histograms are within two per cent of them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from decisions import DAY_MS, traffic

from router_core.cli import main
from router_core.errors import InputError
from router_core.ledger.archive import archive
from router_core.ledger.engines.exact import exact_latency
from router_core.ledger.queries import latency
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger

DECISIONS = list(traffic(1_200, seed=71, span_ms=5 * DAY_MS))
SHARES = (0.5, 0.95, 0.99)


@pytest.fixture
def ledger(db_path: Path) -> Iterator[Ledger]:
    with open_ledger(db_path) as opened:
        opened.write_decisions(DECISIONS)
        refresh(opened)
        yield opened


def test_quantiles_are_those_of_the_calls(ledger: Ledger) -> None:
    calls: dict[tuple[str, str], list[int]] = defaultdict(list)
    for one in DECISIONS:
        for call in one.attempts:
            calls[call.kind.name.lower(), call.model].append(call.latency_ms)
    lines = exact_latency(ledger, ["kind", "model"])

    assert {line.keys: line.attempts for line in lines} == {keys: len(ms) for keys, ms in calls.items()}
    for line in lines:
        expected = np.quantile(calls[line.keys], SHARES, method="inverted_cdf")  # type: ignore[index]
        assert (line.p50_ms, line.p95_ms, line.p99_ms) == tuple(expected)


@pytest.mark.parametrize("by", [(), ("tier", "day")])
def test_histograms_are_within_two_per_cent_of_them(ledger: Ledger, by: tuple[str, ...]) -> None:
    since, until = date(2026, 3, 2), date(2026, 3, 4)
    exact, near = exact_latency(ledger, by, since, until), latency(ledger, by, since, until)

    assert [(line.keys, line.attempts) for line in exact] == [(line.keys, line.attempts) for line in near]
    for one, other in zip(exact, near, strict=True):
        assert other.p50_ms == pytest.approx(one.p50_ms, rel=0.02)
        assert other.p99_ms == pytest.approx(one.p99_ms, rel=0.02)


def test_days_whose_calls_are_in_an_archive_alone_are_named(ledger: Ledger, tmp_path: Path) -> None:
    archive(ledger, tmp_path / "archive", before=date(2026, 3, 3), prune=True)

    with pytest.raises(InputError, match="the calls of 2026-03-02 and before are in an archive alone"):
        exact_latency(ledger, ["tier"])
    assert exact_latency(ledger, ["tier"], date(2026, 3, 3))


def test_the_command_prints_them(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = exact_latency(ledger, [])
    with pytest.raises(SystemExit):
        main(["spend", "--exact", "--json", "--db", str(ledger.engine.url.database)])

    assert json.loads(capsys.readouterr().out)["total"]["p95_ms"] == line.p95_ms
