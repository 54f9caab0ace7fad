"""Token counts follow one convention, and what contradicts it is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_core.errors import UsageError
from router_core.usage import Usage, estimate_tokens

counts = st.integers(min_value=0, max_value=10_000_000)


def test_openai_totals_already_include_their_subsets() -> None:
    usage = Usage.from_openai(
        {
            "prompt_tokens": 1200,
            "completion_tokens": 300,
            "prompt_tokens_details": {"cached_tokens": 1024},
            "completion_tokens_details": {"reasoning_tokens": 128},
        }
    )
    assert usage == Usage(1200, 300, cache_read_input_tokens=1024, reasoning_output_tokens=128)


@pytest.mark.parametrize(
    ("counts", "sentence"),
    [
        ({"input_tokens": -1, "output_tokens": 0}, "cannot be negative"),
        ({"input_tokens": 10, "output_tokens": 0, "cache_read_input_tokens": 11}, "exceed the 10 input tokens"),
        (
            {"input_tokens": 10, "output_tokens": 0, "cache_read_input_tokens": 6, "cache_write_input_tokens": 5},
            "exceed the 10 input tokens",
        ),
        ({"input_tokens": 0, "output_tokens": 5, "reasoning_output_tokens": 6}, "exceed the 5 output tokens"),
    ],
)
def test_counts_that_contradict_one_another_are_refused(counts: dict[str, int], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Usage(**counts)


@pytest.mark.parametrize("usage", [{}, {"prompt_tokens": "many"}, {"prompt_tokens": 1, "prompt_tokens_details": 3}])
def test_a_usage_object_that_cannot_be_read_is_named(usage: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        Usage.from_openai(usage)


@given(counts, counts, counts, counts)
def test_adding_usages_adds_every_count(first: int, second: int, third: int, fourth: int) -> None:
    total = Usage(first, second) + Usage(third, fourth)
    assert (total.input_tokens, total.output_tokens) == (first + third, second + fourth)


@given(st.text(max_size=2000))
def test_an_estimate_is_zero_only_for_nothing(text: str) -> None:
    assert (estimate_tokens(text) == 0) == (text == "")


def test_ten_megabytes_are_estimated_from_their_beginning() -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 230_000
    assert estimate_tokens(text) == pytest.approx(2_300_000, rel=0.1)


def test_estimates_are_within_ten_percent_of_real_counts_in_total(recorded: Path) -> None:
    import pandas as pd

    prompts = pd.read_parquet(recorded / "mmlu_pro" / "prompts.parquet")
    counted = pd.read_parquet(recorded / "mmlu_pro" / "responses.parquet").groupby("prompt_id").input_tokens.first()
    sample = prompts.set_index("prompt_id").loc[counted.index].iloc[::10]
    assert sum(map(estimate_tokens, sample.prompt)) == pytest.approx(counted.iloc[::10].sum(), rel=0.1)
