"""Published samples of every format import with the rows, tokens and costs that can be read off them by eye."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from imports import everything, prices

from router_core.exchange.load import import_file
from router_core.exchange.report import Report
from router_core.exchange.sniff import NAMES, sniff
from router_core.exchange.source import Source
from router_core.ledger.queries import spend
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger

FORMATS = Path(os.environ.get("TIERWISE_SHARED_FORMATS", ROOT.parent / "shared" / "formats"))

ONE_CALL = {
    "rows": 1,
    "loaded": 1,
    "decisions": 1,
    "calls": 1,
    "input_tokens": 1200,
    "output_tokens": 300,
    "cache_read_input_tokens": 400,
    "reported_cost_nusd": 330_000,
}
ONE_DAY = {
    "rows": 1,
    "loaded": 1,
    "decisions": 0,
    "requests": 1200,
    "input_tokens": 1_440_000,
    "output_tokens": 360_000,
    "cache_read_input_tokens": 480_000,
}

# What a person reads off each file; costs in nano-dollars.
STATED: dict[str, dict[str, Any]] = {
    "litellm/LiteLLM_SpendLogs.csv": {**ONE_CALL, "rows": 2, "loaded": 2, "decisions": 2, "list_cost_nusd": 330_000},
    "litellm/spend_logs_v2.json": {**ONE_CALL, "rows": 2, "loaded": 2, "decisions": 2, "list_cost_nusd": 330_000},
    "litellm/standard_logging_payload.ndjson": {
        "rows": 4,
        "loaded": 4,
        "decisions": 3,  # a failure and what took over from it are one request
        "calls": 4,
        "input_tokens": 30,
        "output_tokens": 60,
        "reported_cost_nusd": 357_000,
        "list_cost_nusd": 357_000,
    },
    "otel/traces.jsonl": {**ONE_CALL, "rows": 2, "left_out": 1, "reported_cost_nusd": 0, "list_cost_nusd": 330_000},
    "langfuse/observations_export.csv": {**ONE_CALL, "labels": 1, "list_cost_nusd": 330_000},
    "langfuse/observations_export.jsonl": {**ONE_CALL, "labels": 1},
    "langfuse/blob_observations.jsonl": {**ONE_CALL, "labels": 0},
    "helicone/export.csv": {**ONE_CALL, "cache_read_input_tokens": 0, "list_cost_nusd": 360_000},
    "helicone/export.jsonl": {**ONE_CALL, "labels": 2},
    "openrouter/activity_export.csv": {**ONE_CALL},
    "openrouter/generation.json": {**ONE_CALL},
    "openrouter/activity.json": {**ONE_DAY, "reported_cost_nusd": 400_000_000},
    "openai/usage_completions.json": {**ONE_DAY, "reported": 0, "list_cost_nusd": 396_000_000},
    "openai/completions_usage_dashboard.csv": {**ONE_DAY, "reported": 0, "list_cost_nusd": 396_000_000},
    "openai/costs.json": {"rows": 1, "loaded": 1, "input_tokens": 960_000, "reported_cost_nusd": 144_000_000},
    "openai/cost_dashboard.csv": {"rows": 1, "loaded": 1, "input_tokens": 960_000, "reported_cost_nusd": 144_000_000},
    "anthropic/usage_report_messages.json": {
        "rows": 1,
        "loaded": 1,
        "input_tokens": 1_500_000,
        "output_tokens": 150_000,
        "cache_read_input_tokens": 800_000,
        "cache_write_input_tokens": 200_000,
        "list_cost_nusd": 4_740_000_000,
    },
    "anthropic/cost_report.json": {"rows": 1, "loaded": 1, "reported_cost_nusd": 1_500_000_000},
    "anthropic/analytics_cost_report.json": {
        "rows": 1,
        "loaded": 1,
        "reported_cost_nusd": 1_500_000_000,
        "list_cost_nusd": 1_500_000_000,
    },
    "portkey/logs_export.jsonl": {**ONE_CALL, "cache_read_input_tokens": 0},
    "deepseek/amount.csv": {
        "rows": 4,
        "loaded": 4,
        "requests": 1000,
        "input_tokens": 1_200_000,
        "output_tokens": 300_000,
        "cache_read_input_tokens": 400_000,
        "reported_cost_nusd": 301_200_000,
    },
    "vercel/report.json": {
        **ONE_DAY,
        "input_tokens": 960_000,
        "reported_cost_nusd": 330_000_000,
    },
}


@pytest.fixture
def ledger(new_ledger: Path, db_path: Path) -> Iterator[Ledger]:
    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as opened:
        yield opened


def sample(name: str) -> Path:
    path = FORMATS / name
    if not path.is_file():
        pytest.skip(f"the published samples are not present at {FORMATS}")
    return path


def load(ledger: Ledger, path: Path, tmp_path: Path) -> Report:
    return import_file(ledger, path, rejects=tmp_path / "rejects.jsonl", prices=prices(ledger))


@pytest.mark.parametrize("name", STATED)
def test_a_sample_imports_with_what_is_read_off_it_by_hand(name: str, ledger: Ledger, tmp_path: Path) -> None:
    report = load(ledger, sample(name), tmp_path)
    assert {key: getattr(report, key) for key in STATED[name]} == STATED[name]
    assert report.rejected == 0
    assert report.rows == report.loaded + report.duplicates + report.left_out + report.rejected


@pytest.mark.parametrize("name", STATED)
def test_importing_a_sample_twice_changes_nothing(name: str, ledger: Ledger, tmp_path: Path) -> None:
    first = load(ledger, sample(name), tmp_path)
    before = everything(ledger)
    second = load(ledger, sample(name), tmp_path)
    assert (second.loaded, second.labels, second.changed) == (0, 0, 0)
    assert second.duplicates == first.loaded
    assert everything(ledger) == before


@pytest.mark.parametrize(
    "names",
    [
        ("litellm/LiteLLM_SpendLogs.csv", "litellm/spend_logs_v2.json"),
        ("langfuse/observations_export.csv", "langfuse/observations_export.jsonl", "langfuse/blob_observations.jsonl"),
        ("helicone/export.jsonl", "helicone/export.csv"),
        ("openrouter/activity_export.csv", "openrouter/generation.json"),
        ("openai/costs.json", "openai/cost_dashboard.csv"),
        ("openai/usage_completions.json", "openai/completions_usage_dashboard.csv"),
    ],
)
def test_the_same_rows_in_another_format_are_already_there(
    names: tuple[str, ...], ledger: Ledger, tmp_path: Path
) -> None:
    first, *others = [load(ledger, sample(name), tmp_path) for name in names]
    assert first.loaded
    assert [(other.loaded, other.duplicates) for other in others] == [(0, first.loaded)] * len(others)


def test_an_evaluation_labels_the_span_it_judges(ledger: Ledger, tmp_path: Path) -> None:
    load(ledger, sample("otel/traces.jsonl"), tmp_path)
    judged = load(ledger, sample("otel/logs.jsonl"), tmp_path)
    assert (judged.rows, judged.loaded, judged.labels, judged.rejected) == (1, 1, 1, 0)
    again = load(ledger, sample("otel/logs.jsonl"), tmp_path)
    assert (again.loaded, again.duplicates, again.labels) == (0, 1, 0)
    refresh(ledger)
    assert spend(ledger, ("tier",))[0].quality == pytest.approx(0.9)


def test_every_published_sample_is_stated_here() -> None:
    if not FORMATS.is_dir():
        pytest.skip(f"the published samples are not present at {FORMATS}")
    files = {str(path.relative_to(FORMATS)) for path in FORMATS.glob("*/*") if path.suffix not in (".py", ".yaml")}
    assert {name for name in files if not name.startswith("focus/")} == {*STATED, "otel/logs.jsonl"}


def test_every_name_a_person_may_type_is_the_name_of_a_sample_or_ours() -> None:
    assert set(NAMES) == {name.split("/")[0] for name in STATED} | {"jsonl", "parquet"}


@pytest.mark.parametrize("name", STATED)
def test_the_name_of_a_file_does_not_matter(name: str, tmp_path: Path) -> None:
    disguised = tmp_path / "report.xlsx"
    disguised.write_bytes(sample(name).read_bytes())
    with disguised.open("rb") as stream:
        assert sniff(Source(stream, "report.xlsx")).name == name.split("/")[0]
