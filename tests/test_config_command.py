"""`tierwise config` shows, checks, compares, pushes and rolls back; mistakes are one sentence and exit code 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from router_core.cli import main
from router_core.config import data_dir, default_config, dump_config, parse_config, set_values

Run = Callable[..., tuple[int, str, str]]
SHIPPED = (data_dir() / "config.yaml").read_text(encoding="utf-8")


@pytest.fixture
def run(db_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `tierwise config ...` on a ledger of this test; returns exit code, standard output and error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        takes_db = arguments[0] != "validate"
        with pytest.raises(SystemExit) as ended:
            main(["config", *arguments, *(["--db", str(db_path)] if takes_db else [])])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def edited(tmp_path: Path) -> str:
    path = tmp_path / "edited.yaml"
    path.write_text(SHIPPED.replace("score_min: 75", "score_min: 70"), encoding="utf-8")
    return str(path)


def asked(result: tuple[int, str, str]) -> Any:
    code, out, err = result
    assert code == 0, err
    return json.loads(out)


def test_push_history_and_rollback_walk_the_versions(run: Run, edited: str) -> None:
    pushed = asked(run("push", edited, "--note", "cheaper", "--author", "ada", "--json"))
    assert (pushed["version"], pushed["author"], pushed["note"]) == (2, "ada", "cheaper")
    assert pushed["changes"] == [{"path": "tiers.COMPLEX.score_min", "old": 75, "new": 70}]
    assert asked(run("rollback", "1", "--note", "complaints", "--json"))["version"] == 3
    listed = asked(run("history", "--json"))
    assert [one["version"] for one in listed] == [1, 2, 3]
    assert [one["note"] for one in listed][1:] == ["cheaper", "back to version 1: complaints"]
    assert listed[2]["changes"] == [{"path": "tiers.COMPLEX.score_min", "old": 70, "new": 75}]


def test_what_is_shown_can_be_edited_and_pushed_again(run: Run, edited: str) -> None:
    run("push", edited)
    code, out, _ = run("show")
    assert code == 0
    assert out.startswith("# version 2, ")
    assert parse_config(out).boundaries() == (0, 45, 70, 92)
    assert asked(run("show", "--version", "1", "--json"))["config"] == default_config().model_dump(mode="json")


def test_pushing_what_is_live_already_makes_no_version(run: Run, edited: str) -> None:
    run("push", edited)
    code, out, _ = run("push", edited)
    assert (code, out) == (0, "Version 2 is live already and says the same; nothing was pushed.\n")
    assert len(asked(run("history", "--json"))) == 2


def test_versions_and_files_can_be_compared(run: Run, edited: str) -> None:
    run("push", edited)
    line = "tiers.COMPLEX.score_min: 75 -> 70\n"
    assert run("diff", "1", "2")[1] == line
    assert run("diff", "1")[1] == line
    assert run("diff", str(data_dir() / "config.yaml"), edited)[1] == line
    assert asked(run("diff", "2", edited, "--json")) == []
    assert run("diff", "2", edited)[2] == "Nothing differs.\n"


def test_a_good_file_is_told_good(run: Run, edited: str) -> None:
    assert (
        "can be used: SIMPLE from 0, MEDIUM from 45, COMPLEX from 70, REASONING from 92." in run("validate", edited)[1]
    )
    assert asked(run("validate", edited, "--json"))["tiers"]["COMPLEX"] == 70


def test_people_read_history_with_its_changes(run: Run, edited: str) -> None:
    run("push", edited, "--note", "cheaper", "--author", "ada")
    _, out, _ = run("history")
    assert "ada, live  cheaper" in out
    assert "     tiers.COMPLEX.score_min: 75 -> 70" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("validate", "{bad}"), "tierwise: line 13: boundaries cross: COMPLEX starts at 30, below MEDIUM at 45"),
        (("push", "{bad}"), "boundaries cross"),
        (("validate", "nowhere.yaml"), "cannot read the configuration 'nowhere.yaml'"),
        (("show", "--version", "9"), "there is no configuration version 9; there are versions 1 to 1"),
        (("rollback", "1"), "version 1 is live already"),
        (("diff", "7"), "there is no configuration version 7"),
        (("push", "{edited}", "--expected", "4"), "this draft starts from version 4, but version 1 is live now"),
    ],
)
def test_a_mistake_exits_2_with_one_sentence(
    run: Run, edited: str, tmp_path: Path, arguments: tuple[str, ...], sentence: str
) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(SHIPPED.replace("score_min: 75", "score_min: 30"), encoding="utf-8")
    run("push", str(data_dir() / "config.yaml"))
    code, out, err = run(*(word.format(bad=bad, edited=edited) for word in arguments))
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("cascade.checks=[{lenght: {}}]", "cascade.checks.0: unknown check 'lenght'; choose one of callback,"),
        ("cascade.checks=[{length: {minimum: 3}}]", "unknown setting 'minimum'; did you mean 'min'?"),
        ("cascade.checks=[{json_schema: {type: objekt}}]", "the schema is not valid: 'objekt'"),
        ("rules=[{when: {keywords: ['']}, tier: SIMPLE}]", "rules.0.when.keywords.0 is empty"),
    ],
)
def test_what_no_gateway_could_serve_is_refused_before_it_is_pushed(
    run: Run, tmp_path: Path, setting: str, sentence: str
) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text(dump_config(set_values(default_config(), [setting])), encoding="utf-8")
    for verb in ("validate", "push"):
        code, out, err = run(verb, str(file))
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert sentence in err


def test_asking_where_there_is_no_ledger_does_not_make_one(run: Run, db_path: Path) -> None:
    code, _, err = run("show")
    assert code == 2
    assert "there is no ledger at" in err
    assert not db_path.exists()
