"""A push keeps its projection, and what came of it is set against it, on the traffic that came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from router_core.cli import main
from router_core.config import dump_config, set_values
from router_core.demo import fill, true_change, truth
from router_core.ledger.between import evidence_between
from router_core.ledger.days import day_number
from router_core.ledger.evidence import Evidence, evidence
from router_core.ledger.price_rows import add_prices, read_prices
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.lifecycle import versions
from router_core.lifecycle.foretell import foretell as versions_foretold
from router_core.lifecycle.track_record import Compared, PushOutcome, share_held, track_record

NOW = round(datetime(2026, 11, 23, 15, 20, tzinfo=UTC).timestamp() * 1000)
HOUR = 3_600_000


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """A demo, whose second push carries the projection of the traffic before it."""
    with open_ledger(tmp_path_factory.mktemp("record") / "demo.db") as opened:
        fill(opened, decisions=15_000, seed=4, now_ms=NOW)
        refresh(opened)
        yield opened


def foretell(ledger: Ledger, version: int, projection: dict[str, Any]) -> None:
    """Put a projection where a push would have kept it."""
    with ledger.writing() as connection:
        connection.execute(
            sa.text("UPDATE config_version SET projection_json = :text WHERE version = :version"),
            {"text": json.dumps(projection), "version": version},
        )


@pytest.fixture(scope="module")
def outcome(ledger: Ledger) -> PushOutcome:
    (found,) = track_record(ledger, now_ms=NOW)
    return found


def cells(found: Evidence) -> dict[tuple[object, ...], tuple[int, ...]]:
    """Return the sums of evidence by names and codes."""
    keys = zip(
        (found.scorers[index] for index in found.scorer),
        (found.features[index] for index in found.feature),
        (found.tiers[index] for index in found.tier),
        (found.models[index] for index in found.model),
        found.score.tolist(),
        found.strategy.tolist(),
        found.reason.tolist(),
        found.kind.tolist(),
        found.price_id.tolist(),
        strict=True,
    )
    sums = np.stack([found.decisions, found.quality_ppm_sum, found.list_cost_nusd, found.input_squares], axis=1)
    return dict(zip(keys, map(tuple, sums.tolist()), strict=True))


def test_evidence_of_whole_days_is_that_of_their_cells(ledger: Ledger) -> None:
    since, until = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 8, tzinfo=UTC)
    found = evidence_between(ledger, _ms(since), _ms(until))
    assert (found.since, found.until, found.days) == (since.date(), datetime(2026, 11, 7).date(), 7)
    assert cells(found) == cells(evidence(ledger, since.date(), datetime(2026, 11, 7).date()))


def test_of_a_short_time_the_days_cut_are_read_row_by_row(ledger: Ledger) -> None:
    since, until = datetime(2026, 11, 3, 9, tzinfo=UTC), datetime(2026, 11, 5, 17, 30, tzinfo=UTC)
    found = evidence_between(ledger, _ms(since), _ms(until))
    with ledger.reading() as connection:
        expected = connection.execute(
            sa.text(
                "SELECT COUNT(*), SUM(cost_nusd) FROM decision WHERE decided_at_ms >= :low AND decided_at_ms < :high"
            ),
            {"low": _ms(since), "high": _ms(until)},
        ).one()
    assert (int(found.decisions.sum()), int(found.list_cost_nusd.sum())) == tuple(expected)
    parts = [
        evidence_between(ledger, _ms(since), _ms(since) + 10 * HOUR),
        evidence_between(ledger, _ms(since) + 10 * HOUR, _ms(until)),
    ]
    assert sum(int(part.decisions.sum()) for part in parts) == expected[0]
    assert len(set(cells(found))) == len(found.score)


def test_of_a_long_time_only_whole_days_are_summed(ledger: Ledger) -> None:
    since, until = datetime(2026, 11, 3, 9, tzinfo=UTC), datetime(2026, 11, 9, 17, tzinfo=UTC)
    found = evidence_between(ledger, _ms(since), _ms(until))
    whole = evidence(ledger, (since + timedelta(days=1)).date(), (until - timedelta(days=1)).date())
    assert cells(found) == cells(whole)
    assert found.days == 5


def test_no_time_holds_no_evidence(ledger: Ledger) -> None:
    assert int(evidence_between(ledger, NOW, NOW).decisions.sum()) == 0
    assert int(evidence_between(ledger, 0, 10).decisions.sum()) == 0


def _ms(at: datetime) -> int:
    return round(at.timestamp() * 1000)


def test_what_came_holds_the_truth_of_the_traffic_that_came(ledger: Ledger, outcome: PushOutcome) -> None:
    _, before, pushed = versions.history(ledger)
    first = day_number(datetime.fromtimestamp(pushed.created_at_ms / 1000, UTC).date()) + 1
    came = truth(ledger.engine.url.database or "").between(
        ledger.days.start_ms(first), ledger.days.start_ms(day_number(datetime(2026, 11, 23).date()))
    )
    assert outcome.decisions == len(came)
    true = true_change(came, pushed.config, before.config)
    assert outcome.cost_nusd is not None
    saved = -true.cost_nusd / (outcome.cost_nusd - true.cost_nusd)
    assert outcome.saving.realised_low is not None
    assert outcome.saving.realised_high is not None
    assert outcome.saving.realised_low <= saved <= outcome.saving.realised_high
    assert outcome.quality.realised_low is not None
    assert outcome.quality.realised_high is not None
    assert outcome.quality.realised_low <= true.quality <= outcome.quality.realised_high


def test_the_promise_is_set_beside_it_and_held(outcome: PushOutcome, ledger: Ledger) -> None:
    assert (outcome.version, outcome.previous, outcome.author) == (3, 2, "demo")
    foretold = versions.version(ledger, 3).projection
    assert foretold is not None
    assert outcome.saving.promised == foretold["saving_share"]["value"]
    assert outcome.quality.promised == foretold["quality"]["change"]
    assert outcome.saving.realised == pytest.approx(outcome.saving.promised, abs=0.02)
    assert outcome.saving.held
    assert outcome.quality.held
    assert outcome.held
    assert share_held([outcome]) == (2, 2)
    assert outcome.cost_nusd is not None
    assert outcome.previous_cost_nusd is not None
    assert outcome.saving.realised == pytest.approx(1 - outcome.cost_nusd / outcome.previous_cost_nusd, abs=1e-6)
    assert json.loads(json.dumps(outcome.as_json()))["held"] is True


def test_an_empty_promise_does_not_hold(ledger: Ledger) -> None:
    honest = versions.version(ledger, 3).projection
    assert honest is not None
    boast = {**honest, "saving_share": {"value": 0.5, "low": 0.49, "high": 0.51}}
    try:
        foretell(ledger, 3, boast)
        (found,) = track_record(ledger, now_ms=NOW, replicates=50)
        assert (found.saving.held, found.quality.held, found.held) == (False, True, False)
        assert share_held([found]) == (1, 2)
    finally:
        foretell(ledger, 3, dict(honest))


def test_a_price_that_changed_after_the_push_is_named(ledger: Ledger) -> None:
    assert not any("changed after the push" in note for note in track_record(ledger, now_ms=NOW, replicates=2)[0].notes)
    dear = next(price for price in read_prices(ledger) if price.model == "gpt-4.1" and price.provider_name == "openai")
    add_prices(ledger, [replace(dear, layer="manual", effective_from=date(2026, 11, 20))])
    notes = track_record(ledger, now_ms=NOW, replicates=2)[0].notes
    assert "The price of gpt-4.1 changed after the push, which moves the saving too." in notes


def test_a_promise_is_made_at_the_prices_in_force_when_it_is_made(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        fill(ledger, decisions=4_000, seed=1, now_ms=NOW)
        refresh(ledger)
        live = versions.live(ledger).config
        target = set_values(live, ["boundaries.REASONING=97"])
        before = versions_foretold(ledger, target, at_ms=NOW)
        doubled = [
            replace(
                price,
                layer="manual",
                effective_from=date(2026, 11, 23),
                input_usd_per_mtok=(price.input_usd_per_mtok or 0) * 2,
                output_usd_per_mtok=(price.output_usd_per_mtok or 0) * 2,
                cache_read_usd_per_mtok=(price.cache_read_usd_per_mtok or 0) * 2,
            )
            for price in read_prices(ledger)
            if price.model == "gpt-5.2" and price.provider_name == "openai" and price.layer == "contract"
        ]
        assert doubled
        add_prices(ledger, doubled)
        after = versions_foretold(ledger, target, at_ms=NOW)
        assert versions_foretold(ledger, live, at_ms=NOW).cost.change == 0
    assert before.cost.change is not None
    assert after.cost.change is not None
    assert after.cost.change < before.cost.change < 0  # more is saved of what costs more
    assert after.cost.logged > before.cost.logged
    assert after.cost.projected == after.cost.logged + after.cost.change
    assert sum(one.cost.change or 0 for one in after.by_feature) == pytest.approx(after.cost.change, rel=0.02)
    assert after.quality == before.quality


def test_too_little_traffic_is_said_and_not_judged(ledger: Ledger) -> None:
    pushed = versions.version(ledger, 3).created_at_ms
    (found,) = track_record(ledger, now_ms=pushed + HOUR // 4)
    assert found.decisions < 200
    assert found.held is None
    assert any("200 are needed to judge" in note for note in found.notes)
    assert share_held([found]) == (0, 0)


def test_a_version_before_with_other_tiers_cannot_be_projected_back(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        fill(ledger, decisions=3_000, seed=4, now_ms=NOW)
        refresh(ledger)
        first = versions.history(ledger)[0]
        data = first.config.model_dump(mode="json")
        fewer = {**data, "tiers": data["tiers"][:2], "features": {}, "rules": [], "baseline_model": None}
        with ledger.writing() as connection:
            connection.execute(
                sa.text("UPDATE config_version SET config_json = :text WHERE version = 2"), {"text": json.dumps(fewer)}
            )
        foretell(ledger, 3, {"saving_share": {"value": 0.1, "low": 0.0, "high": 0.2}})
        (found,) = track_record(ledger, now_ms=NOW, replicates=2)
    assert found.previous_cost_nusd is None
    assert found.held is None
    assert any(
        note.startswith("What version 2 would have done cannot be said: the target has the tiers")
        for note in found.notes
    )


@pytest.mark.parametrize(
    ("promised", "realised", "held"),
    [
        ((0.10, 0.08, 0.12), (0.11, 0.10, 0.12), True),
        ((0.10, 0.08, 0.12), (0.13, 0.10, 0.16), True),  # further than the promise, but not than both together
        ((0.10, 0.08, 0.12), (0.16, 0.15, 0.17), False),
        ((0.10, 0.08, 0.12), (0.05, 0.04, 0.06), False),
        ((0.0, 0.0, 0.0), (0.0, 0.0, 0.0), True),
        ((None, -0.05, 0.02), (-0.01, -0.02, 0.0), True),  # a range without an estimate
        ((None, -0.05, 0.02), (0.1, 0.05, 0.15), False),
        ((None, None, None), (0.1, 0.0, 0.2), None),
        ((0.1, 0.0, 0.2), (None, None, None), None),
    ],
)
def test_a_promise_holds_where_both_intervals_allow_the_difference(
    promised: tuple[float, ...], realised: tuple[float, float, float], held: bool | None
) -> None:
    told = dict(zip(("value", "low", "high"), promised, strict=True))
    assert Compared.of(told, realised).held is held


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["config", *arguments])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def test_a_push_from_the_command_line_keeps_its_projection_and_history_tells_what_came(
    db_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_ledger(db_path) as ledger:
        fill(ledger, decisions=3_000, seed=4, now_ms=NOW)
        live = versions.live(ledger).config
    file = tmp_path / "config.yaml"
    file.write_text(dump_config(set_values(live, ["boundaries.MEDIUM=50"])))
    code, _, err = run(capsys, "push", str(file), "--db", str(db_path), "--note", "try")
    assert (code, err) == (0, "")
    with open_ledger(db_path) as ledger:
        kept = versions.live(ledger).projection
    assert kept is not None
    assert kept["decisions"] == 3_000
    assert kept["saving_share"]["low"] <= kept["saving_share"]["value"] <= kept["saving_share"]["high"]
    code, out, err = run(capsys, "history", "--record", "--db", str(db_path), "--json")
    assert code == 0, err
    outcome = json.loads(out)[-1]["outcome"]
    assert outcome["held"] is None
    assert outcome["decisions"] == 0
    code, out, _ = run(capsys, "history", "--record", "--db", str(db_path))
    assert "came unknown" in out
    assert out.rstrip().endswith("promises held.")  # those of the demo's own push
    file.write_text(dump_config(live))
    code, _, _ = run(capsys, "push", str(file), "--db", str(db_path), "--no-foretell")
    assert code == 0
    with open_ledger(db_path) as ledger:
        assert versions.live(ledger).projection is None
