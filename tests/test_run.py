"""`tierwise run`: recorded outcomes routed through the real router into a real ledger."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from router_core.cli import main
from router_core.config import RoutingConfig
from router_core.decision import QualitySource, RoutingDecision
from router_core.errors import InputError
from router_core.ledger.queries import spend
from router_core.ledger.store import open_ledger
from router_core.lifecycle.versions import live, push
from router_core.prices import PriceBook, price_from_entry
from router_core.serving.providers import Outcomes, Recorded
from router_core.serving.recordings import count_rows, read_outcomes, read_prompts
from router_core.serving.replay import config_for
from router_core.usage import Usage

USD_PER_MTOK = {"gpt-4-1106-preview": (10, 30), "mixtral-8x7b-instruct-v0.1": (0.24, 0.24)}
CHEAP, STRONG = "mixtral-8x7b-instruct-v0.1", "gpt-4-1106-preview"


class Run:
    """The command, run in this process."""

    def __init__(self, db: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.db = db
        self._capture = capture

    def __call__(self, *arguments: object, code: int = 0) -> tuple[dict[str, Any], str]:
        """Run and return what it printed as JSON, and what it told the person."""
        with pytest.raises(SystemExit) as end:
            main(["run", *map(str, arguments), "--db", str(self.db), "--json"])
        out, err = self._capture.readouterr()
        assert int(end.value.code or 0) == code, err
        return (json.loads(out) if out else {}), err

    def decisions(self) -> list[RoutingDecision]:
        """Return every decision of the ledger, in the order made."""
        connection = sqlite3.connect(self.db)
        ids = [row[0] for row in connection.execute("SELECT id FROM decision ORDER BY id")]
        connection.close()
        with open_ledger(self.db) as ledger:
            return [ledger.read_decision(one) for one in ids]

    def live(self) -> tuple[int, RoutingConfig]:
        """Return the ledger's live version."""
        with open_ledger(self.db) as ledger:
            found = live(ledger)
            return found.version, found.config


@pytest.fixture
def run(db_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(db_path, capsys)


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rows = [
        {"prompt_id": f"p{n}", "model": model, "quality": quality, "input_tokens": 100 + n, "output_tokens": 10}
        for n in range(4)
        for model, quality in ((STRONG, 1.0), (CHEAP, 0.5))
    ]
    return lines(tmp_path / "outcomes.jsonl", *rows)


def prompts(tmp_path: Path, *more: object) -> Path:
    rows = [{"prompt_id": f"p{n}", "prompt": f"question number {n}", "feature": "quiz"} for n in range(4)]
    return lines(tmp_path / "prompts.jsonl", *rows, *more)


def test_the_spend_of_a_recorded_set_equals_a_loop_over_its_table(recorded: Path, run: Run) -> None:
    folder = recorded / "routellm"
    said, note = run(folder / "prompts.parquet", "--outcomes", folder / "responses.parquet", "--explore", 0.05)
    assert (said["decisions"], said["failed"], said["rejected"]) == (15_361, 0, 0)
    assert "28,084 outcomes have no output tokens" in note

    table = {(row["prompt_id"], row["model"]): row for row in pq.read_table(folder / "responses.parquet").to_pylist()}
    order = [row["prompt_id"] for row in pq.read_table(folder / "prompts.parquet", columns=["prompt_id"]).to_pylist()]
    expected = {tier: [0, 0, 0.0] for tier in ("SIMPLE", "COMPLEX")}
    served = served_models(run.db)
    for prompt_id, (tier, model) in zip(order, served, strict=True):
        row = table[prompt_id, model]
        dollars_in, dollars_out = USD_PER_MTOK[model]
        tokens_in, tokens_out = row["input_tokens"], row["output_tokens"] or 0
        expected[tier][0] += 1
        expected[tier][1] += round(tokens_in * dollars_in * 1000) + round(tokens_out * dollars_out * 1000)
        expected[tier][2] += row["quality"]
    with open_ledger(run.db) as ledger:
        found = {line.keys[0]: line for line in spend(ledger, ["tier"], None, None)}
    assert {tier: (line.decisions, line.list_cost_nusd, line.quality_ppm_sum) for tier, line in found.items()} == {
        tier: (count, cost, round(quality * 1_000_000)) for tier, (count, cost, quality) in expected.items()
    }
    assert {tier["tier"]: tier["list_cost_nusd"] for tier in said["by_tier"]} == {
        tier: cost for tier, (_, cost, _) in expected.items()
    }


def served_models(db: Path) -> list[tuple[str, str]]:
    """Return (assigned tier, model) of every decision, in the order of the prompts."""
    connection = sqlite3.connect(db)
    query = """
        SELECT tier.name, model.name FROM decision
        JOIN attempt ON attempt.decision_id = decision.id AND attempt.final = 1
        JOIN dimension tier ON tier.id = decision.tier_id JOIN dimension model ON model.id = attempt.model_id
        ORDER BY decision.id
    """
    rows = [(row[0], row[1]) for row in connection.execute(query)]
    connection.close()
    return rows


def test_decisions_carry_their_grade_as_a_label_and_their_order(tmp_path: Path, run: Run, table: Path) -> None:
    said, _ = run(prompts(tmp_path), "--outcomes", table)
    assert said["decisions"] == 4
    decisions = run.decisions()
    assert [decision.attempts[0].usage.input_tokens for decision in decisions if decision.attempts[0].usage] == [
        100,
        101,
        102,
        103,
    ]
    assert {decision.feature for decision in decisions} == {"quiz"}
    for decision in decisions:
        assert decision.quality_source == QualitySource.CHECK
        assert decision.quality == (1.0 if decision.attempts[0].model == STRONG else 0.5)


def test_a_bad_line_is_named_and_the_others_are_done(tmp_path: Path, run: Run, table: Path) -> None:
    file = prompts(tmp_path, "not json", ["a list"], {"text": "no prompt"}, {"messages": [{"role": 3}]}, "")
    said, note = run(file, "--outcomes", table, code=2)
    assert (said["decisions"], said["rejected"]) == (4, 4)
    for number in (5, 6, 7, 8):
        assert f"prompts.jsonl, line {number}: " in note
    assert "4 rows could not be used" in note


def test_a_prompt_without_an_outcome_is_recorded_as_failed(tmp_path: Path, run: Run, table: Path) -> None:
    said, _ = run(prompts(tmp_path, {"prompt_id": "new", "prompt": "never asked"}), "--outcomes", table)
    assert (said["decisions"], said["failed"]) == (5, 1)
    assert run.decisions()[-1].quality is None


def test_prompts_are_found_by_their_exact_text_where_they_have_no_id(tmp_path: Path, run: Run) -> None:
    outcomes = lines(tmp_path / "o.jsonl", {"prompt": "hello", "model": "m", "quality": 0.75, "input_tokens": 3})
    said, _ = run(lines(tmp_path / "p.jsonl", {"prompt": "hello"}), "--outcomes", outcomes)
    assert (said["decisions"], said["failed"], said["by_tier"][0]["quality"]) == (1, 0, 0.75)


def test_a_seed_repeats_the_draws(tmp_path: Path, table: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = lines(tmp_path / "p.jsonl", *({"prompt_id": "p1", "prompt": f"question {n}"} for n in range(200)))
    tiers = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        again = Run(tmp_path / f"{name}.db", capsys)
        again(file, "--outcomes", table, "--explore", 0.3, "--seed", seed)
        tiers.append(served_models(again.db))
    assert tiers[0] == tiers[1] != tiers[2]


def test_the_ledgers_own_configuration_is_used_where_it_fits_the_table(tmp_path: Path, run: Run, table: Path) -> None:
    run(prompts(tmp_path), "--outcomes", table)
    version, config = run.live()
    assert version == 1
    with open_ledger(run.db) as ledger:
        push(ledger, config.with_boundaries([0, 0]), author="test", note="all strong")
    said, _ = run(prompts(tmp_path), "--outcomes", table)
    assert said["config_version"] == 2
    assert [(tier["tier"], tier["decisions"]) for tier in said["by_tier"]] == [("COMPLEX", 4)]
    said, _ = run(prompts(tmp_path), "--outcomes", table, "--explore", 0.5)
    assert said["config_version"] == 3
    assert run.live()[1].exploration.rate == 0.5


def test_a_configuration_that_names_none_of_the_recorded_models_is_refused(
    tmp_path: Path, run: Run, table: Path
) -> None:
    config = tmp_path / "c.yaml"
    config.write_text("tiers: [{name: A, models: [x]}]\nmodels: {x: {provider: p}}\nproviders: {p: {base_url: 'r:'}}\n")
    _, note = run(prompts(tmp_path), "--outcomes", table, "--config", config, code=2)
    assert "no outcome is recorded for any model of its tiers" in note


@pytest.mark.parametrize("missing", ["FILE", "TABLE"])
def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path, run: Run, table: Path, missing: str) -> None:
    nowhere = tmp_path / "nowhere.parquet"
    file, outcomes = (nowhere, table) if missing == "FILE" else (prompts(tmp_path), nowhere)
    _, note = run(file, "--outcomes", outcomes, code=2)
    assert "nowhere.parquet: cannot be read" in note
    assert len(note.strip().splitlines()) == 1


def test_a_table_that_is_no_parquet_file_is_one_sentence(tmp_path: Path, run: Run) -> None:
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1 and then nothing")
    _, note = run(prompts(tmp_path), "--outcomes", broken, code=2)
    assert "broken.parquet: cannot be read as Parquet" in note


def test_rows_are_read_alike_from_json_lines_and_from_parquet(tmp_path: Path) -> None:
    rows = [{"prompt_id": "a", "prompt": "x", "feature": "f"}, {"prompt_id": "b", "prompt": "y", "feature": "g"}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "p.parquet")
    as_lines, as_parquet = lines(tmp_path / "p.jsonl", *rows), tmp_path / "p.parquet"
    assert list(read_prompts(as_lines)) == list(read_prompts(as_parquet))
    assert count_rows(as_lines) == count_rows(as_parquet) == 2


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt_id": "a"}, "needs 'model'"),
        ({"model": "m"}, "'prompt_id' or 'prompt'"),
        ({"prompt_id": "a", "model": "m", "quality": 1.5}, "quality is 1.5"),
        ({"prompt_id": "a", "model": "m", "quality": "good"}, "not a number"),
        ({"prompt_id": "a", "model": "m", "input_tokens": -1}, "cannot be negative"),
        ({"prompt_id": "a", "model": "m", "input_tokens": True}, "not a number"),
        ("{", "not JSON"),
    ],
)
def test_an_outcome_that_cannot_be_used_is_named(tmp_path: Path, row: object, says: str) -> None:
    good = {"prompt_id": "b", "model": "m"}
    read = read_outcomes(lines(tmp_path / "o.jsonl", row, good))
    assert len(read.outcomes) == 1
    (error,) = read.rejected
    assert error.line == 1
    assert says in str(error)
    with pytest.raises(InputError, match="no usable outcome"):
        read_outcomes(lines(tmp_path / "o.jsonl", row))


def test_tokens_nobody_recorded_are_unknown_and_output_alone_is_marked(tmp_path: Path) -> None:
    rows = [{"prompt_id": "a", "model": "m"}, {"prompt_id": "b", "model": "m", "input_tokens": 5}]
    read = read_outcomes(lines(tmp_path / "o.jsonl", *rows))
    first, second = (read.outcomes.find([name], "m") for name in "ab")
    assert first == Recorded(None)
    assert second == Recorded(Usage(5, 0), estimated=True)
    assert read.without_output == 1


def price(model: str, usd: str, provider: str = "recorded") -> dict[str, str]:
    return {"provider": provider, "model": model, "effective_from": "2024-01-01", "input": usd, "output": usd}


def test_tiers_run_from_the_cheapest_model_to_the_dearest_at_equal_shares() -> None:
    prices = PriceBook(price_from_entry(price(model, usd)) for model, usd in (("a", "3"), ("b", "1"), ("c", "2")))
    outcomes = Outcomes(("p", model, Recorded(Usage(10, 10), 0.5)) for model in "abc")
    config = config_for(outcomes, prices, at_ms=1_800_000_000_000)
    assert [(tier.name, tier.models, tier.score_min) for tier in config.tiers] == [
        ("SIMPLE", ("b",), 0),
        ("MEDIUM", ("c",), 33),
        ("COMPLEX", ("a",), 67),
    ]
    assert config.baseline_model == "a"


def test_without_prices_tiers_run_from_the_worst_model_to_the_best() -> None:
    outcomes = Outcomes(
        ("p", model, Recorded(Usage(1, 1), quality)) for model, quality in (("good", 0.9), ("bad", 0.1))
    )
    config = config_for(outcomes, PriceBook(), at_ms=0)
    assert [tier.models for tier in config.tiers] == [("bad",), ("good",)]


def test_a_recorded_model_is_priced_as_whoever_sells_it() -> None:
    prices = PriceBook([price_from_entry(price("m", "1", provider="openai"))])
    config = config_for(Outcomes([("p", "m", Recorded(Usage(1, 1)))]), prices, at_ms=1_800_000_000_000)
    assert config.price_names("m") == ("openai", "m")
