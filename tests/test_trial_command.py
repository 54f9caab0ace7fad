"""`tierwise trial` draws, prices, writes out and takes in; what it proves holds against the demo's truth."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
from commands import Run, asked

from router_core.config import RoutingConfig, set_values
from router_core.decision import Kind
from router_core.demo import DemoTruth, fill, true_change, truth
from router_core.ledger.queries import spend
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger
from router_core.lifecycle import trials, versions

NOW = round(datetime(2026, 11, 23, 15, 20, tzinfo=UTC).timestamp() * 1000)
CHANGE = "boundaries.MEDIUM=60"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trial") / "demo.db"
    with open_ledger(path) as ledger:
        fill(ledger, decisions=12_000, seed=2, now_ms=NOW)
        refresh(ledger)
    return path


@pytest.fixture(scope="module")
def known(filled: Path) -> DemoTruth:
    return truth(filled)


@pytest.fixture
def db(filled: Path, db_path: Path) -> Path:
    shutil.copy(filled, db_path)
    return db_path


@pytest.fixture
def run(run: Run, db: Path) -> Run:
    return lambda *arguments: run("trial", *arguments, "--db", str(db))


def live(path: Path) -> RoutingConfig:
    with open_ledger(path) as ledger:
        return versions.live(ledger).config


def replayed(path: Path, known: DemoTruth, *, tokens: bool = False) -> None:
    """Fill in what the demo knows each request's new answer would have been."""
    place = {
        (int(at), known.features[feature], int(score)): row
        for row, (at, feature, score) in enumerate(zip(known.at_ms, known.feature, known.score, strict=True))
    }
    lines = []
    for line in path.read_text().splitlines():
        row = json.loads(line)
        at = place[int(row["id"][:12], 16), row["feature"], row["score"]]
        old, new = known.tiers.index(row["logged_tier"]), known.tiers.index(row["tier"])
        row["quality_target"] = float(known.quality[at, new])
        row["quality_logged"] = float(known.quality[at, old])
        row |= {"input_tokens": 900, "output_tokens": 90} if tokens else {"cost_usd": known.cost_nusd[at, new] / 1e9}
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines))


def test_a_trial_is_priced_before_anything_is_run_or_written(run: Run, db: Path) -> None:
    told = asked(run("--set", CHANGE, "--json"))
    assert told["trial"] is None
    assert told["replays"] == 100
    assert told["moves"] == [{"from": "MEDIUM", "to": "SIMPLE", "replays": 100}]
    assert 0 < told["cost_nusd"]["expected"] < told["cost_nusd"]["most"]
    assert 0 < told["half_width"] < 0.05
    assert told["projection"]["quality"]["low"] < told["projection"]["quality"]["high"]
    with open_ledger(db) as ledger:
        assert trials.held(ledger) == []
    _, out, _ = run("--set", CHANGE, "-n", "30")
    assert out.startswith("Replay 30 of the ")
    assert "Price: about $0.0" in out


def test_a_trial_written_out_and_taken_in_proves_the_truth(
    run: Run, db: Path, known: DemoTruth, tmp_path: Path
) -> None:
    path = tmp_path / "trial.jsonl"
    told = asked(run("--set", CHANGE, "--export", str(path), "--json"))
    assert (told["trial"], told["exported"]) == (1, str(path))
    assert len(path.read_text().splitlines()) == 100
    replayed(path, known)
    proof = asked(run("--outcomes", str(path), "--json"))
    config = live(db)
    true = true_change(known, set_values(config, [CHANGE]), config)
    assert (proof["trial"], proof["replays"], proof["missing"]) == (1, 100, 0)
    assert proof["quality"]["low"] <= true.quality <= proof["quality"]["high"]
    assert proof["cost_nusd"]["low"] <= true.cost_nusd <= proof["cost_nusd"]["high"]
    assert (proof["quality"]["high"] - proof["quality"]["low"]) / 2 < 1.2 * proof["plain_half_width"]
    with open_ledger(db) as ledger:
        (held,) = trials.held(ledger)
        assert held.proof is not None
        assert held.proof.as_json() == {name: value for name, value in proof.items() if name != "trial"}


def test_what_was_run_and_graded_is_kept_once(run: Run, db: Path, known: DemoTruth, tmp_path: Path) -> None:
    path = tmp_path / "trial.jsonl"
    asked(run("--set", CHANGE, "--export", str(path), "-n", "20", "--json"))
    replayed(path, known, tokens=True)
    first = asked(run("--outcomes", str(path), "--json", "--source", "person"))
    again = asked(run("--outcomes", str(path), "--json", "--source", "person"))
    assert first == again
    with open_ledger(db) as ledger:
        refresh(ledger)
        (line,) = [one for one in spend(ledger, ["kind"]) if one.keys == ("trial",)]
        assert (line.attempts, line.input_tokens, line.output_tokens) == (20, 18_000, 1_800)
        # gpt-4.1-nano charges 0.10 and 0.40 dollars per million tokens.
        assert line.list_cost_nusd == 20 * (900 * 100 + 90 * 400)
        row = json.loads(path.read_text().splitlines()[0])
        decision = ledger.read_decision(bytes.fromhex(row["id"]))
        assert decision.quality == pytest.approx(row["quality_logged"])
        assert decision.quality_source is not None
        assert decision.quality_source.name == "PERSON"
        (call,) = [one for one in decision.attempts if one.kind == Kind.TRIAL]
        assert (call.tier, call.final, call.list_cost_nusd) == ("SIMPLE", False, 126_000)
        assert sum(one.final for one in decision.attempts) == 1
        assert decision.cost_nusd is not None
        with ledger.reading() as connection:
            kept = connection.exec_driver_sql("SELECT COUNT(*), SUM(attempts) FROM decision").one()
            calls = connection.exec_driver_sql("SELECT COUNT(*) FROM attempt").scalar_one()
            labels = connection.exec_driver_sql(
                "SELECT COUNT(*) FROM quality_label WHERE note = 'trial 1'"
            ).scalar_one()
    assert kept[1] == calls
    assert labels == 20


def test_outcomes_that_cover_what_would_be_drawn_need_no_export(
    run: Run, db: Path, known: DemoTruth, tmp_path: Path
) -> None:
    path = tmp_path / "trial.jsonl"
    asked(run("--set", CHANGE, "--export", str(path), "--json"))
    replayed(path, known)
    with open_ledger(db) as ledger, ledger.writing() as connection:
        connection.exec_driver_sql("DELETE FROM trial")
    proof = asked(run("--set", CHANGE, "--outcomes", str(path), "--json"))
    assert proof["trial"] == 1
    fewer = tmp_path / "fewer.jsonl"
    fewer.write_text("\n".join(path.read_text().splitlines()[:50]))
    code, _, err = run("--set", "boundaries.MEDIUM=59", "--outcomes", str(fewer))
    assert code == 2
    assert "requests drawn for this change have no outcome here; draw them with --export first" in err


def test_traffic_that_comes_meanwhile_changes_no_proof(run: Run, db: Path, known: DemoTruth, tmp_path: Path) -> None:
    path = tmp_path / "trial.jsonl"
    asked(run("--set", CHANGE, "--export", str(path), "--json"))
    replayed(path, known)
    before = asked(run("--outcomes", str(path), "--json"))
    with open_ledger(db) as ledger:
        versions.push(ledger, set_values(versions.live(ledger).config, [CHANGE]), author="ada", note="")
    assert asked(run("--outcomes", str(path), "--json")) == before


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "no line of it has a quality_target"),
        ("{}\n", "no line of it has a quality_target"),
        ("not json", "line 1: this is not JSON"),
        ("[1]", "line 1: this is not a JSON object"),
        ('{"id": "zz", "quality_target": 1}', "line 1: 'id' is 'zz', which is not the id of a request"),
        ('{"quality_target": 1}', "line 1: 'id' is None"),
        ('{"id": "%s", "quality_target": 1.5}', "line 1: quality_target is 1.5; it must be from 0 to 1"),
        ('{"id": "%s", "quality_target": "good"}', "line 1: quality_target is 'good', which is not a number"),
        ('{"id": "%s", "quality_target": 1, "input_tokens": 5}', "give both 'input_tokens' and 'output_tokens'"),
        ('{"id": "%s", "quality_target": 1}\n{"id": "%s", "quality_target": 1}', "line 2: request ffff"),
        ('{"id": "%s", "quality_target": 1}', "none of these requests belongs to a trial"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(text: str, sentence: str, run: Run, tmp_path: Path) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_text(text.replace("%s", "ff" * 16))
    code, out, err = run("--outcomes", str(path))
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.startswith(f"tierwise: {path}")
    assert err.count("\n") == 1


def test_what_cannot_be_asked_is_one_sentence(run: Run, tmp_path: Path) -> None:
    for arguments, sentence in (
        ((), "this change moves no request of the log"),
        (("--set", "boundaries.MEDIUM=60", "--export", str(tmp_path / "no" / "t")), "cannot be written"),
        (("--export", "a", "--outcomes", "b"), "give --export to draw a trial or --outcomes to conclude one"),
        (("--outcomes", str(tmp_path / "none")), "cannot be read: No such file"),
        (("--set", "boundaries.NONE=3"), "there is no 'NONE' here"),
    ):
        code, out, err = run(*arguments)
        assert (code, out) == (2, "")
        assert sentence in err
