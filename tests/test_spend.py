"""`tierwise spend` and `tierwise rollup`: exact for programs, a table for people, and one sentence for mistakes."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from decisions import a_decision, traffic

from router_core.cli import main
from router_core.ledger.spool import Spool
from router_core.ledger.store import open_ledger
from router_core.ledger.writer import default_spool

DECISIONS = list(traffic(800, seed=13))


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spend") / "ledger.db"
    with open_ledger(path) as ledger:
        ledger.write_decisions(DECISIONS)
    return path


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def tierwise(*arguments: str | Path) -> Done:
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())


def spend(*arguments: str | Path) -> dict[str, Any]:
    done = tierwise("spend", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_spend_as_json_is_exact_and_adds_up(db: Path) -> None:
    found = spend("--by", "tier,model", "--db", db)
    calls = [(one, call) for one in DECISIONS for call in one.attempts]
    assert found["by"] == ["tier", "model"]
    for line in found["lines"]:
        mine = [call for one, call in calls if (one.tier, call.model) == (line["tier"], line["model"])]
        assert line["list_cost_nusd"] == sum(call.list_cost_nusd or 0 for call in mine)
        assert line["attempts"] == len(mine)
    for name in ("decisions", "attempts", "list_cost_nusd", "input_tokens", "labelled", "quality_ppm_sum"):
        assert found["total"][name] == sum(line[name] for line in found["lines"])
    assert found["total"]["decisions"] == len(DECISIONS)
    assert sum(line["spend_share"] for line in found["lines"]) == pytest.approx(1)
    assert found["total"]["spend_share"] == 1
    assert 0.9 < found["total"]["priced_share"] < 1
    assert found["total"]["p95_ms"] > found["total"]["p50_ms"] > 0


def test_spend_within_days_counts_those_days_only(db: Path) -> None:
    found = spend("--by", "day", "--since", "2026-03-03", "--until", "2026-03-04", "--db", db)
    assert [line["day"] for line in found["lines"]] == ["2026-03-03", "2026-03-04"]
    assert (found["since"], found["until"], found["timezone"], found["demo"]) == (
        "2026-03-03",
        "2026-03-04",
        "UTC",
        False,
    )
    expected = sum(86_400_000 * 20_515 <= one.decided_at_ms < 86_400_000 * 20_517 for one in DECISIONS)
    assert found["total"]["decisions"] == expected


def test_days_without_traffic_give_no_lines_and_no_total(db: Path) -> None:
    found = spend("--since", "2030-01-01", "--db", db)
    assert (found["lines"], found["total"]) == ([], None)
    done = tierwise("spend", "--since", "2030-01-01", "--db", db)
    assert (done.returncode, done.stdout) == (0, "")
    assert "no traffic" in done.stderr


def test_spend_as_a_table_names_every_tier_and_a_total(db: Path) -> None:
    done = tierwise("spend", "--db", db)
    assert done.returncode == 0
    for word in ("SIMPLE", "MEDIUM", "COMPLEX", "REASONING", "total", "cost, $", "quality", "priced"):
        assert word in done.stdout
    assert "(none)" in tierwise("spend", "--by", "team", "--db", db).stdout


def test_decisions_left_in_the_spool_and_late_ones_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_ledger(path) as ledger:
        ledger.write_decisions([a_decision()])
        Spool(default_spool(ledger), 10**6).append([a_decision()])
        assert spend("--db", path)["total"]["decisions"] == 2
        ledger.write_decisions([a_decision()])
        assert spend("--db", path)["total"]["decisions"] == 3


def test_rollup_says_what_it_did_and_a_rebuild_changes_nothing(db: Path) -> None:
    before = spend("--by", "day,tier,model,kind", "--db", db)
    done = tierwise("rollup", "--rebuild", "--json", "--db", db)
    report = json.loads(done.stdout)
    assert report["days"] == 11
    assert report["cells"] > 0
    assert spend("--by", "day,tier,model,kind", "--db", db) == before
    assert "summed already" in tierwise("rollup", "--db", db).stdout


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--by", "teir"], "did you mean 'tier'"),
        (["--since", "last week"], "write 2026-01-31, today, yesterday or 7d"),
        (["--since", "2026-03-04", "--until", "2026-03-03"], "is after"),
        (["--by", "tier,tier"], "asked for twice"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(db: Path, arguments: list[str], sentence: str) -> None:
    done = tierwise("spend", *arguments, "--db", db)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_what_is_not_a_ledger_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not a ledger")
    for verb in ("spend", "rollup"):
        for path in (text, tmp_path / "missing.db", tmp_path):
            done = tierwise(verb, "--db", path)
            assert done.returncode == 2
            assert len(done.stderr.strip().splitlines()) == 1
            assert "Traceback" not in done.stderr
