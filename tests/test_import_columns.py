"""A log read by column gives, to the last field, what the same log read row by row gives."""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from imports import as_csv, kept, load, spend_log

from router_core.exchange.columns import Columns
from router_core.exchange.litellm_columns import read
from router_core.exchange.source import Source
from router_core.ledger.store import Ledger, open_ledger

_tokens = st.one_of(st.integers(0, 3000), st.sampled_from([0, 2**31 - 1, 2**31, -1, "3.0", "", "many", 200_001]))
_texts = st.one_of(st.none(), st.sampled_from(["", "Support", "x" * 300, "naïve", "a\x07b", "null", " pad "]))
_metadata = st.fixed_dictionaries(
    {},
    optional={
        "user_api_key_team_alias": _texts,
        "user_api_key_team_id": _texts,
        "attempted_fallbacks": st.none() | st.integers(0, 2),
        "attempted_retries": st.none() | st.integers(0, 1),
        "internal_call_origin": st.sampled_from([None, "autorouter_classifier"]),
        "spend_logs_metadata": st.none() | st.fixed_dictionaries({}, optional={"feature": _texts}),
        "routing_decision": st.none()
        | st.fixed_dictionaries({}, optional={"tier": _texts, "classifier_model": st.sampled_from([None, "m"])}),
        "cost_breakdown": st.none()
        | st.fixed_dictionaries({"service_tier": st.sampled_from([None, "flex", "default"])}),
        "usage_object": st.none()
        | st.fixed_dictionaries(
            {},
            optional={
                "prompt_tokens_details": st.none()
                | st.fixed_dictionaries(
                    {}, optional={"cached_tokens": st.integers(0, 4000), "cache_creation_tokens": st.integers(0, 100)}
                ),
                "completion_tokens_details": st.none()
                | st.fixed_dictionaries({"reasoning_tokens": st.integers(0, 3000)}),
                "cache_read_input_tokens": st.integers(0, 50),
            },
        ),
        "additional_usage_values": st.none() | st.just({"cache_creation_input_tokens": 7}),
    },
)
_changes = st.fixed_dictionaries(
    {},
    optional={
        "metadata": _metadata,
        "prompt_tokens": _tokens,
        "completion_tokens": _tokens,
        "spend": st.one_of(
            st.floats(0, 100),
            st.sampled_from(["0.0000000005", "1e-05", "nan", "-1", "", 0, "12345678.9", "0.1234567895"]),
        ),
        "startTime": st.sampled_from(
            ["2026-11-20T10:00:00.000Z", "2026-11-20T10:00:00.123456+02:00", "2026-11-20 10:00:00.5", "yesterday", ""]
        ),
        "endTime": st.sampled_from(["2026-11-20T10:00:09.000Z", "", "2026-11-20T09:00:00.000Z"]),
        "completionStartTime": st.sampled_from(["2026-11-20T10:00:03.000Z", ""]),
        "request_duration_ms": st.sampled_from([0, 5, "", "812", 2**31]),
        "model": st.sampled_from(["openai/gpt-4.1-mini", "gpt-4.1", "anthropic/claude-sonnet-4-6", "acme/x", ""]),
        "custom_llm_provider": st.sampled_from(["openai", "", "anthropic", "deepseek"]),
        "status": st.sampled_from(["success", "failure", "", "SUCCESS"]),
        "cache_hit": st.sampled_from(["True", "False", "", "true", "None"]),
        "request_tags": st.sampled_from([[], ["team:ops", "tier:HARD"], ["feature:a:b"], "", "[broken"]),
        "session_id": st.sampled_from(["", "s1", "s2", "sé"]),
        "call_type": st.sampled_from(["acompletion", "acreate_batch", ""]),
        "team_id": st.sampled_from(["", "t1"]),
        "request_id": st.sampled_from(["req-a", "", "réq", "req b"]),
    },
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(_changes, min_size=1, max_size=12))
def test_by_column_and_by_row_give_the_same_decisions(
    changes: list[dict[str, Any]], new_ledger: Path, tmp_path: Path
) -> None:
    rows = [spend_log(number, **change) for number, change in enumerate(changes, 1)]
    found = []
    for delimiter in (",", ";"):  # only where commas part the columns are they read as such
        path = tmp_path / f"{ord(delimiter)}.db"
        shutil.copy(new_ledger, path)
        with open_ledger(path) as ledger:
            report = load(ledger, as_csv(rows, delimiter=delimiter))
            plain = report.plain()
            plain.pop("seconds")
            reasons = sorted((one["line"], one["reason"]) for one in plain.pop("rejects"))
            decisions = [
                [(a.kind, a.model, a.usage, a.list_cost_nusd, a.price_id) for a in d.attempts] + [d]
                for d in kept(ledger)
            ]
            with ledger.reading() as connection:
                stored = connection.exec_driver_sql("SELECT id, cost_nusd FROM decision").all()
            assert dict(map(tuple, stored)) == {one[-1].id: one[-1].cost_nusd for one in decisions}
            found.append((plain, reasons, decisions))
    assert found[0] == found[1]


def columns_of(text: str) -> tuple[int, list[Any]]:
    """Return how many rows were read by column, and what was read otherwise."""
    items = list(read(Source(io.BytesIO(text.encode()), "a file")))
    return sum(len(item) for item in items if isinstance(item, Columns)), [
        i for i in items if not isinstance(i, Columns)
    ]


def test_plain_rows_are_indeed_read_by_column() -> None:
    text = as_csv([spend_log(number) for number in range(1, 50)])
    assert columns_of(text) == (49, [])


def test_one_row_that_is_not_plain_leaves_the_others_by_column() -> None:
    rows = [spend_log(number) for number in range(1, 50)]
    rows[20]["prompt_tokens"] = -4
    many, others = columns_of(as_csv(rows))
    assert many == 48
    assert [(one.line, one.reason) for one in others] == [(22, "prompt_tokens is negative (-4)")]


@pytest.mark.parametrize("note", ["several\nlines", "a } { b }{ c", '"quoted"'])
def test_metadata_of_any_text_is_read(note: str, new_ledger: Path, db_path: Path) -> None:
    shutil.copy(new_ledger, db_path)
    rows = [spend_log(1, metadata={"note": note}), spend_log(2)]
    with open_ledger(db_path) as ledger:
        report = load(ledger, as_csv(rows))
        assert (report.loaded, report.rejected) == (2, 0)


def test_a_log_of_many_blocks_loses_no_row(new_ledger: Path, db_path: Path) -> None:
    shutil.copy(new_ledger, db_path)
    filler = "x" * 20_000
    rows = [spend_log(number, metadata={"note": filler}) for number in range(1, 1000)]
    with open_ledger(db_path) as ledger:
        report = load(ledger, as_csv(rows))
        assert (report.rows, report.loaded, report.decisions) == (999, 999, 999)
        assert load(ledger, as_csv(rows)).duplicates == 999


def test_the_same_row_twice_in_a_file_is_one(new_ledger: Path, db_path: Path) -> None:
    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as ledger:
        report = load(ledger, as_csv([spend_log(1), spend_log(1), spend_log(2)]))
        assert (report.rows, report.loaded, report.duplicates) == (3, 2, 1)
        assert report.reported_cost_nusd == 2 * 123_000


def days_and_hours(ledger: Ledger) -> list[tuple[int, int]]:
    with ledger.reading() as connection:
        found = connection.exec_driver_sql("SELECT day, hour FROM decision ORDER BY id").all()
    return [(day, hour) for day, hour in found]


@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "America/New_York", "Australia/Lord_Howe", "Europe/Zurich"])
def test_days_and_hours_are_those_of_the_zone(zone: str, tmp_path: Path) -> None:
    starts = [
        f"2026-{month:02d}-{day:02d}T{hour:02d}:{minute:02d}:30.000Z"
        for month, day in ((3, 29), (11, 1), (4, 4))
        for hour in range(24)
        for minute in (1, 31)
    ]
    rows = [spend_log(number, startTime=start) for number, start in enumerate(starts)]
    found = []
    for delimiter in (",", ";"):
        with open_ledger(tmp_path / f"{ord(delimiter)}.db", timezone=zone) as ledger:
            load(ledger, as_csv(rows, delimiter=delimiter))
            found.append(days_and_hours(ledger))
    assert found[0] == found[1]
    assert len(found[0]) == len(starts)
