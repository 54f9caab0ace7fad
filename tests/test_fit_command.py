"""`tierwise fit` and `tierwise route`: what they print, keep and make live, and one sentence for every mistake."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pytest
from prompts import PromptMaker

from router_core.cli import main
from router_core.complexity.graded import read_graded
from router_core.errors import InputError

AT_MS = 1_764_000_000_000


@dataclass(frozen=True, slots=True)
class Ran:
    """What a command printed."""

    stdout: str
    stderr: str


class Tierwise(Protocol):
    def __call__(self, *arguments: str | Path, code: int = 0) -> Ran: ...


@pytest.fixture
def tierwise(capsys: pytest.CaptureFixture[str]) -> Tierwise:
    """Run the command, and see that it exits as expected."""

    def run(*arguments: str | Path, code: int = 0) -> Ran:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        ran = Ran(*capsys.readouterr())
        assert int(ended.value.code or 0) == code, ran.stderr
        return ran

    return run


def answers(count: int = 1_000, *, told: bool = True, seed: int = 1) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return made-up prompts and the graded answers of three models, the strong one helping with hard words."""
    maker = PromptMaker(seed)
    texts = maker.many(count, shortest=50, longest=70)
    hard = set(maker.hard_words)
    need = np.array([bool(hard & set(text.lower().split())) if told else True for text in texts])
    rng = np.random.default_rng(seed)
    ids = [f"{'maths' if index % 3 else 'law'}-{index}" for index in range(count)]
    prompts = pd.DataFrame({"prompt_id": ids, "prompt": texts, "category": "made up"})
    rates = {"small": 0.9 - 0.7 * need, "middle": np.full(count, 0.6), "large": np.full(count, 0.9)}
    parts = [
        pd.DataFrame({"prompt_id": ids, "model": model, "quality": (rng.random(count) < rate).astype(float)})
        for model, rate in rates.items()
    ]
    return prompts, pd.concat(parts, ignore_index=True)


def folder(path: Path, prompts: pd.DataFrame, responses: pd.DataFrame) -> Path:
    path.mkdir(exist_ok=True)
    prompts.to_parquet(path / "prompts.parquet")
    responses.to_parquet(path / "responses.parquet")
    return path


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("graded") / "answers", *answers())


def test_fit_prints_skill_beside_the_baselines_and_makes_a_good_scorer_live(
    tierwise: Tierwise, graded: Path, db_path: Path
) -> None:
    arguments = ("fit", graded, "--train-share", "0.5", "--cheap", "small", "--db", db_path)
    facts = json.loads(tierwise(*arguments, "--activate", "--json").stdout)
    version = facts["scorer"]["version"]
    assert {key: facts[key] for key in ("source", "cheap", "strong", "train", "test")} == {
        "source": "answers", "cheap": "small", "strong": "large", "train": 500, "test": 500,
    }  # fmt: skip
    assert [line["group"] for line in facts["skill"]] == ["all", "law", "maths"]
    for line in facts["skill"]:
        for name in ("gain", "random", "length", "rules"):
            assert line[name]["low"] < line[name]["apgr"] < line[name]["high"]
    assert facts["beats_baselines"] is facts["activated"] is True
    shown = json.loads(tierwise("config", "show", "--db", db_path, "--json").stdout)
    assert (shown["version"], shown["config"]["classifier"]["scorer"]) == (2, version)
    assert shown["note"] == facts["sentence"]

    prompts = db_path.with_name("prompts.jsonl")
    prompts.write_text(json.dumps({"prompt": PromptMaker(4).one(60), "prompt_id": "a"}) + "\n")
    (line,) = json.loads(tierwise("route", prompts, "--db", db_path, "--json").stdout)
    assert (line["prompt_id"], line["scorer"], line["stage"]) == ("a", version, "embedding")


def test_a_scorer_that_does_not_beat_the_baselines_is_kept_but_not_made_live(
    tierwise: Tierwise, tmp_path: Path, db_path: Path
) -> None:
    where = folder(tmp_path / "noise", *answers(400, told=False))
    arguments = ("fit", where, "--train-share", "0.5", "--cheap", "small", "--db", db_path, "--activate")
    run = tierwise(*arguments)
    assert "no better than" in run.stdout
    assert "It was not activated." in run.stderr
    shown = json.loads(tierwise("config", "show", "--db", db_path, "--json").stdout)
    assert (shown["version"], shown["config"]["classifier"]["scorer"]) == (1, None)


def test_fit_prints_a_table_for_people(tierwise: Tierwise, graded: Path) -> None:
    run = tierwise("fit", graded, "--train-share", "0.5", "--cheap", "small", "--strong", "large")
    lines = run.stdout.splitlines()
    assert lines[0] == "answers: small against large, 500 prompts to fit on."
    assert lines[1].split() == ["n", "gain", "random", "length", "rules"]
    assert lines[2].startswith("all")
    assert "beats random, length alone and the rules" in lines[-1]


def test_a_scale_is_mapped_to_ones_own_traffic_without_grades(
    tierwise: Tierwise, tmp_path: Path, db_path: Path
) -> None:
    file = tmp_path / "mine.jsonl"
    texts = PromptMaker(5).many(300, longest=100)
    file.write_text("".join(json.dumps({"prompt": text}) + "\n" for text in texts) + "nonsense\n")
    run = tierwise("fit", "--scale-only", file, "--db", db_path, "--activate", "--json")
    facts = json.loads(run.stdout)
    assert "line 301" in run.stderr
    assert facts["prompts"] == 300
    assert facts["scorer"]["from"] == "reference-1"
    assert facts["above_70"] == pytest.approx(0.3, abs=0.02)
    assert facts["activated"] is True
    lines = json.loads(tierwise("route", file, "--db", db_path, "--json", code=2).stdout)
    assert {line["scorer"] for line in lines} == {facts["scorer"]["version"]}
    assert {line["stage"] for line in lines} <= {"reference", "rules"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["fit"], "give either a folder of graded prompts to fit on, --from-log, or --scale-only"),
        (["fit", "nowhere"], "nowhere: is not a folder"),
        (["fit", "nowhere", "--activate"], "--activate needs --db"),
        (["fit", "--scale-only", "nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
        (["route", "nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
    ],
)
def test_a_mistake_is_one_sentence(tierwise: Tierwise, arguments: list[str], sentence: str) -> None:
    run = tierwise(*arguments, code=2)
    assert run.stderr.startswith("tierwise: ")
    assert sentence in run.stderr
    assert len(run.stderr.splitlines()) == 1


def spoilt(prompts: pd.DataFrame, responses: pd.DataFrame, what: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    changes: dict[str, Any] = {
        "column": lambda: (prompts.drop(columns="prompt"), responses),
        "twice": lambda: (pd.concat([prompts, prompts[:1]]), responses),
        "number": lambda: (prompts.assign(prompt=3), responses),
        "quality": lambda: (prompts, responses.assign(quality=1.5)),
        "words": lambda: (prompts, responses.assign(quality="good")),
        "one model": lambda: (prompts, responses[responses["model"] == "small"]),
    }
    result: tuple[pd.DataFrame, pd.DataFrame] = changes[what]()
    return result


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("column", r"prompts\.parquet: has no column 'prompt'; it needs prompt_id, prompt"),
        ("twice", r"prompts\.parquet: prompt_id 'law-0' stands there twice"),
        ("number", r"prompts\.parquet: has prompts that are not text"),
        ("quality", r"responses\.parquet: has a quality of 1\.5; it must be from 0 to 1"),
        ("words", r"responses\.parquet: has qualities that are not numbers"),
        ("one model", "fewer than two models"),
    ],
)
def test_tables_that_cannot_be_used_say_why(tmp_path: Path, what: str, sentence: str) -> None:
    where = folder(tmp_path / "spoilt", *spoilt(*answers(20), what))
    with pytest.raises(InputError, match=sentence):
        read_graded(where, at_ms=AT_MS)


def test_files_that_are_missing_or_not_parquet_say_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"prompts\.parquet: is not there"):
        read_graded(tmp_path, at_ms=AT_MS)
    (tmp_path / "prompts.parquet").write_text("prompt_id,prompt\n")
    with pytest.raises(InputError, match=r"prompts\.parquet: cannot be read as Parquet"):
        read_graded(tmp_path, at_ms=AT_MS)


def test_a_model_that_answered_nothing_is_named_with_a_suggestion(graded: Path) -> None:
    with pytest.raises(InputError, match="--strong names 'larg', which answered nothing here; did you mean 'large'"):
        read_graded(graded, at_ms=AT_MS, strong="larg")
    with pytest.raises(InputError, match="'large' would be both the cheap and the strong model"):
        read_graded(graded, at_ms=AT_MS, cheap="large")


def test_without_prices_the_cheap_model_is_the_weakest_and_with_prices_the_cheapest(tmp_path: Path) -> None:
    prompts, responses = answers(60)
    plain = read_graded(folder(tmp_path / "plain", prompts, responses), at_ms=AT_MS)
    assert (plain.strong, plain.cheap) == ("large", min(("small", "middle"), key=lambda name: _mean(responses, name)))
    named = {"small": "gemini-1.5-flash-002", "middle": "jamba-1.5-large", "large": "gemini-1.5-pro-002"}
    tokens = pd.Series([50.0, np.nan] * 90)  # some were not recorded
    priced = responses.assign(model=responses["model"].map(named), input_tokens=100, output_tokens=tokens)
    found = read_graded(folder(tmp_path / "priced", prompts, priced), at_ms=AT_MS)
    assert (found.cheap, found.strong) == ("gemini-1.5-flash-002", "gemini-1.5-pro-002")


def test_prompts_that_one_of_the_two_did_not_answer_are_left_out(tmp_path: Path) -> None:
    prompts, responses = answers(60)
    responses.loc[(responses["model"] == "large") & (responses["prompt_id"] == "law-0"), "quality"] = None
    responses = responses[~((responses["model"] == "small") & (responses["prompt_id"] == "maths-1"))]
    found = read_graded(folder(tmp_path / "gaps", prompts, responses), at_ms=AT_MS, cheap="small", strong="large")
    assert len(found) == 58
    assert found.prompts == tuple(prompts["prompt"][2:])
    assert found.groups[:4] == ("maths", "law", "maths", "maths")


def _mean(responses: pd.DataFrame, model: str) -> float:
    return float(responses.loc[responses["model"] == model, "quality"].mean())
