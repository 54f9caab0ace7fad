"""`tierwise import`, `export` and `reconcile` as a person types them."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from imports import as_csv, spend_log

from router_core.cli import main
from router_core.ledger.queries import spend, window
from router_core.ledger.store import open_ledger

Run = Callable[..., tuple[int, str, str]]
ROWS = [spend_log(number) for number in range(1, 6)]


@pytest.fixture
def run(db_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `tierwise ...` on a ledger of this test, in a folder of this test; gives code, output and error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([*arguments, "--db", str(db_path)])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


def test_a_log_is_imported_and_told_about(run: Run, tmp_path: Path, db_path: Path) -> None:
    (tmp_path / "log.csv").write_text(as_csv([*ROWS, {**ROWS[0], "spend": "lots"}]))
    code, out, err = run("import", "litellm", "log.csv")
    assert code == 0
    assert out.splitlines() == [
        "LiteLLM SpendLogs (CSV): 6 rows read, 5 loaded, 0 already there.",
        "1 row could not be used; see log.csv.rejects.jsonl.",
        "They are 5 requests with 5 calls.",
        "100.0 % of calls priced, $0.001330 at list; $0.000615 as the source reports it.",
        "They are from 2026-11-20 10:00 to 2026-11-20 10:00 UTC.",
    ]
    assert err == "tierwise: log.csv, line 7: spend is 'lots', not a number\n"
    with open_ledger(db_path) as ledger:  # and the pages show it at once
        assert spend(ledger, ())[0].list_cost_nusd == 1_330_000


def test_the_format_may_be_left_out_and_json_asked_for(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(as_csv(ROWS))
    code, out, _ = run("import", "log.csv", "--json")
    assert code == 0
    report = json.loads(out)
    assert (report["rows"], report["loaded"], report["list_cost_nusd"]) == (5, 5, 1_330_000)
    assert (report["priced_share"], report["rejects_file"]) == (1.0, None)


def test_standard_input_is_read(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Piped:
        buffer = io.BytesIO(as_csv(ROWS).encode())

    monkeypatch.setattr(sys, "stdin", Piped())
    assert "5 rows read, 5 loaded" in run("import", "auto", "-")[1]


def test_a_file_of_nothing_but_bad_rows_is_a_mistake(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(as_csv([{**row, "spend": "lots"} for row in ROWS]))
    assert run("import", "log.csv")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("import", "nothing.csv"), "tierwise: nothing.csv: the file cannot be read: No such file or directory"),
        (("import", "langfus", "log.csv"), "tierwise: there is no format 'langfus'; did you mean 'langfuse'?"),
        (
            ("export", "focus", "out.csv", "--since", "soon"),
            "tierwise: --since 'soon' is not a day; write 2026-01-31, today, yesterday or 7d",
        ),
        (("reconcile", "log.csv"), "tierwise: log.csv: this is LiteLLM SpendLogs (CSV); give a cost report of OpenAI"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_with_2(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    (tmp_path / "log.csv").write_text(as_csv(ROWS))
    run("import", "log.csv")
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(told)
    assert len(err.splitlines()) == 1


def test_the_zone_of_a_configuration_counts_the_days_of_a_new_ledger(run: Run, tmp_path: Path, db_path: Path) -> None:
    from conftest import ROOT

    text = (ROOT / "data" / "config.yaml").read_text().replace("timezone: UTC", "timezone: Asia/Tokyo")
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "log.csv").write_text(as_csv(ROWS))
    run("import", "log.csv", "--config", "config.yaml")
    with open_ledger(db_path) as ledger:
        assert window(ledger).timezone == "Asia/Tokyo"


def test_exports_say_what_they_hold(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(as_csv(ROWS))
    run("import", "log.csv")
    code, out, _ = run("export", "csv", "spend.csv", "--by", "day,model")
    assert code == 0
    lines = out.splitlines()
    assert lines[:2] == [
        "spend.csv: 1 row of spend by day, model (CSV), the first day to the last day.",
        "Total $0.00133 at list.",
    ]
    assert lines[2].startswith("sha256 ")
    statement = json.loads(run("export", "focus", "focus.csv", "--json", "--since", "2026-11-20")[1])
    assert (statement["rows"], statement["list_cost_nusd"], statement["since"]) == (3, 1_330_000, "2026-11-20")
    code, out, err = run("export", "jsonl", "-")
    assert [json.loads(line)["feature"] for line in out.splitlines()] == ["faq"] * 5
    assert "standard output: 5 rows of decisions (JSON lines)" in err


def test_an_invoice_is_set_against_the_ledger(run: Run, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(as_csv(ROWS))
    (tmp_path / "bill.csv").write_text("day,model,cost\n2026-11-20,gpt-4.1-mini,0.00133\n2026-11-20,o3,2\n")
    run("import", "log.csv")
    code, out, err = run("reconcile", "bill.csv")
    assert code == 0
    assert "o3" in out
    assert "none of these calls came through here" in out
    assert "gpt-4.1-mini" not in out
    assert err == "1 of 2 lines agree. --all shows them.\n"
    result = json.loads(run("reconcile", "bill.csv", "--json")[1])
    assert (result["metered_nusd"], result["billed_nusd"], result["difference_nusd"]) == (
        1_330_000,
        2_001_330_000,
        2_000_000_000,
    )
    assert [line["agrees"] for line in result["lines"]] == [True, False]


def test_a_reader_that_goes_away_is_no_failure(db_path: Path, tmp_path: Path, run: Run) -> None:
    (tmp_path / "log.csv").write_text(as_csv([spend_log(number) for number in range(3000)]))
    run("import", "log.csv")
    command = [
        sys.executable,
        "-c",
        "from router_core.cli import main; main()",
        "export",
        "jsonl",
        "-",
        "--db",
        str(db_path),
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert b"Traceback" not in process.stderr.read()
