"""`tierwise prices` lists what holds, appends dated prices and never rewrites one."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import Run, asked

from router_core.config import default_config
from router_core.ledger.price_rows import read_prices
from router_core.ledger.store import open_ledger
from router_core.lifecycle import versions


@pytest.fixture
def run(run: Run, db_path: Path) -> Run:
    """Run `tierwise prices ...` on a ledger of this test."""
    with open_ledger(db_path) as ledger:
        versions.live(ledger)
    return lambda *arguments: run("prices", *arguments, "--db", str(db_path))


def test_the_prices_of_the_models_in_use_are_listed(run: Run) -> None:
    listed = asked(run("list", "--at", "2026-11-23", "--json"))
    assert {one["model"] for one in listed} == set(default_config().models)
    mini = next(one for one in listed if one["model"] == "gpt-4.1-mini")
    assert (mini["input"], mini["output"], mini["cache_read"], mini["layer"]) == ("0.4", "1.6", "0.1", "catalogue")
    assert "openai/gpt-4.1-mini" in run("list")[1]


def test_other_models_are_found_by_name_and_every_hour_and_size_is_shown(run: Run) -> None:
    rows = asked(run("list", "--provider", "deepseek", "--model", "v4-flash", "--at", "2026-11-23", "--json"))
    rows = [row for row in rows if (row["provider"], row["model"]) == ("deepseek", "deepseek-v4-flash")]
    assert [row["utc_minutes"] for row in rows] == [None, [60, 240], [360, 600]]
    assert len(asked(run("list", "--all", "--json"))) > 1000


def test_a_price_set_by_hand_holds_from_its_date_and_old_rows_stay(run: Run, db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        before = read_prices(ledger)
    added = asked(run("set", "openai", "gpt-4.1", "--input", "1.5", "--output", "6", "--from", "2026-07-01", "--json"))
    assert added["wins"]
    with open_ledger(db_path) as ledger:
        after = read_prices(ledger)
    assert after[: len(before)] == before
    assert len(after) == len(before) + 1
    for day, usd in (("2026-06-30", "2"), ("2026-07-01", "1.5")):
        (row,) = asked(run("list", "--provider", "openai", "--model", "gpt-4.1", "--at", day, "--json"))[:1]
        assert (row["model"], row["input"]) == ("gpt-4.1", usd)
    rows = asked(run("history", "openai", "gpt-4.1", "--at", "2026-07-02", "--json"))
    assert [(row["layer"], row["input"]) for row in rows if row["holds"]] == [("manual", "1.5")]
    assert (rows[0]["layer"], rows[0]["input"]) == ("catalogue", "2")


def test_a_price_that_a_higher_layer_covers_says_so(run: Run) -> None:
    run("set", "openai", "gpt-4.1", "--input", "1.5", "--output", "6", "--from", "2026-07-01")
    words = (
        "set",
        "openai",
        "gpt-4.1",
        "--input",
        "1.8",
        "--output",
        "7",
        "--from",
        "2026-08-01",
        "--layer",
        "contract",
    )
    assert not asked(run(*words, "--json"))["wins"]
    assert "the manual price from 2026-07-01 stands above it" in run(*words)[1]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("set openai gpt-4.1 --from 2026-07-01 --input -1", "a price cannot be negative"),
        ("set openai gpt-4.1 --from 2026-07-01 --input cheap", "is 'cheap', which is not a number"),
        ("set openai gpt-4.1 --from 2026-07-01 --input NaN", "which is not a number"),
        ("set openai gpt-4.1 --from 2026-07-01", "names neither 'input' nor 'output'"),
        ("set openai gpt-4.1 --from tomorrow --input 1", "'tomorrow' is not a date"),
        ("set openai gpt-4.1 --from 2026-07-01 --input 1 --layer top", "choose one of catalogue, contract, manual"),
        ("set openai gpt-4.1 --from 2026-07-01 --input 1 --layer catalogue", "the catalogue is not written by hand"),
        ("history openai gpt-0", "no price is known for 'gpt-0' at 'openai'"),
        ("list --at soon", "--at 'soon' is not a date"),
    ],
)
def test_a_mistake_exits_2_with_one_sentence(run: Run, words: str, sentence: str) -> None:
    code, out, err = run(*words.split())
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
