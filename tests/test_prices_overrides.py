"""Prices people write down are read exactly, and mistakes in them are explained with their line."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from router_core.config import data_dir
from router_core.errors import ConfigError
from router_core.prices import PriceBook, load_price_overrides, parse_price_overrides
from router_core.usage import Usage

GOOD = "prices:\n  - {provider: openai, model: gpt-4.1, effective_from: 2026-01-31, input: 1.70, output: 6.80}\n"


def test_a_written_price_is_read_exactly() -> None:
    (price,) = parse_price_overrides(GOOD)
    assert (price.provider_name, price.model, price.layer) == ("openai", "gpt-4.1", "contract")
    assert price.effective_from == date(2026, 1, 31)
    assert str(price.input_usd_per_mtok) == "1.70"
    assert price.output_usd_per_mtok == Decimal("6.8")
    assert price.cache_read_usd_per_mtok is None


def test_a_time_of_day_long_context_batch_price_can_be_written() -> None:
    (price,) = parse_price_overrides(
        "prices:\n- {provider: '*', model: m, effective_from: 2026-01-01, input: 1, layer: manual, processing: batch,"
        " min_input_tokens: 200001, utc_from: '16:30', utc_to: '00:30', source: offer 7, note: ~}\n"
    )
    assert (price.processing, price.min_input_tokens, price.minute_from, price.minute_to) == ("batch", 200_001, 990, 30)
    assert (price.source, price.note) == ("offer 7", "")


@pytest.mark.parametrize("text", ["", "prices: []", "prices:", "prices: ~", "# nothing yet"])
def test_no_prices_is_fine(text: str) -> None:
    assert parse_price_overrides(text) == []


def entry(text: str) -> str:
    return "prices:\n" + f"  - {{provider: a, model: m, effective_from: 2026-01-01, {text}}}\n"


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        (entry("input: -1"), 2, "'input' of 'm' is -1; a price cannot be negative"),
        (entry("input: cheap"), 2, "'input' of 'm' is 'cheap', which is not a number"),
        (entry("input: .nan"), 2, "which is not a number"),
        (entry("input: nan"), 2, "which is not a number"),
        (entry("input: inf"), 2, "which is not a number"),
        (entry("input: 1e9"), 2, "above a dollar a token"),
        (entry("inpt: 1"), 2, "unknown key 'inpt' in a price; did you mean 'input'?"),
        (entry("note: x"), 2, "names neither 'input' nor 'output'"),
        (entry("input: 1, input: 2"), 2, "'input' is given twice"),
        (entry("input: 1, layer: special"), 2, "choose one of catalogue, contract, manual"),
        (entry("input: 1, processing: bath"), 2, "choose one of standard, batch, flex, priority, fast"),
        (entry("input: 1, min_input_tokens: many"), 2, "write a whole number of tokens"),
        (entry("input: 1, utc_from: '25:00', utc_to: '01:00'"), 2, "write a UTC time such as 16:30"),
        (entry("input: 1, utc_from: '16:30'"), 2, "needs both"),
        (entry("input: 1, utc_from: '16:30', utc_to: '16:30'"), 2, "are the same"),
        (entry("input: [1]"), 2, "each price is a mapping"),
        (GOOD + "  - openai\n", 3, "each price is a mapping"),
        (GOOD + "  - {provider: openai}\n", 3, "a price needs 'model'"),
        ("prices:\n  - {provider: a, model: m, effective_from: soon, input: 1}\n", 2, "'soon' is not a date"),
        ("prices: 7\n", 1, "'prices' is a list"),
        ("price: []\n", 1, "one list under the key 'prices'"),
        ("prices: [\n", 2, "this is not YAML"),
        ("- 1\n", 1, "one list under the key 'prices'"),
        ("\x00", None, "this is not YAML"),
        ("[" * 20_000, None, "nested too deeply"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(text: str, line: int | None, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_price_overrides(text)
    assert sentence in str(caught.value)
    assert caught.value.line == line
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the prices .*nowhere.yaml.*No such file"):
        load_price_overrides(tmp_path / "nowhere.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"prices: [\xe9]")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_price_overrides(tmp_path / "latin.yaml")


def test_a_byte_order_mark_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(GOOD, encoding="utf-8-sig")
    assert len(load_price_overrides(tmp_path / "p.yaml")) == 1


def test_the_shipped_overrides_price_the_recorded_models() -> None:
    book = PriceBook(load_price_overrides(data_dir() / "prices.yaml"))
    cost = book.list_cost(Usage(100, 50), provider_name="recorded", model="gpt-4-1106-preview", at_ms=1_767_225_600_000)
    assert cost is not None
    assert cost.nusd == 2_500_000
