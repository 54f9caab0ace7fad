"""Exports: each states what it holds, adds up to what spend says, and decisions come back unchanged."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from decisions import NOON_MS, a_decision, an_attempt, traffic
from imports import everything, kept, prices

from router_core.errors import InputError, LedgerError
from router_core.exchange.export import NAMES, export
from router_core.exchange.load import import_file
from router_core.exchange.outlet import agree, usd
from router_core.ledger.queries import spend
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger

FIRST, LAST = date(2026, 3, 3), date(2026, 3, 6)


@pytest.fixture(scope="module")
def ledger(new_ledger: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    path = tmp_path_factory.mktemp("export") / "ledger.db"
    shutil.copy(new_ledger, path)
    with open_ledger(path) as opened:
        opened.write_decisions(list(traffic(1500, seed=3)))
        refresh(opened)
        yield opened


def total(ledger: Ledger, since: date | None = None, until: date | None = None) -> int:
    return spend(ledger, (), since, until)[0].list_cost_nusd


@pytest.mark.parametrize("format", [name for name in NAMES if name != "litellm"])
@pytest.mark.parametrize("days", [(None, None), (FIRST, LAST), (FIRST, FIRST), (None, FIRST)])
def test_an_export_states_its_rows_total_days_and_checksum(
    format: str, days: tuple[date | None, date | None], ledger: Ledger, tmp_path: Path
) -> None:
    since, until = days
    path = tmp_path / f"out.{format}"
    statement = export(ledger, format, path, since=since, until=until)
    content = path.read_bytes()
    assert statement.list_cost_nusd == total(ledger, since, until)
    assert (statement.since, statement.until) == days
    assert statement.sha256 == hashlib.sha256(content).hexdigest()
    assert statement.bytes == len(content)
    assert statement.unpriced_calls == spend(ledger, (), since, until)[0].unpriced_attempts
    if format in ("csv", "focus"):
        assert statement.rows == sum(1 for _ in csv.reader(io.StringIO(content.decode()))) - 1
    if format in ("jsonl", "parquet"):
        assert statement.rows == spend(ledger, (), since, until)[0].decisions


@pytest.mark.parametrize("format", ["jsonl", "parquet"])
def test_decisions_come_back_unchanged_in_another_ledger(
    format: str, ledger: Ledger, new_ledger: Path, tmp_path: Path
) -> None:
    path = tmp_path / f"out.{format}"
    export(ledger, format, path)
    shutil.copy(new_ledger, tmp_path / "other.db")
    with open_ledger(tmp_path / "other.db") as other:
        report = import_file(other, path, prices=prices(other))
        assert (report.rejected, report.loaded) == (0, 1500)
        # The price rows are those of the ledger that holds the decision; these prices are made up, so none fits.
        expected = [
            replace(one, attempts=tuple(replace(call, price_id=None) for call in one.attempts)) for one in kept(ledger)
        ]
        assert kept(other) == expected
        before = everything(other)
        again = import_file(other, path, prices=prices(other))
        assert (again.loaded, again.duplicates) == (0, 1500)
        assert everything(other) == before


def test_a_price_that_still_holds_is_named_again(new_ledger: Path, tmp_path: Path) -> None:
    shutil.copy(new_ledger, tmp_path / "one.db")
    shutil.copy(new_ledger, tmp_path / "two.db")
    with open_ledger(tmp_path / "one.db") as one, open_ledger(tmp_path / "two.db") as two:
        call = an_attempt()
        assert call.usage is not None
        cost = prices(one).list_cost(call.usage, provider_name="openai", model="gpt-4.1-nano", at_ms=NOON_MS)
        assert cost is not None
        one.write_decisions([a_decision(attempts=(replace(call, list_cost_nusd=cost.nusd, price_id=cost.price.id),))])
        refresh(one)
        export(one, "jsonl", tmp_path / "out.jsonl")
        import_file(two, tmp_path / "out.jsonl", prices=prices(two))
        assert kept(two) == kept(one)


def test_spans_come_back_as_calls_with_the_same_tokens(ledger: Ledger, new_ledger: Path, tmp_path: Path) -> None:
    export(ledger, "otlp", tmp_path / "spans.jsonl", since=FIRST, until=LAST)
    shutil.copy(new_ledger, tmp_path / "other.db")
    with open_ledger(tmp_path / "other.db") as other:
        import_file(other, tmp_path / "spans.jsonl", prices=prices(other))
        refresh(other)
        there, here = (
            spend(other, ("team", "feature", "tier", "model")),
            spend(ledger, ("team", "feature", "tier", "model"), FIRST, LAST),
        )
        names = ("attempts", "input_tokens", "output_tokens", "cache_read_input_tokens", "failed_attempts", "failovers")
        assert [(line.keys, *(getattr(line, name) for name in names)) for line in there if line.attempts] == [
            (line.keys, *(getattr(line, name) for name in names)) for line in here if line.attempts
        ]


def test_spans_are_otlp(ledger: Ledger, tmp_path: Path) -> None:
    export(ledger, "otlp", tmp_path / "spans.jsonl", since=FIRST, until=FIRST)
    request = json.loads((tmp_path / "spans.jsonl").read_text().splitlines()[0])
    spans = request["resourceSpans"][0]["scopeSpans"][0]["spans"]
    assert {len(span["traceId"]) for span in spans} == {32}
    assert {len(span["spanId"]) for span in spans} == {16}
    assert len({span["spanId"] for span in spans}) == len(spans)
    roots = {span["spanId"] for span in spans if "parentSpanId" not in span}
    assert {span["parentSpanId"] for span in spans if "parentSpanId" in span} <= roots
    call = next(span for span in spans if span["kind"] == 3)
    values = {pair["key"]: pair["value"] for pair in call["attributes"]}
    assert values["gen_ai.operation.name"] == {"stringValue": "chat"}
    assert values["gen_ai.usage.input_tokens"]["intValue"].isdigit()
    assert call["startTimeUnixNano"].isdigit()


def test_spend_may_be_summed_by_anything_it_is_kept_by(ledger: Ledger, tmp_path: Path) -> None:
    statement = export(ledger, "csv", tmp_path / "out.csv", by=("team", "status"))
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))
    assert list(rows[0])[:3] == ["team", "status", "decisions"]
    assert sum(int(row["list_cost_nusd"]) for row in rows) == statement.list_cost_nusd == total(ledger)
    assert sum(int(row["decisions"]) for row in rows) == 1500
    assert {row["status"] for row in rows} == {"ok", "refused"}


def test_dollars_are_exact() -> None:
    assert [usd(n) for n in (0, 1, 10**9, 1_230_000_000, -5, 123_456_789_012_345_678)] == [
        "0",
        "0.000000001",
        "1",
        "1.23",
        "-0.000000005",
        "123456789.012345678",
    ]


def test_an_export_that_does_not_add_up_is_refused() -> None:
    with pytest.raises(LedgerError, match=r"adds up to \$0.000000001, but spend to \$0.000000002"):
        agree(1, 2)


@pytest.mark.parametrize(
    ("format", "options", "told"),
    [
        ("focas", {}, "there is no export 'focas'; did you mean 'focus'?"),
        ("csv", {"by": ("teem",)}, "'teem' is not something these figures are kept by; did you mean 'team'?"),
        ("jsonl", {"by": ("team",)}, "--by says what csv is summed by; jsonl has no use for it"),
        ("csv", {"since": LAST, "until": FIRST}, "--since 2026-03-06 is after --until 2026-03-03"),
        ("focus", {"focus_version": "2.0"}, "FOCUS 2.0 is not written here; choose 1.2 or 1.4"),
        ("litellm", {"since": FIRST}, "a configuration has no days; leave --since and --until out"),
    ],
)
def test_what_cannot_be_exported_is_one_sentence(
    format: str, options: dict[str, Any], told: str, ledger: Ledger, tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        export(ledger, format, tmp_path / "out", **options)
    assert str(caught.value) == told
    assert list(tmp_path.iterdir()) == []


def test_a_file_appears_whole_or_not_at_all(ledger: Ledger, tmp_path: Path) -> None:
    (tmp_path / "out.csv").write_text("what was there before")
    with pytest.raises(InputError):
        export(ledger, "csv", tmp_path / "out.csv", by=("nothing",))
    assert (tmp_path / "out.csv").read_text() == "what was there before"
    with pytest.raises(InputError, match="the export cannot be written: No such file or directory"):
        export(ledger, "csv", tmp_path / "no" / "folder" / "out.csv")


def test_an_empty_ledger_exports_nothing_and_says_so(new_ledger: Path, tmp_path: Path) -> None:
    shutil.copy(new_ledger, tmp_path / "empty.db")
    with open_ledger(tmp_path / "empty.db") as empty:
        for format in NAMES[:-1]:
            statement = export(empty, format, tmp_path / f"out.{format}")
            assert (statement.rows, statement.list_cost_nusd) == (0, 0)


def test_rows_that_are_no_decisions_are_put_aside(new_ledger: Path, tmp_path: Path) -> None:
    from router_core.ledger.lines import encode

    good = json.loads(encode(a_decision()))
    bad: list[dict[str, Any]] = [
        {**good, "id": "00"},
        {**good, "score": 101},
        {**good, "propensity": 1.5},
        {**good, "decided_at_ms": 5},
        {**good, "feature": None},
        {**good, "attempts": [{**good["attempts"][0], "latency_ms": -1}]},
        {**good, "attempts": [{**good["attempts"][0], "usage": {"input_tokens": 5, "output_tokens": -1}}]},
    ]
    path = tmp_path / "log.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in [good, *bad]))
    shutil.copy(new_ledger, tmp_path / "one.db")
    with open_ledger(tmp_path / "one.db") as ledger:
        report = import_file(ledger, path, prices=prices(ledger))
        assert (report.loaded, report.rejected) == (1, len(bad))
        assert [one.reason.split(" ")[0] for one in report.rejects] == [
            "the", "score", "propensity", "decided_at_ms", "feature", "latency_ms", "not",
        ]  # fmt: skip
