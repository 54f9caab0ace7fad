"""Damaged, disguised and hostile files: one sentence each, the good rows loaded, and nothing lost."""

from __future__ import annotations

import io
import json
import shutil
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imports import as_csv, as_lines, kept, load, prices, spend_log

from router_core.errors import InputError, TierwiseError
from router_core.exchange.load import import_file, import_source
from router_core.exchange.source import LONGEST_LINE, NOT_UTF8, Source
from router_core.ledger.store import Ledger, open_ledger

ROWS = [spend_log(number) for number in range(1, 11)]


@pytest.fixture
def ledger(new_ledger: Path, db_path: Path) -> Iterator[Ledger]:
    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as opened:
        yield opened


def refusal(ledger: Ledger, content: bytes, format: str = "auto") -> str:
    with pytest.raises(InputError) as caught:
        load(ledger, content, format)
    return str(caught.value)


@pytest.mark.parametrize("content", [b"", b"  \n \n", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_an_empty_file_is_said_to_be_empty(ledger: Ledger, content: bytes) -> None:
    assert refusal(ledger, content) == "a file: the file is empty"


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x1f\x8b\x08\x00rest", "this is gzip; unpack it"),
        (b"PK\x03\x04rest", "this is a zip archive (or a spreadsheet); unpack it"),
        (b"\x7fELF\x02\x01\x01\x00\x00\x00\x00", "this is a binary file"),
        (b"SQLite format 3\x00more", "this is a binary file"),
        (b"PAR1 but cut", "the Parquet file is damaged or was cut"),
    ],
)
def test_what_is_no_text_is_named(ledger: Ledger, content: bytes, what: str) -> None:
    assert what in refusal(ledger, content)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"a,b,c\n1,2,3\n", "no format known here has these columns (a, b, c)"),
        (b'{"hello": 1}\n', "no format known here has JSON like this (its keys begin hello)"),
        (b"{ broken", "no JSON can be read in it"),
        (b"just words\n", "this is neither JSON, CSV with a header, nor Parquet"),
    ],
)
def test_an_unknown_format_lists_what_is_known(ledger: Ledger, content: bytes, what: str) -> None:
    told = refusal(ledger, content)
    assert what in told
    assert "Known are: Tierwise decisions (JSON lines); " in told
    assert "LiteLLM SpendLogs (CSV)" in told


def test_a_format_that_does_not_exist_gets_a_suggestion(ledger: Ledger) -> None:
    assert refusal(ledger, b"x", "lite-llm") == "there is no format 'lite-llm'; did you mean 'litellm'?"


def test_a_file_of_another_format_than_said_is_refused(ledger: Ledger) -> None:
    told = refusal(ledger, as_csv(ROWS).encode(), "langfuse")
    assert told == "a file: this is LiteLLM SpendLogs (CSV), not langfuse; write litellm or auto"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1", "cp1252"]
)
@pytest.mark.parametrize("text", [as_csv(ROWS), json.dumps({"data": ROWS}), as_lines(ROWS)])
def test_every_usual_encoding_is_read(ledger: Ledger, encoding: str, text: str) -> None:
    assert load(ledger, text.encode(encoding)).loaded == 10


def test_letters_that_are_not_utf8_are_kept_as_latin1(ledger: Ledger) -> None:
    rows = [spend_log(1, team_id="Zürich", metadata={"user_api_key_team_alias": None}), spend_log(2)]
    report = load(ledger, as_csv(rows).encode("latin-1"))
    assert {decision.team for decision in kept(ledger)} == {"Zürich", "Support"}
    assert report.notes[NOT_UTF8] >= 1


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_usual_delimiter_and_line_ending_is_read(ledger: Ledger, delimiter: str, ending: str) -> None:
    rows = [{**row, "metadata": "", "request_tags": ""} for row in ROWS]
    assert load(ledger, as_csv(rows, delimiter=delimiter).replace("\n", ending)).loaded == 10


def test_decimals_with_commas_are_read_where_semicolons_part_columns(ledger: Ledger) -> None:
    load(ledger, as_csv([spend_log(1, spend="0,000123")], delimiter=";"))
    assert kept(ledger)[0].attempts[0].reported_cost_nusd == 123_000


def test_the_line_that_spreadsheets_put_first_is_passed_over(ledger: Ledger) -> None:
    assert load(ledger, "sep=,\n" + as_csv(ROWS)).loaded == 10


def test_a_csv_cut_in_the_middle_of_a_row_loses_that_row_only(ledger: Ledger, tmp_path: Path) -> None:
    text = as_csv(ROWS)
    report = load(ledger, text[: text.rindex("req-10") + 40], rejects=tmp_path / "rejects.jsonl")
    assert (report.loaded, report.rejected) == (9, 1)
    (line,) = (tmp_path / "rejects.jsonl").read_text().splitlines()
    assert json.loads(line)["line"] == 11
    assert json.loads(line)["raw"].startswith("req-10,")


@pytest.mark.parametrize("indent", [None, 1])
def test_a_json_cut_in_the_middle_keeps_what_came_before(ledger: Ledger, indent: int | None) -> None:
    text = json.dumps({"data": ROWS, "total": 10}, indent=indent)
    report = load(ledger, text[: text.index("req-8") + 20])
    assert (report.loaded, report.rejected) == (7, 1)
    assert report.rejects[0].reason == "the file ends in the middle of a value; it may have been cut"


def test_broken_json_in_the_middle_is_told_with_its_line(ledger: Ledger) -> None:
    text = json.dumps(ROWS, indent=0).replace('"request_id": "req-5"', '"request_id": oops')
    report = load(ledger, text)
    assert report.loaded == 4
    assert report.rejects[0].reason == "this is not JSON: Expecting value"
    assert text.splitlines()[report.rejects[0].line - 1] == "{"


def test_a_broken_line_of_json_lines_leaves_the_others(ledger: Ledger) -> None:
    lines = as_lines(ROWS).splitlines()
    lines[3] = lines[3][:50]
    lines[5] = "[" * 100_000
    lines[6] = "17"
    report = load(ledger, "\n".join(lines))
    assert (report.loaded, [one.line for one in report.rejects]) == (7, [4, 6, 7])
    assert [one.reason.partition(":")[0] for one in report.rejects] == [
        "this is not JSON",
        "this JSON is nested too deeply",
        "this is a int, not a JSON object",
    ]


def test_a_quote_never_closed_loses_its_own_row_only(ledger: Ledger) -> None:
    lines = as_csv([{**row, "metadata": "", "request_tags": ""} for row in ROWS]).splitlines()
    lines[4] = lines[4].replace("req-4", '"req-4')
    report = load(ledger, "\n".join(lines) + "\n")
    assert (report.loaded, [(one.line, one.reason) for one in report.rejects]) == (
        9,
        [(5, "a quote that opens here is never closed")],
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"prompt_tokens": "NaN"}, "prompt_tokens is NaN, not a number"),
        ({"prompt_tokens": -5}, "prompt_tokens is negative (-5)"),
        ({"prompt_tokens": "12.5"}, "prompt_tokens is 12.5, not a whole number"),
        ({"completion_tokens": 10**12}, "completion_tokens is 1000000000000, more than any call has"),
        ({"spend": "Infinity"}, "spend is Infinity, not a number"),
        ({"spend": "-0.5"}, "spend is negative (-0.5)"),
        ({"spend": "a lot"}, "spend is 'a lot', not a number"),
        ({"startTime": ""}, "startTime is missing"),
        ({"startTime": "yesterday"}, "startTime is 'yesterday', not a time such as 2026-01-31T12:00:00Z"),
        (
            {"startTime": "1970-01-01T00:00:00Z"},
            "startTime is '1970-01-01T00:00:00Z', which is not between the years 2000 and 2100",
        ),
        ({"model": ""}, "model is missing"),
        ({"request_id": ""}, "the request id is missing"),
    ],
)
@pytest.mark.parametrize("write", [as_csv, as_lines])
def test_a_row_that_makes_no_sense_is_put_aside_with_the_reason(
    ledger: Ledger, tmp_path: Path, write: Any, change: dict[str, Any], reason: str
) -> None:
    rows = [*ROWS[:3], {**ROWS[3], **change}, *ROWS[4:]]
    report = load(ledger, write(rows), rejects=tmp_path / "rejects.jsonl")
    assert (report.loaded, report.rejected) == (9, 1)
    assert report.rejects[0].reason == reason
    kept_aside = json.loads((tmp_path / "rejects.jsonl").read_text())
    assert kept_aside["line"] == (5 if write is as_csv else 4)
    assert str(change[next(iter(change))]) in kept_aside["raw"]


def test_a_times_zone_is_read_and_one_that_is_not_named_is_utc(ledger: Ledger) -> None:
    starts = ["2026-11-20T10:00:00+05:30", "2026-11-20T10:00:00", "2026-11-20 10:00:00.000", 1795168800]
    rows = [spend_log(number, startTime=start) for number, start in enumerate(starts)]
    report = load(ledger, as_lines(rows))
    assert sorted({decision.decided_at_ms for decision in kept(ledger)}) == [1795149000000, 1795168800000]
    assert report.notes["times that named no zone were taken as UTC"] == 2
    assert "Note: times that named no zone were taken as UTC (2)." in report.sentences()


def test_names_that_no_database_keeps_are_cleaned(ledger: Ledger) -> None:
    load(ledger, as_lines([spend_log(1, metadata={"user_api_key_team_alias": "a\x00b\ud800\n" + "c" * 500})]))
    (decision,) = kept(ledger)
    assert decision.team == "a b? " + "c" * 195


class Endless(io.RawIOBase):
    """A file whose one line goes on and on, between a head and a tail."""

    def __init__(self, head: bytes, size: int, tail: bytes) -> None:
        self._parts = iter([head, *([b"x" * 2**20] * (size // 2**20)), tail])
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._rest = self._rest or next(self._parts, b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count


@pytest.mark.parametrize("kind", ["csv", "lines"])
def test_a_line_without_end_is_refused_without_being_held(ledger: Ledger, kind: str) -> None:
    text = as_csv(ROWS) if kind == "csv" else as_lines(ROWS)
    middle = text.index("req-6") if kind == "csv" else text.index('{"request_id": "req-6"')
    head, tail = text[:middle].encode(), b"\n" + text[middle:].encode()
    source = Source(io.BufferedReader(Endless(head, 200 * 2**20, tail)), "a long file")
    tracemalloc.start()
    report = import_source(ledger, source, prices=prices(ledger))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (report.loaded, report.rejected) == (10, 1)
    assert report.rejects[0].reason == f"the line is longer than {LONGEST_LINE:,} bytes"
    assert len(report.rejects[0].raw) <= 1000
    assert most < 8 * LONGEST_LINE


def test_duplicates_across_files_change_nothing(ledger: Ledger) -> None:
    load(ledger, as_csv(ROWS[:7]))
    before = kept(ledger)[:7]
    report = load(ledger, json.dumps({"data": list(reversed(ROWS))}))
    assert (report.loaded, report.duplicates) == (3, 7)
    assert kept(ledger)[:7] == before


def test_a_file_that_cannot_be_read_is_one_sentence(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the file cannot be read: No such file or directory"):
        import_file(ledger, tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match="the file cannot be read: Is a directory"):
        import_file(ledger, tmp_path)


def test_rejects_that_cannot_be_put_aside_stop_the_import(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="rows that cannot be used are put aside here, but it cannot be written"):
        load(ledger, as_csv([{**ROWS[0], "spend": "x"}]), rejects=tmp_path / "no" / "folder" / "rejects.jsonl")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_to_a_file_ends_in_anything_but_a_sentence(data: st.DataObject, ledger: Ledger) -> None:
    whole = data.draw(st.sampled_from([as_csv(ROWS), as_lines(ROWS), json.dumps({"data": ROWS}, indent=1)])).encode()
    at = data.draw(st.integers(0, len(whole)))
    damage = data.draw(st.binary(max_size=12) | st.sampled_from([b'"', b'""', b"\n", b"{", b"}", b"\x00", b"\xff\xfe"]))
    cut = data.draw(st.integers(0, 200))
    try:
        report = load(ledger, whole[:at] + damage + whole[at + cut :])
    except TierwiseError as error:
        told = str(error)
    else:
        told = report.sentences()[0]
        assert report.rows == report.loaded + report.duplicates + report.left_out + report.rejected
    assert told
    assert "\n" not in told
