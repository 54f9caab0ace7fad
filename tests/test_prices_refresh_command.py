"""`tierwise prices refresh` shows what a newer list would change, and appends only what a person accepts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from price_lists import litellm, models_dev

from router_core.cli import main
from router_core.ledger.health import events
from router_core.ledger.price_rows import accept_changes, add_prices, read_prices
from router_core.ledger.store import open_ledger
from router_core.lifecycle.price_changes import price_changes
from router_core.prices import Price, PriceBook, cost_nusd
from router_core.prices.lists import parse_price_list
from router_core.projection.claims import shipped_claims
from router_core.usage import Usage

Run = Callable[..., tuple[int, str, str]]
NOW = datetime.now(UTC).date()


@pytest.fixture
def run(new_ledger: Path, db_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run `tierwise prices refresh ...` on a ledger of this test; returns exit code, standard output and error."""
    shutil.copy(new_ledger, db_path)

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["prices", "refresh", *arguments, "--db", str(db_path)])
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def listed(tmp_path: Path) -> str:
    """A list in which gpt-4.1-mini costs a little less, gpt-4.1 a thousand times as much, and nobody's-model is new."""
    path = tmp_path / "map.json"
    path.write_bytes(
        litellm(
            **{
                "gpt-4.1-mini": {
                    "input_cost_per_token": 3e-07,
                    "output_cost_per_token": 1.5e-06,
                    "cache_read_input_token_cost": 8e-08,
                },
                "gpt-4.1": {"input_cost_per_token": 2e-03, "output_cost_per_token": 8e-03},
                "nobodys-model": {"input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06},
            }
        )
    )
    return str(path)


def asked(result: tuple[int, str, str]) -> Any:
    code, out, err = result
    assert code == 0, err
    return json.loads(out)


def test_by_default_it_only_shows(run: Run, listed: str, db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        before = read_prices(ledger)
    told = asked(run(listed, "--json"))
    assert [(one["model"], one["used"], one["suspicious"]) for one in told["changes"]] == [
        ("gpt-4.1", True, True),
        ("gpt-4.1-mini", True, False),
    ]
    assert told["not_shown"] == 1
    code, out, err = run(listed)
    assert code == 0
    assert "0.4 / 1.6 / 0.1 / –" in out
    assert "0.3 / 1.5 / 0.08 / –" in out
    assert "looks like another unit" in out
    assert "1 model marked ! or disputed" in err
    with open_ledger(db_path) as ledger:
        assert read_prices(ledger) == before


def test_all_takes_what_is_not_suspicious_and_appends_with_a_date(run: Run, listed: str, db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        before = read_prices(ledger)
    told = asked(run(listed, "--accept", "all", "--from", "2026-11-01", "--json"))
    assert [one["model"] for one in told["changes"] if one["accepted"]] == ["gpt-4.1-mini"]
    with open_ledger(db_path) as ledger:
        after = read_prices(ledger)
        (event,) = [one for one in events(ledger) if one.what == "price"]
    assert after[: len(before)] == before
    (added,) = after[len(before) :]
    assert (added.model, added.layer, added.effective_from.isoformat()) == ("gpt-4.1-mini", "catalogue", "2026-11-01")
    assert (added.source, added.note) == ("LiteLLM, map.json", "accepted by command line")
    assert "gpt-4.1-mini from 2026-11-01" in event.detail
    assert asked(run(listed, "--accept", "all", "--from", "2026-11-01", "--json"))["added"] == 0


def test_a_suspicious_one_is_taken_by_name_or_with_the_word_for_it(run: Run, listed: str) -> None:
    assert asked(run(listed, "--accept", "gpt-4.1", "--json"))["added"] == 1
    assert asked(run(listed, "--accept", "all", "--json"))["added"] == 1
    told = asked(run(listed, "--new", "--accept", "all", "--even-suspicious", "--json"))
    assert told["added"] == 1
    assert [one["model"] for one in told["changes"]] == ["nobodys-model"]


def test_another_list_that_disagrees_is_shown(run: Run, listed: str, tmp_path: Path) -> None:
    other = tmp_path / "api.json"
    other.write_bytes(models_dev("openai", **{"gpt-4.1-mini": {"input": 0.35, "output": 1.5}}))
    told = asked(run(listed, str(other), "--json", "--model", "mini"))
    (change,) = told["changes"]
    assert change["disagreeing"][0]["source"] == "models.dev"
    assert change["suspicious"]


def test_the_installed_list_brings_a_ledger_of_older_prices_up_to_date(run: Run, db_path: Path) -> None:
    assert asked(run("--json"))["changes"] == []
    with open_ledger(db_path) as ledger:
        mini = PriceBook(read_prices(ledger)).find("openai", "gpt-4.1-mini", 1_790_000_000_000)
        assert mini is not None
        rate = Decimal("0.39")
        add_prices(ledger, [replace(mini, input_usd_per_mtok=rate, effective_from=NOW, source="an older list")])
    told = asked(run("--json"))
    assert [(one["model"], one["new"][0]["input"]) for one in told["changes"]] == [("gpt-4.1-mini", "0.4")]
    assert asked(run("--accept", "all", "--json"))["added"] == 1
    assert asked(run("--json"))["changes"] == []


def test_mistakes_are_told_in_one_sentence(run: Run, listed: str, tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    for arguments, sentence in (
        ((listed, "--accept", "gpt-4.1-mimi"), "did you mean 'gpt-4.1-mini'"),
        ((str(tmp_path / "bad.json"),), "no list of prices known here"),
        ((listed, "--from", "yesterday"), "--from 'yesterday' is not a date"),
    ):
        code, _, err = run(*arguments)
        assert code == 2
        assert sentence in err
        assert "Traceback" not in err


def test_accepting_twice_adds_nothing(new_ledger: Path, db_path: Path) -> None:
    shutil.copy(new_ledger, db_path)
    offered = parse_price_list(
        litellm(**{"gpt-4.1-mini": {"input_cost_per_token": 3e-07, "output_cost_per_token": 1.6e-06}}), "map"
    )
    with open_ledger(db_path) as ledger:
        found = price_changes(ledger, offered, NOW)
        assert accept_changes(ledger, found, "Ada") == 1
        assert accept_changes(ledger, found, "Ben") == 0


def test_every_model_the_claims_name_has_a_price_in_a_new_ledger(new_ledger: Path) -> None:
    with open_ledger(new_ledger) as ledger:
        book = PriceBook(read_prices(ledger))
    unpriced = []
    for model, rates in yaml.safe_load(shipped_claims().read_text())["prices"].items():
        usage = Usage(input_tokens=1000, output_tokens=100 if "output" in rates else 0)
        found = [
            price
            for provider in ("openai", "anthropic", "google", "deepseek")
            if isinstance(price := book.find(provider, model, 1_795_000_000_000), Price)
        ]
        if not any(cost_nusd(price, usage) is not None for price in found):
            unpriced.append(model)
    assert unpriced == []
