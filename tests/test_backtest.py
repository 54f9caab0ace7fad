"""Back-tests measure previews against recorded outcomes: the same logs for the same seed, and the truth inside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from threadpoolctl import threadpool_limits

from router_core.cli import main
from router_core.errors import InputError
from router_core.projection.backtest import run, summary
from router_core.projection.drawn import Protocol, Scored, score_outcomes
from router_core.projection.outcomes import read_outcomes

NOW_MS = 1_795_449_600_000
MODELS = ("small", "middle", "large")
EASY = ("sum", "add", "name", "list", "color", "day")
HARD = ("prove", "integral", "statute", "enzyme", "theorem", "quantum")


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Small matrices are solved fastest by one thread, as the command has it."""
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1,600 prompts whose words tell how hard they are, answered by three models."""
    random = np.random.default_rng(3)
    count = 1600
    hard = random.random(count)
    prompts, answers = [], []
    for index in range(count):
        words = [random.choice(HARD if random.random() < hard[index] else EASY) for _ in range(20)]
        prompts.append({"prompt_id": f"p{index}", "category": f"c{index % 3}", "prompt": " ".join(words)})
        for place, model in enumerate(MODELS):
            chance = 1 / (1 + np.exp(-(2.5 + 0.4 * place - (4 - 1.2 * place) * hard[index])))
            answers.append(
                {
                    "prompt_id": f"p{index}",
                    "model": model,
                    "quality": float(random.random() < chance),
                    "input_tokens": int(random.lognormal(5, 0.5)),
                    "output_tokens": int(random.lognormal(4 + 0.3 * place + hard[index], 0.5)),
                }
            )
    where = tmp_path_factory.mktemp("outcomes")
    pd.DataFrame(prompts).to_parquet(where / "prompts.parquet")
    pd.DataFrame(answers).to_parquet(where / "responses.parquet")
    return where


@pytest.fixture(scope="module")
def scored(folder: Path) -> Scored:
    """6,000 outcomes with a score that says something of how hard each prompt is; nothing needs to be fitted."""
    random = np.random.default_rng(8)
    outcomes = read_outcomes(folder, MODELS, at_ms=NOW_MS)
    many = outcomes.take(random.integers(0, len(outcomes), 6000))
    hard = np.array([sum(word in HARD for word in prompt.split()) for prompt in many.prompts])
    chance = 1 / (1 + np.exp(-(2.5 + 0.4 * np.arange(3) - (4 - 1.2 * np.arange(3)) * hard[:, None] / 20)))
    quality = (random.random(chance.shape) < chance).astype(float)
    order = (hard + random.normal(0, 6, len(hard))).argsort().argsort()
    return Scored(replace(many, quality=quality), (order * 101 // len(order)).astype(np.int64), "made up")


def test_the_same_seed_draws_the_same_logs(scored: Scored) -> None:
    assert run(scored, Protocol(0.05), [4]) == run(scored, Protocol(0.05), [4])
    assert run(scored, Protocol(0.05), [4]) != run(scored, Protocol(0.05, seed=1), [4])


@pytest.mark.parametrize("explore", [0.0, 0.1])
def test_the_truth_lies_inside_our_intervals_and_not_inside_the_naive_ones(scored: Scored, explore: float) -> None:
    rows = summary(run(scored, Protocol(explore), range(12)))

    def row(measure: str, method: str, direction: str) -> dict[str, float]:
        (found,) = [
            one
            for one in rows
            if (one["target"], one["colour"]) == ("all", "all")
            and (one["measure"], one["method"], one["direction"]) == (measure, method, direction)
        ]
        return found

    for direction in ("cheaper", "stronger"):
        assert row("quality", "ours", direction)["coverage"] >= 0.9
        assert row("quality", "models", direction)["coverage"] >= 0.85
        assert row("cost", "ours", direction)["coverage"] >= 0.9
        assert row("quality", "naive", direction)["coverage"] < 0.5
        if explore:
            models, envelope = (
                row("quality", method, direction)["interval_score"] for method in ("models", "envelope")
            )
            assert models < 0.85 * envelope
        assert row("quality", "replay", direction)["coverage"] >= 0.85


def test_replays_prove_what_they_say_in_narrower_intervals_than_plain_ones(scored: Scored) -> None:
    rows = summary(run(scored, Protocol(0.05, replays=100), range(60)))

    def row(measure: str, method: str) -> dict[str, float]:
        found = [one for one in rows if (one["target"], one["colour"]) == ("all", "all")]
        both = [one for one in found if (one["measure"], one["method"]) == (measure, method)]
        weight = sum(one["shown"] for one in both)
        return {name: sum(one["shown"] * one[name] for one in both) / weight for name in ("coverage", "bias", "width")}

    for measure in ("quality", "cost"):
        assert row(measure, "proof")["coverage"] >= 0.94
        assert abs(row(measure, "proof")["bias"]) <= 0.003
    assert row("quality", "proof")["width"] <= 0.9 * row("quality", "replay")["width"]


def test_a_fifth_of_labels_is_enough_for_wider_intervals(scored: Scored) -> None:
    full, fifth = (
        next(one for one in summary(run(scored, Protocol(0.1, share), range(6))) if one["method"] == "models")
        for share in (1.0, 0.2)
    )
    assert fifth["width"] > full["width"]
    assert fifth["coverage"] >= 0.8


def test_categories_can_be_the_features(scored: Scored) -> None:
    trials = run(scored, Protocol(0.1, by_category=True), [0])
    assert {trial.direction for trial in trials} == {"cheaper", "stronger"}


def test_the_command_prints_what_other_programs_rely_on(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as done:
        main(["backtest", str(folder), "--tiers", "small,large", "--resamples", "2", "--json"])
    assert done.value.code == 0
    captured = capsys.readouterr()
    rows = json.loads(captured.out)
    assert {"target", "direction", "measure", "method", "bias", "coverage", "width", "colour", "n"} <= rows[0].keys()
    assert {row["method"] for row in rows} == {"ours", "models", "envelope", "naive", "replay"}
    assert {row["measure"] for row in rows} == {"cost", "quality"}
    assert "assumed" in captured.err  # nobody sells models of these names


def test_how_many_work_on_it_makes_no_difference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for workers in ("1", "2"):
        with pytest.raises(SystemExit) as done:
            main(
                ["backtest", str(folder), "--tiers", "small,large", "--resamples", "6", "--workers", workers, "--json"]
            )
        assert done.value.code == 0
        said.append(capsys.readouterr().out)
    assert said[0] == said[1]


def test_the_command_back_tests_trials_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def ran(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as done:
            main(["backtest", str(folder), "--tiers", "small,large", "--resamples", "2", *arguments])
        captured = capsys.readouterr()
        return int(done.value.code or 0), captured.out, captured.err

    code, out, _ = ran("--trial", "30", "--json")
    assert code == 0
    assert {row["method"] for row in json.loads(out)} == {"proof", "replay"}
    code, out, err = ran("--trial", "30")
    assert code == 0
    assert "trials in" in err
    assert "proof" in out
    for arguments, sentence in ((("--trial", "3"), "10 at least, not 3"), (("--trial", "900"), "ask for fewer")):
        code, _, err = ran(*arguments)
        assert code == 2
        assert sentence in err


def test_without_tiers_the_cheapest_and_the_best_are_taken(folder: Path) -> None:
    assert read_outcomes(folder, at_ms=NOW_MS).models == ("small", "large")


def test_what_is_missing_is_left_out_or_estimated_and_said(folder: Path, tmp_path: Path) -> None:
    prompts, answers = (pd.read_parquet(folder / f"{name}.parquet") for name in ("prompts", "responses"))
    answers.loc[(answers["prompt_id"] == "p1") & (answers["model"] == "small"), "quality"] = None
    answers["output_tokens"] = answers["output_tokens"].where(answers.index % 2 == 0)
    prompts.to_parquet(tmp_path / "prompts.parquet")
    answers.to_parquet(tmp_path / "responses.parquet")
    outcomes = read_outcomes(tmp_path, MODELS, at_ms=NOW_MS)
    assert len(outcomes) == 1599
    said = " ".join(outcomes.notes)
    assert "1 prompts that not all" in said
    assert "50% of the answers have no output tokens" in said
    assert (outcomes.output_tokens > 0).all()


@pytest.mark.parametrize(
    ("tiers", "sentence"),
    [
        (("small", "lagre"), "did you mean 'large'"),
        (("small",), "at least two models"),
        (("small", "small"), "names a model twice"),
    ],
)
def test_tiers_that_cannot_be_are_refused(folder: Path, tiers: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        read_outcomes(folder, tiers, at_ms=NOW_MS)


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not there"):
        read_outcomes(tmp_path, at_ms=NOW_MS)
    with pytest.raises(InputError, match="not a folder"):
        read_outcomes(tmp_path / "nothing", at_ms=NOW_MS)
    (tmp_path / "prompts.parquet").write_bytes(b"nonsense")
    with pytest.raises(InputError, match="cannot be read as Parquet"):
        read_outcomes(tmp_path, at_ms=NOW_MS)


def test_too_few_prompts_are_refused(folder: Path) -> None:
    outcomes = read_outcomes(folder, MODELS, at_ms=NOW_MS)
    with pytest.raises(InputError, match="at least 500"):
        score_outcomes(outcomes.take(np.arange(800)), seed=0)
