"""Price lists of others are read exactly: every size, hour and processing, and what cannot be said is left out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from price_lists import litellm, models_dev

from router_core.errors import InputError
from router_core.prices import Price, PriceBook, catalogue
from router_core.prices.lists import installed_list, parse_price_list, read_price_list
from router_core.prices.refresh import changes

GPT = {"input_cost_per_token": 4e-07, "output_cost_per_token": 1.6000000000000001e-06}


def usd(price: Price) -> tuple[str, ...]:
    rates = (
        price.input_usd_per_mtok,
        price.output_usd_per_mtok,
        price.cache_read_usd_per_mtok,
        price.cache_write_usd_per_mtok,
    )
    return tuple("" if rate is None else str(rate) for rate in rates)


def test_litellms_rates_a_token_become_exact_rates_a_million() -> None:
    told = parse_price_list(litellm(**{"gpt-9": {**GPT, "cache_read_input_token_cost": 1e-07}}), "map.json")
    (row,) = told.rows["openai", "gpt-9"]
    assert usd(row) == ("0.4", "1.6", "0.1", "")
    assert (row.layer, row.source) == ("catalogue", "LiteLLM, map.json")


def test_long_contexts_batches_and_faster_processing_are_rows_of_their_own() -> None:
    told = parse_price_list(
        litellm(
            **{
                "gpt-9": {
                    **GPT,
                    "input_cost_per_token_above_200k_tokens": 8e-07,
                    "input_cost_per_token_batches": 2e-07,
                    "output_cost_per_token_batches": 8e-07,
                    "input_cost_per_token_above_200k_tokens_batches": 4e-07,
                    "input_cost_per_token_priority": 7e-07,
                    "output_cost_per_token_priority": 3e-06,
                }
            }
        ),
        "map.json",
    )
    found = {(row.processing, row.min_input_tokens): usd(row)[:2] for row in told.rows["openai", "gpt-9"]}
    assert found == {
        ("standard", 0): ("0.4", "1.6"),
        ("standard", 200_001): ("0.8", "1.6"),
        ("batch", 0): ("0.2", "0.8"),
        ("batch", 200_001): ("0.4", "0.8"),
        ("priority", 0): ("0.7", "3"),
    }


def test_cheaper_hours_are_read_and_those_of_some_weekdays_left_out() -> None:
    hours = {"hours_utc": ["16:30-00:30", "04:00-00:00"], "input_cost_per_token": 2e-07}
    weekend = {"windows": [{"hours_utc": "00:00-00:00", "weekdays": [6, 7]}], "input_cost_per_token": 2e-07}
    told = parse_price_list(
        litellm(a={**GPT, "off_peak_pricing": hours}, b={**GPT, "off_peak_pricing": weekend}), "map.json"
    )
    rows = told.rows["openai", "a"]
    assert [(row.minute_from, row.minute_to, usd(row)[:2]) for row in rows] == [
        (None, None, ("0.4", "1.6")),
        (990, 30, ("0.2", "1.6")),
        (240, 0, ("0.2", "1.6")),
    ]
    assert ("openai", "b") not in told.rows
    assert told.left_out == {"at prices that differ by the day of the week": 1}


def test_prices_by_steps_of_the_context_are_read() -> None:
    steps = [
        {"range": [0, 256000.0], "input_cost_per_token": 5e-08, "output_cost_per_token": 4e-07},
        {"range": [256000.0, 1e6], "input_cost_per_token": 2.5e-07, "output_cost_per_token": 2e-06},
    ]
    told = parse_price_list(litellm(qwen={"litellm_provider": "dashscope", "tiered_pricing": steps}), "map.json")
    found = {row.min_input_tokens: usd(row)[:2] for row in told.rows["dashscope", "qwen"]}
    assert found == {0: ("0.05", "0.4"), 256_001: ("0.25", "2")}


def test_providers_go_by_the_catalogues_names_and_models_by_their_own() -> None:
    told = parse_price_list(
        litellm(
            gemini__flash={**GPT, "litellm_provider": "gemini"},
            **{"nova-lite": {**GPT, "litellm_provider": "bedrock"}, "xai/grok": {**GPT, "litellm_provider": "xai"}},
        ),
        "map.json",
    )
    assert set(told.rows) == {("google", "flash"), ("aws", "nova-lite"), ("x-ai", "grok")}


def test_what_is_not_charged_by_text_tokens_alone_is_left_out() -> None:
    told = parse_price_list(
        litellm(
            plain=GPT,
            thinks={**GPT, "output_cost_per_reasoning_token": 3e-06},
            fee={**GPT, "input_cost_per_request": 0.005},
            pictures={"mode": "image_generation", **GPT},
            seconds={"input_cost_per_second": 1e-4},
        ),
        "map.json",
    )
    assert set(told.rows) == {("openai", "plain")}
    assert sum(told.left_out.values()) == 3


def test_models_dev_is_read_with_its_long_contexts() -> None:
    tiers = [{"tier": {"type": "context", "size": 272000}, "input": 10, "output": 45, "cache_read": 1}]
    told = parse_price_list(
        models_dev(
            "amazon-bedrock",
            nova={"input": 0.06, "output": 0.24, "cache_read": 0.015},
            long={"input": 5, "output": 30, "cache_read": 0.5, "tiers": tiers},
            older={"input": 1, "output": 2, "context_over_200k": {"input": 2, "output": 3}},
            thinks={"input": 1, "output": 2, "reasoning": 3},
        ),
        "api.json",
    )
    assert usd(told.rows["aws", "nova"][0]) == ("0.06", "0.24", "0.015", "")
    assert [(row.min_input_tokens, usd(row)[0]) for row in told.rows["aws", "long"]] == [(0, "5"), (272_001, "10")]
    assert [(row.min_input_tokens, usd(row)[0]) for row in told.rows["aws", "older"]] == [(0, "1"), (200_001, "2")]
    assert ("aws", "thinks") not in told.rows


def test_a_model_that_stands_twice_at_two_prices_is_told() -> None:
    told = parse_price_list(litellm(a=GPT, openai__a={**GPT, "output_cost_per_token": 9e-06}), "map.json")
    assert told.twice == {("openai", "a")}
    assert usd(told.rows["openai", "a"][0])[1] == "1.6"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "not JSON"),
        (b"{", "line 1: this is not JSON"),
        (b"\xff\xfe\x00", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[1, 2]", "no list of prices known here"),
        (b'{"a": {"b": 1}}', "no list of prices known here"),
        (litellm(a={}), "prices no model by its tokens"),
        (litellm(a={"input_cost_per_token": -1}), "prices no model by its tokens"),
        (b'{"a": {"litellm_provider": "x", "input_cost_per_token": NaN}}', "prices no model by its tokens"),
        (b'{"a": {"litellm_provider": "x", "input_cost_per_token": "cheap"}}', "prices no model by its tokens"),
    ],
)
def test_what_is_no_list_of_prices_is_told_in_a_sentence(content: bytes, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as told:
        parse_price_list(content, "prices.json")
    assert "prices.json" in str(told.value)


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a web server on this machine that serves ``tmp_path``."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_list_is_read_from_a_file_or_an_address(tmp_path: Path, served: str) -> None:
    (tmp_path / "prices.json").write_bytes(litellm(a=GPT))
    by_file = read_price_list(str(tmp_path / "prices.json"))
    by_url = read_price_list(f"{served}/prices.json")
    assert usd(by_url.rows["openai", "a"][0]) == usd(by_file.rows["openai", "a"][0])
    assert by_url.rows["openai", "a"][0].source == f"LiteLLM, {served}/prices.json"
    with pytest.raises(InputError, match="the answer is 404"):
        read_price_list(f"{served}/none.json")
    with pytest.raises(InputError, match="cannot be fetched"):
        read_price_list("http://127.0.0.1:1/prices.json")
    with pytest.raises(InputError, match="No such file"):
        read_price_list(str(tmp_path / "none.json"))


def test_the_installed_prices_change_nothing_in_a_book_made_of_them() -> None:
    told = installed_list()
    assert len(told.rows) > 2000
    assert changes(PriceBook(catalogue()), told, date(2026, 11, 23)) == []
