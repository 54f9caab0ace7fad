"""A LiteLLM database is read bit by bit: each call once, whole requests, and never the prompts."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from imports import KEY, as_csv, everything, kept, load, spend_log

pytest.importorskip("psycopg")

import psycopg
from test_ledger_postgres import Server, server

from router_core.cli import main
from router_core.decision import Kind, RoutingDecision
from router_core.errors import InputError
from router_core.exchange.litellm_live import capture
from router_core.ledger.store import Ledger, open_ledger

__all__ = ["server"]

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
SECRET = "the prompt nobody may read"
COLUMNS = {
    **dict.fromkeys(("request_id", "call_type", "model", "model_group", "custom_llm_provider", "cache_hit"), "TEXT"),
    **dict.fromkeys(("session_id", "status", "team_id", "api_key", "user"), "TEXT"),
    **dict.fromkeys(("prompt_tokens", "completion_tokens", "total_tokens", "request_duration_ms"), "INTEGER"),
    **dict.fromkeys(("startTime", "endTime", "completionStartTime"), "TIMESTAMP(3)"),
    **dict.fromkeys(("metadata", "request_tags", "messages", "response"), "JSONB"),
    "spend": "DOUBLE PRECISION",
}


class LiteLLM:
    """A database with the table of LiteLLM's schema, as a proxy fills it."""

    def __init__(self, url: str) -> None:
        self.url = url
        columns = ", ".join(f'"{name}" {kind}' for name, kind in COLUMNS.items())
        self.run(f'CREATE TABLE "LiteLLM_SpendLogs" ({columns}, PRIMARY KEY (request_id))')

    def run(self, statement: str, values: list[Any] | None = None) -> None:
        with psycopg.connect(self.url) as connection:
            connection.execute(statement, values)

    def log(self, *rows: dict[str, Any]) -> None:
        """Write rows as the proxy does, prompts and all."""
        for row in rows:
            whole = {**row, "messages": [{"role": "user", "content": SECRET}], "response": {"text": SECRET}}
            names = [name for name in COLUMNS if name in whole]
            values = [json.dumps(v) if isinstance(v := whole[name], dict | list) else v for name in names]
            columns = ", ".join(f'"{name}"' for name in names)
            self.run(f'INSERT INTO "LiteLLM_SpendLogs" ({columns}) VALUES ({", ".join(["%s"] * len(names))})', values)


def row(number: int, at: datetime, *, seconds: float = 1, **changes: Any) -> dict[str, Any]:
    """One call that began at that time, as ``imports.spend_log`` has it."""
    return spend_log(
        number,
        startTime=at.isoformat(timespec="milliseconds"),
        endTime=(at + timedelta(seconds=seconds)).isoformat(timespec="milliseconds"),
        completionStartTime=(at + timedelta(seconds=seconds / 2)).isoformat(timespec="milliseconds"),
        request_duration_ms=int(seconds * 1000),
        **changes,
    )


@pytest.fixture
def proxy(server: Server, request: pytest.FixtureRequest) -> LiteLLM:
    """The database of a LiteLLM proxy that has not logged anything yet."""
    return LiteLLM(server.database(f"litellm_{request.node.originalname[5:45]}"))


def look(ledger: Ledger, proxy: LiteLLM, now: datetime) -> Any:
    return capture(ledger, proxy.url, now=now, hash_key=KEY)


def told(decisions: list[RoutingDecision]) -> list[Any]:
    return sorted((one.id, one.attempts, one.team, one.feature, one.conversation_hash) for one in decisions)


def test_a_capture_loads_what_the_same_rows_as_csv_do(proxy: LiteLLM, ledger: Ledger, tmp_path: Path) -> None:
    rows = [row(number, NOON - timedelta(minutes=number)) for number in range(1, 60)]
    rows += [row(90, NOON - timedelta(minutes=3), cache_hit="True", spend=0.0)]
    proxy.log(*rows)
    report = look(ledger, proxy, NOON + timedelta(hours=1))
    assert (report.rows, report.loaded, report.duplicates, report.rejected) == (60, 60, 0, 0)
    with open_ledger(tmp_path / "csv.db") as other:
        load(other, as_csv(rows))
        assert told(kept(ledger)) == told(kept(other))
        assert everything(ledger)[1] == everything(other)[1]
    for file in tmp_path.iterdir():
        assert SECRET.encode() not in file.read_bytes()


def test_each_capture_goes_on_where_the_last_ended_and_counts_nothing_twice(proxy: LiteLLM, ledger: Ledger) -> None:
    proxy.log(*(row(number, NOON + timedelta(minutes=number)) for number in range(10)))
    first = look(ledger, proxy, NOON + timedelta(minutes=5, seconds=30))
    assert first.loaded == 4  # what ended within the last two minutes may not be written yet
    before = everything(ledger)
    assert look(ledger, proxy, NOON + timedelta(minutes=5, seconds=30)).loaded == 0
    assert everything(ledger) == before
    assert look(ledger, proxy, NOON + timedelta(minutes=30)).loaded == 6
    proxy.log(row(77, NOON + timedelta(minutes=1)))  # written late
    assert look(ledger, proxy, NOON + timedelta(minutes=40)).loaded == 1
    far = look(ledger, proxy, NOON + timedelta(days=3))
    assert (far.rows, far.loaded) == (11, 0)  # an hour back from the last capture
    assert look(ledger, proxy, NOON + timedelta(days=4)).rows == 0
    assert len(kept(ledger)) == 11


def test_a_failed_call_waits_for_the_one_that_takes_over(proxy: LiteLLM, ledger: Ledger) -> None:
    at = NOON + timedelta(minutes=10)
    metadata = {"attempted_fallbacks": 1, "original_model_group": "auto"}
    error = {"error_information": {"error_code": "500", "error_class": "InternalServerError"}}
    proxy.log(row(1, at, session_id="s", status="failure", spend=0.0, metadata={**metadata, **error}))
    early = look(ledger, proxy, at + timedelta(minutes=4))
    assert (early.loaded, early.rows) == (0, 0)
    assert "left for the next capture" in " ".join(early.notes)
    proxy.log(row(2, at + timedelta(seconds=90), session_id="s", metadata=metadata))
    late = look(ledger, proxy, at + timedelta(minutes=20))
    assert (late.loaded, late.decisions) == (2, 1)
    (decision,) = kept(ledger)
    assert [call.kind for call in decision.attempts] == [Kind.ANSWER, Kind.FAILOVER]
    assert look(ledger, proxy, at + timedelta(minutes=60)).loaded == 0
    assert len(kept(ledger)) == 1


def test_a_failure_nobody_took_over_from_is_loaded_in_the_end(proxy: LiteLLM, ledger: Ledger) -> None:
    proxy.log(row(1, NOON, session_id="s", status="failure", spend=0.0))
    assert look(ledger, proxy, NOON + timedelta(minutes=5)).loaded == 0
    assert look(ledger, proxy, NOON + timedelta(minutes=15)).loaded == 1


def test_a_row_that_cannot_be_used_is_told_and_the_rest_loaded(proxy: LiteLLM, ledger: Ledger) -> None:
    proxy.log(row(1, NOON), row(2, NOON, model=""), row(3, NOON, prompt_tokens=-5))
    report = look(ledger, proxy, NOON + timedelta(hours=1))
    assert (report.rows, report.loaded, report.rejected) == (3, 1, 2)
    assert {one.reason for one in report.rejects} == {"model is missing", "prompt_tokens is negative (-5)"}


def test_what_is_not_litellms_database_is_told_in_a_sentence(server: Server, ledger: Ledger) -> None:
    empty = server.database("not_litellm")
    with pytest.raises(InputError, match="not LiteLLM's database: it has no table LiteLLM_SpendLogs"):
        capture(ledger, empty)
    with psycopg.connect(empty) as connection:
        connection.execute('CREATE TABLE "LiteLLM_SpendLogs" (request_id TEXT)')
    with pytest.raises(InputError, match="its LiteLLM_SpendLogs has no spend"):
        capture(ledger, empty)
    with pytest.raises(InputError, match="cannot be read") as refused:
        capture(ledger, "postgresql://someone:hunter2@127.0.0.1:1/x")
    assert "hunter2" not in str(refused.value)
    with pytest.raises(InputError, match="given as postgresql://"):
        capture(ledger, "mysql://x/y")


def test_the_command_says_what_it_loaded(proxy: LiteLLM, db_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=2)
    proxy.log(row(1, long_ago), row(2, long_ago + timedelta(days=1)))
    arguments = ["capture", "litellm", "--from", proxy.url, "--db", str(db_path)]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--since", "2d"])  # yesterday and today, as UTC counts them
    assert not ended.value.code
    assert "1 row read, 1 loaded" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([*arguments[:3], "postgresql://127.0.0.1:1/x", *arguments[4:]])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("tierwise: LiteLLM's database cannot be read")
