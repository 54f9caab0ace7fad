"""`tierwise scenario` saves what-ifs by name and sets them side by side."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from commands import Run, asked

from router_core.demo import fill
from router_core.ledger.store import open_ledger
from router_core.lifecycle import scenarios

NOW = round(datetime(2026, 11, 23, 15, 20, tzinfo=UTC).timestamp() * 1000)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("scenario") / "demo.db"
    with open_ledger(path) as ledger:
        fill(ledger, decisions=5_000, seed=6, now_ms=NOW)
    return path


@pytest.fixture
def run(run: Run, db: Path) -> Run:
    return lambda *arguments: run("scenario", *arguments, "--db", str(db))


def test_scenarios_are_saved_listed_compared_and_removed(run: Run, db: Path) -> None:
    assert run("list")[1:] == ("", "No scenario is saved yet.\n")
    code, _, err = run("compare")
    assert (code, err.strip()) == (
        2,
        "tierwise: no scenario is saved yet; save one with 'tierwise scenario save NAME ...'",
    )
    assert run("save", "cheaper", "--set", "boundaries.MEDIUM=60", "--note", "more on SIMPLE")[0] == 0
    everything = (
        *("--set", "boundaries.COMPLEX=85", "--prices-at", "2026-10-01", "--price", "gpt-5.2=1.00/10"),
        *("--price", "gpt-4.1=-20%", "--swap", "REASONING=claude-opus-4-5*1.2", "--grow", "20%"),
        *("--grow", "support_chat=-50%", "--cache-ttl", "search_summaries=86400", "--batch", "email_drafts=50%"),
    )
    assert run("save", "everything", *everything)[0] == 0
    listed = asked(run("list", "--json"))
    assert [one["name"] for one in listed] == ["cheaper", "everything"]
    assert listed[1]["growth"] == {"*": 0.2, "support_chat": -0.5}
    assert listed[1]["prices"] == {"gpt-5.2": {"input": 1.0, "output": 10.0}, "gpt-4.1": {"change": -0.2}}
    assert listed[1]["swaps"] == {"REASONING": {"model": "claude-opus-4-5", "verbosity": 1.2}}
    assert listed[1]["cache_ttl"] == {"search_summaries": 86400}
    assert "cheaper  20" in run("list")[1]

    compared = asked(run("compare", "everything", "cheaper", "--json"))
    assert [one["name"] for one in compared] == ["everything", "cheaper"]
    both, cheaper = compared
    assert cheaper["cost_nusd"]["change"] < 0
    assert cheaper["cost_nusd"]["logged"] == both["cost_nusd"]["logged"]
    assert both["quality"]["projected"] is None
    assert both["decisions"] != cheaper["decisions"] == 5_000
    assert any("search_summaries keeps answers for 86,400 s (3,600 s now)" in said for said in both["assumptions"])
    _, out, _ = run("compare")
    assert "as logged" in out
    assert out.index("cheaper") < out.index("everything")
    assert "The configuration has boundaries.MEDIUM=60." in out

    assert run("save", "cheaper", "--set", "boundaries.MEDIUM=50")[0] == 0
    with open_ledger(db) as ledger:
        assert [one.scenario.settings for one in scenarios.saved(ledger)] == [
            ("boundaries.MEDIUM=50",),
            ("boundaries.COMPLEX=85",),
        ]
    assert run("remove", "everything")[0] == 0
    assert [one["name"] for one in asked(run("list", "--json"))] == ["cheaper"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("save", "x", "--grow", "-150%"), "traffic of every feature cannot shrink by 150%: less than nothing is left"),
        (("save", "x", "--grow", "lots"), "--grow has 'lots', which is not a percentage such as 20%"),
        (("save", "x", "--price", "gpt-4.1"), "--price gpt-4.1 is not NAME=VALUE"),
        (("save", "x", "--price", "gpt-4.1=a/b"), "--price has 'a/b', which is not IN/OUT such as 2.50/10"),
        (("save", "x", "--swap", "MEDIUM=m*much"), "swaps.MEDIUM.verbosity"),
        (("save", "x", "--cache-ttl", "soon"), "cache_ttl.*"),
        (("save", "x", "--batch", "a=10%", "--batch", "a=20%"), "--batch names 'a' twice"),
        (("save", "x", "--prices-at", "soon"), "prices_at"),
        (("save", "x", "--set", "boundaries.MEDIUM=101"), "score_min"),
        (("compare", "nobody"), "scenario"),
        (("remove", "nobody"), "there is no scenario 'nobody'"),
    ],
)
def test_a_mistake_is_one_sentence(arguments: tuple[str, ...], sentence: str, run: Run) -> None:
    import re

    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert re.search(sentence, err) or sentence in err
    assert err.count("\n") == 1


def test_a_scenario_that_does_not_fit_the_log_is_named(run: Run) -> None:
    assert run("save", "stray", "--grow", "nobody=10%")[0] == 0
    code, out, err = run("compare", "stray")
    assert (code, out) == (2, "")
    assert err.startswith("tierwise: scenario 'stray': there is no traffic of a feature 'nobody' in this window")
    assert run("remove", "stray")[0] == 0
