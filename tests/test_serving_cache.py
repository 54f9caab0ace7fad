"""Caches: a request asked before costs nothing, and nobody is given an answer to another question."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from served import CALL, Served, config, served
from upstream import upstream

from router_core.decision import Status, Strategy
from router_core.ledger.answer_cache import SqliteAnswers
from router_core.ledger.queries import spend
from router_core.ledger.rollup import refresh
from router_core.serving.cache import AnswerStore, MemoryAnswers
from router_core.serving.chunks import assembled, streamed
from router_core.serving.redis_answers import RedisAnswers

EXACT = "cache: {mode: exact}"
SEMANTIC = "cache: {mode: semantic, similarity_threshold: 0.8}"
ASK, ALIKE = "How do I reset my password?", "How do I reset my password, please?"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with upstream() as address:
        yield address


def asked(run: Served) -> int:
    return len(run.calls())


async def test_the_same_request_again_calls_no_model_and_costs_nothing(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, yaml=EXACT)) as run:
        first, paid = await run.ask(ASK, metadata={"trace": "1"})
        before = asked(run)
        again, free = await run.ask(ASK, metadata={"trace": "2"}, user="somebody", stream=False)
        assert asked(run) == before
        refresh(run.ledger)
        (cells,) = spend(run.ledger, [], None, None)
    assert first == again
    assert (paid.strategy, paid.cost_nusd) == (Strategy.DIRECT, CALL["cheap"])
    assert (free.strategy, free.status, free.cost_nusd, free.attempts) == (Strategy.CACHE_EXACT, Status.OK, 0, ())
    assert (free.tier, free.score) == (paid.tier, paid.score)
    assert (cells.decisions, cells.cache_hits, cells.list_cost_nusd) == (2, 1, CALL["cheap"])


@pytest.mark.parametrize(
    "other",
    [
        {"temperature": 0.5},
        {"max_tokens": 5},
        {"metadata": {"team": "b"}},
        {"metadata": {"feature": "other"}},
        {"model": "cheap"},
        {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": ASK}]},
        {"messages": [{"role": "user", "content": ALIKE}]},
    ],
)
async def test_whatever_differs_in_the_request_its_team_or_its_feature_is_another(
    url: str, db_path: Path, other: dict[str, Any]
) -> None:
    async with served(url, db_path, config(url, yaml=EXACT)) as run:
        await run.ask(ASK)
        _, decision = await run.ask(ASK, **other)
    assert decision.strategy == Strategy.DIRECT


@pytest.mark.parametrize("streams", [(True, True), (True, False), (False, True)])
async def test_streams_are_kept_and_answered_from_the_cache_like_any_other(
    url: str, db_path: Path, streams: tuple[bool, bool]
) -> None:
    async with served(url, db_path, config(url, yaml=EXACT)) as run:
        first, _ = await run.ask(ASK, stream=streams[0])
        again, decision = await run.ask(ASK, stream=streams[1])
    assert first == again == "The answer is forty-two."
    assert decision.strategy == Strategy.CACHE_EXACT


async def test_a_caller_who_leaves_while_a_stream_is_kept_leaves_it_on_record(url: str, db_path: Path) -> None:
    class Stuck(MemoryAnswers):
        async def keep(self, *_: object) -> None:
            await asyncio.Event().wait()

    async with served(url, db_path, config(url, yaml=EXACT), answers=Stuck()) as run:
        answer = await run.router.complete({"messages": [{"role": "user", "content": "hi"}], "stream": True})
        chunks = answer.chunks
        assert chunks is not None

        async def read() -> list[bytes]:
            return [piece async for piece in chunks]

        reading = asyncio.ensure_future(read())
        await asyncio.sleep(0.5)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await chunks.aclose()
        decision = run.kept(answer)
    assert (decision.status, decision.cost_nusd) == (Status.OK, CALL["cheap"])


async def test_a_stream_of_pieces_nobody_knows_passes_and_is_not_kept(url: str, db_path: Path) -> None:
    piece = {"choices": [{"delta": "forty-two"}, None]}
    end = {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    async with served(url, db_path, config(url, {"cheap": f"raw:{json.dumps([piece, end])}"}, EXACT)) as run:
        decisions = [(await run.ask(stream=True))[1] for _ in range(2)]
    assert [(one.status, one.strategy) for one in decisions] == [(Status.OK, Strategy.DIRECT)] * 2


async def test_an_answer_expires_and_each_feature_says_when(url: str, db_path: Path) -> None:
    now = [1000.0]
    store = SqliteAnswers(db_path.with_suffix(".c"), max_bytes=2**20, clock=lambda: now[0])
    yaml = f"{EXACT}\nfeatures: {{news: {{cache: {{mode: exact, ttl_seconds: 60}}}}, chat: {{cache: {{mode: 'off'}}}}}}"
    async with served(url, db_path, config(url, yaml=yaml), answers=store) as run:
        for feature in ("news", "other", "chat"):
            await run.ask(ASK, metadata={"feature": feature})
        now[0] += 61
        strategies = [
            (await run.ask(ASK, metadata={"feature": name}))[1].strategy for name in ("news", "other", "chat")
        ]
    assert strategies == [Strategy.DIRECT, Strategy.CACHE_EXACT, Strategy.DIRECT]


@pytest.mark.parametrize("model", ["filtered", "http-500", "cut"])
async def test_what_is_no_whole_answer_is_not_kept(url: str, db_path: Path, model: str) -> None:
    async with served(url, db_path, config(url, {"cheap": model}, EXACT)) as run:
        for _ in range(2):
            try:
                _, decision = await run.ask(ASK)
            except Exception:  # noqa: BLE001 - how it failed is asserted elsewhere
                continue
            assert decision.strategy == Strategy.DIRECT
    path = Path(f"{db_path}.cache")
    if path.exists():
        with sqlite3.connect(path) as connection:
            assert connection.execute("SELECT COUNT(*) FROM answer").fetchone() == (0,)
        connection.close()


async def test_a_question_said_a_little_otherwise_is_answered_from_the_cache(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, yaml=SEMANTIC)) as run:
        await run.ask(ASK)
        before = asked(run)
        text, decision = await run.ask(ALIKE)
        assert asked(run) == before
    assert text == "The answer is forty-two."
    assert (decision.strategy, decision.cost_nusd, decision.attempts) == (Strategy.CACHE_SEMANTIC, 0, ())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I cancel my subscription today?", "How do I not cancel my subscription today?"),
        ("Refund order number 4711 to the customer", "Refund order number 4712 to the customer"),
        ("How do I enable the login alarm?", "How do I disable the login alarm?"),
    ],
)
async def test_a_question_turned_round_is_not(url: str, db_path: Path, one: str, other: str) -> None:
    async with served(url, db_path, config(url, yaml=SEMANTIC)) as run:
        await run.ask(one)
        _, decision = await run.ask(other)
    assert decision.strategy == Strategy.DIRECT


@pytest.mark.parametrize(
    "other",
    [
        {"metadata": {"team": "b"}},
        {"temperature": 0.5},
        {"messages": [{"role": "system", "content": "You are a pirate."}, {"role": "user", "content": ALIKE}]},
        {"tools": [{"type": "function", "function": {"name": "look_up"}}]},
        {"response_format": {"type": "json_object"}},
    ],
)
async def test_likeness_counts_only_where_all_else_is_equal(url: str, db_path: Path, other: dict[str, Any]) -> None:
    async with served(url, db_path, config(url, yaml=SEMANTIC)) as run:
        await run.ask(ASK)
        _, decision = await run.ask(ALIKE, **other)
    assert decision.strategy == Strategy.DIRECT


@pytest.mark.parametrize(("model", "found"), [("ok", "cache sample: agrees"), ("vary", "cache sample: differs")])
async def test_a_sample_of_hits_is_answered_by_the_model_too_and_compared(
    url: str, db_path: Path, model: str, found: str
) -> None:
    yaml = "cache: {mode: semantic, similarity_threshold: 0.8, false_hit_sample: 1}"
    async with served(url, db_path, config(url, {"cheap": model}, yaml)) as run:
        first, _ = await run.ask(ASK)
        text, decision = await run.ask(ALIKE, stream=True)
        refresh(run.ledger)
        (cells,) = spend(run.ledger, [], None, None)
    assert text == first
    assert decision.strategy == Strategy.CACHE_SEMANTIC
    assert [(one.kind.name, one.reason) for one in decision.attempts] == [("SHADOW", found)]
    assert decision.cost_nusd == CALL["cheap"]
    assert (cells.decisions, cells.cache_hits) == (2, 1)


async def test_what_a_cascade_accepted_is_kept_and_not_its_rejected_draft(url: str, db_path: Path) -> None:
    settings = config(url, {"cheap": "says:I'm not sure, perhaps."}, f"{EXACT}\nstrategy: cascade")
    async with served(url, db_path, settings) as run:
        await run.ask(ASK)
        text, decision = await run.ask(ASK)
    assert (text, decision.strategy) == ("The answer is forty-two.", Strategy.CACHE_EXACT)


@pytest.mark.parametrize("damage", ["damaged", "locked"])
async def test_a_cache_that_cannot_be_used_is_a_miss_and_no_fault(
    url: str, db_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = Path(f"{db_path}.cache")
    holder = None
    if damage == "damaged":
        path.write_bytes(b"not a database at all" * 100)
    async with served(url, db_path, config(url, yaml=EXACT)) as run:
        if damage == "locked":
            await run.ask("something else")
            holder = sqlite3.connect(path, isolation_level=None)
            holder.execute("BEGIN EXCLUSIVE")
        for _ in range(2):
            text, decision = await run.ask(ASK)
            assert (text, decision.strategy) == ("The answer is forty-two.", Strategy.DIRECT)
        if holder is not None:
            holder.close()
    assert "cache" in caplog.text


async def test_a_stored_answer_tells_nothing_of_the_prompt(url: str, db_path: Path) -> None:
    async with served(url, db_path, config(url, yaml=SEMANTIC)) as run:
        await run.ask("an unmistakable sentence about periwinkle submarines")
    for file in db_path.parent.glob("*.cache*"):
        assert b"periwinkle" not in file.read_bytes()


Store = Callable[[], AnswerStore]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":
        yield lambda: MemoryAnswers()
    elif request.param == "sqlite":
        yield lambda: SqliteAnswers(tmp_path / "c", max_bytes=2**20)
    else:
        pytest.importorskip("redis", reason="the redis package is not installed")
        if shutil.which("redis-server") is None:
            pytest.skip("no redis-server here (Debian: apt-get install redis-server)")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                try:
                    socket.create_connection(("127.0.0.1", port), 0.2).close()
                    break
                except OSError:
                    time.sleep(0.05)
            yield lambda: RedisAnswers(f"redis://127.0.0.1:{port}")
            process.terminate()


async def test_every_store_finds_what_it_keeps_until_it_expires(store: Store) -> None:
    kept = store()
    await kept.keep(b"k1", b"one", 60, (b"scope", b"p1"))
    await kept.keep(b"k2", b"two", 60, (b"scope", b"p2"))
    await kept.keep(b"k3", b"three", 1, (b"other", b"p3"))
    assert await kept.find(b"k1") == b"one"
    assert await kept.find(b"k4") is None
    assert sorted(await kept.near(b"scope")) == [(b"k1", b"p1"), (b"k2", b"p2")]
    assert await kept.near(b"none") == []
    await kept.keep(b"k1", b"newer", 60, (b"scope", b"p1"))
    assert await kept.find(b"k1") == b"newer"
    await asyncio.sleep(1.1)
    assert await kept.find(b"k3") is None
    assert await kept.find(b"k2") == b"two"
    await kept.close()


async def test_every_store_serves_a_router(url: str, db_path: Path, store: Store) -> None:
    async with served(url, db_path, config(url, yaml=SEMANTIC), answers=store()) as run:
        strategies = [(await run.ask(text))[1].strategy for text in (ASK, ASK, ALIKE)]
    assert strategies == [Strategy.DIRECT, Strategy.CACHE_EXACT, Strategy.CACHE_SEMANTIC]


async def test_a_redis_that_is_away_is_a_miss(url: str, db_path: Path) -> None:
    pytest.importorskip("redis", reason="the redis package is not installed")
    async with served(url, db_path, config(url, yaml=EXACT), answers=RedisAnswers("redis://127.0.0.1:9/0")) as run:
        assert (await run.ask(ASK))[1].status == Status.OK


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_store_stays_within_its_bound_and_forgets_the_oldest(tmp_path: Path, kind: str) -> None:
    bound = 100_000
    kept = MemoryAnswers(bound) if kind == "memory" else SqliteAnswers(tmp_path / "c", max_bytes=bound)
    for number in range(600):
        await kept.keep(b"%d" % number, b"x" * 1000, 60, (b"scope", b"p"))
    assert await kept.find(b"0") is None
    assert await kept.find(b"599") is not None
    held = [number for number in range(600) if await kept.find(b"%d" % number) is not None]
    assert 60 <= len(held) <= 100 + 64  # swept once in 64
    await kept.close()


async def test_a_whole_answer_cut_into_pieces_and_put_together_is_the_same() -> None:
    calls = [{"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"a": 1}'}}]
    answer = {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "many words " * 30}, "finish_reason": "stop"},
            {
                "index": 1,
                "message": {"role": "assistant", "content": None, "tool_calls": calls},
                "finish_reason": "tool_calls",
            },
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
    }
    pieces = [piece async for piece in streamed(answer, wants_usage=True)]
    assert len(pieces) > 8
    assert assembled(b"".join(pieces)) == answer
    assert assembled(b"".join(pieces[:-2])) is None
    assert json.loads(pieces[0][6:])["object"] == "chat.completion.chunk"
