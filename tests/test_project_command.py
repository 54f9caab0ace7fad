"""`tierwise project` and `tierwise suggest`: shapes other programs rely on, exit codes, sentences for mistakes."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from commands import Run

from router_core.demo import fill
from router_core.ledger.store import open_ledger

NOW_MS = round(datetime(2026, 11, 23, 15, 20, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("project") / "demo.db"
    with open_ledger(path) as ledger:
        fill(ledger, decisions=20_000, seed=2, now_ms=NOW_MS)
    return path


def projected(run: Run, db: Path, *settings: str) -> dict[str, Any]:
    options = [part for setting in settings for part in ("--set", setting)]
    code, out, _ = run("project", "--db", str(db), "--json", *options)
    assert code == 0
    found: dict[str, Any] = json.loads(out)
    return found


def test_nothing_set_changes_exactly_nothing(run: Run, db: Path) -> None:
    found = projected(run, db)
    assert found["cost_nusd"]["change"] == 0
    assert found["quality"]["change"] == 0
    assert found["decisions"] == 20_000
    assert found["window"]["days"] == 30


def test_a_moved_boundary_has_the_shape_others_rely_on(run: Run, db: Path) -> None:
    found = projected(run, db, "boundaries.MEDIUM=55")
    assert list(found["window"]) == ["since", "until", "days"]
    for name in ("cost_nusd", "quality"):
        assert list(found[name]) == ["logged", "projected", "change", "low", "high"]
    assert list(found["saving_share"]) == ["value", "low", "high"]
    assert {"unsupported_share", "colour"} <= found["support"].keys()
    assert list(found["controls"]) == ["all_cheapest", "all_strongest", "shuffled"]
    assert isinstance(found["cost_nusd"]["change"], int)
    assert found["cost_nusd"]["change"] < 0
    assert {part["feature"] for part in found["by_feature"]} >= {"support_chat", "contract_review"}
    cheapest, strongest = found["controls"]["all_cheapest"], found["controls"]["all_strongest"]
    assert cheapest["cost_nusd"]["projected"] < found["cost_nusd"]["projected"] < strongest["cost_nusd"]["projected"]
    assert found["notes"] == []


def test_a_window_of_days_is_kept_to(run: Run, db: Path) -> None:
    code, out, _ = run("project", "--db", str(db), "--days", "7", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["window"]["days"] == 7
    assert 0 < found["decisions"] < 10_000


def test_people_get_a_table_and_the_controls(run: Run, db: Path) -> None:
    code, out, _ = run("project", "--db", str(db), "--set", "boundaries.COMPLEX=88")
    assert code == 0
    for word in ("cost, $", "saving", "quality", "all cheapest", "shuffled", "without support"):
        assert word in out


def test_ci_fails_under_a_quality_that_may_not_be_reached(run: Run, db: Path) -> None:
    assert run("project", "--db", str(db), "--set", "boundaries.MEDIUM=55", "--fail-under", "0.5")[0] == 0
    code, _, err = run("project", "--db", str(db), "--set", "boundaries.COMPLEX=90", "--fail-under", "0.99")
    assert code == 1
    assert "below 0.99" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--set", "boundaries.COMPLEXX=70"], "did you mean 'COMPLEX'"),
        (["--set", "boundaries.COMPLEX"], "not PATH=VALUE"),
        (["--set", "boundaries.COMPLEX=10"], "boundaries cross"),
        (["--fail-under", "7"], "between 0 and 1"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_2(run: Run, db: Path, arguments: list[str], sentence: str) -> None:
    code, out, err = run("project", "--db", str(db), *arguments)
    assert code == 2
    assert sentence in err
    assert "Traceback" not in out + err


def test_an_empty_ledger_says_how_to_fill_it(run: Run, tmp_path: Path) -> None:
    with open_ledger(tmp_path / "empty.db"):
        pass
    code, _, err = run("project", "--db", str(tmp_path / "empty.db"))
    assert code == 2
    assert "holds no traffic yet" in err


def test_suggestions_can_be_tried_as_they_stand(run: Run, db: Path) -> None:
    code, out, _ = run("suggest", "--db", str(db), "--quality-floor", "0.9", "--json")
    assert code == 0
    found = json.loads(out)
    assert all(one["quality_low"] >= 0.9 for one in found["features"] if one["changed"])
    assert "contract_review" not in {one["feature"] for one in found["features"]}  # pinned
    tried = projected(run, db, *found["settings"])
    assert tried["cost_nusd"] == found["projection"]["cost_nusd"]
    costs = [point["cost_change_nusd"] for point in found["frontier"]]
    assert costs == sorted(costs)


def test_a_feature_keeps_its_own_floor(run: Run, db: Path) -> None:
    code, out, _ = run(
        "suggest", "--db", str(db), "--quality-floor", "0.8", "--quality-floor", "support_chat=0.93", "--json"
    )
    assert code == 0
    found = {one["feature"]: one for one in json.loads(out)["features"]}
    assert (found["support_chat"]["floor"], found["support_chat"]["floor_of"]) == (0.93, "feature")
    assert (found["email_drafts"]["floor"], found["email_drafts"]["floor_of"]) == (0.8, "configuration")
    assert all(one["quality_low"] >= one["floor"] for one in found.values() if one["changed"])


@pytest.mark.parametrize(
    ("floor", "said"),
    [
        ("90", "between 0 and 1"),
        ("support_chat=high", "between 0 and 1"),
        ("suport_chat=0.9", "did you mean 'support_chat'"),
    ],
)
def test_a_floor_that_is_none_is_refused(floor: str, said: str, run: Run, db: Path) -> None:
    code, _, err = run("suggest", "--db", str(db), "--quality-floor", floor)
    assert code == 2
    assert said in err
