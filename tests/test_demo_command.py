"""`tierwise demo` fills an empty ledger, sums it up, says so, and leaves every other ledger alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from router_core.cli import main
from router_core.config import default_config
from router_core.demo import fill, truth
from router_core.ledger.queries import spend, window
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger
from router_core.lifecycle import versions

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(db_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `tierwise demo ...` on a ledger of this test; returns exit code, standard output and error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["demo", "--db", str(db_path), *arguments])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def test_a_demo_made_just_after_midnight_says_which_days_hold_requests(db_path: Path) -> None:
    midnight = datetime(2026, 11, 24, tzinfo=UTC)
    with open_ledger(db_path) as ledger:
        report = fill(ledger, decisions=300, days=7, seed=1, now_ms=round(midnight.timestamp() * 1000) + 60_000)
        refresh(ledger)
        shown = window(ledger)
    assert (report.first_day, report.last_day) == (str(shown.first_day), str(shown.last_day))
    assert report.last_day == "2026-11-23"


def test_an_empty_ledger_is_filled_and_summed_up(run: Run, db_path: Path) -> None:
    code, out, _ = run("--decisions", "2000", "--days", "7", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["decisions"], told["demo"], told["filled"]) == (2000, True, True)
    assert len(truth(told["truth"])) == 2000
    with open_ledger(db_path, create=False) as ledger:
        shown = window(ledger)
        (total,) = spend(ledger, by=[], since=None, until=None)
    assert (shown.decisions, shown.is_demo) == (2000, True)
    assert (str(shown.first_day), str(shown.last_day)) == (told["first_day"], told["last_day"])
    assert (total.list_cost_nusd, total.decisions) == (told["cost_nusd"], 2000)


def test_people_are_told_it_is_simulated_and_where_to_look(run: Run, db_path: Path) -> None:
    code, out, _ = run("--decisions", "500")
    assert code == 0
    assert out.startswith("500 simulated requests from ")
    assert f"tierwise dashboard --db {db_path}" in out


def test_if_empty_fills_once_and_then_leaves_the_ledger_alone(run: Run, db_path: Path) -> None:
    assert json.loads(run("--decisions", "300", "--if-empty", "--json")[1])["filled"]
    code, out, err = run("--decisions", "300", "--if-empty", "--json")
    assert (code, json.loads(out)["filled"]) == (0, False)
    assert "holds something already, so no demo was added" in err
    with open_ledger(db_path, create=False) as ledger:
        assert window(ledger).decisions == 300


def test_filling_twice_exits_2_with_one_sentence(run: Run) -> None:
    run("--decisions", "300")
    code, out, err = run("--decisions", "300")
    assert (code, out) == (2, "")
    assert err == (
        "tierwise: this ledger holds simulated traffic already, and the demo fills only an empty one; "
        "give another --db\n"
    )


def test_a_ledger_of_ones_own_is_left_alone(run: Run, db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        versions.push(ledger, default_config(), author="ada", note="mine")
    code, _, err = run()
    assert code == 2
    assert "holds decisions or a configuration of your own" in err
    assert run("--if-empty")[0] == 0


@pytest.mark.parametrize("words", [("--decisions", "0"), ("--days", "0"), ("--decisions", "many")])
def test_impossible_numbers_exit_2(run: Run, words: tuple[str, ...], db_path: Path) -> None:
    assert run(*words)[0] == 2
    assert not db_path.exists()


def test_a_file_that_is_no_ledger_is_left_as_it_is(run: Run, db_path: Path) -> None:
    db_path.write_text("precious")
    code, _, err = run()
    assert code == 2
    assert "is not a Tierwise ledger" in err
    assert db_path.read_text() == "precious"


def test_without_a_terminal_nothing_but_the_result_is_printed(db_path: Path) -> None:
    ended = subprocess.run(
        [str(Path(sys.executable).parent / "tierwise"), "demo", "--decisions", "200", "--json", "--db", str(db_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TERM": "dumb"},
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert json.loads(ended.stdout)["decisions"] == 200
