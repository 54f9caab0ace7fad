"""What was delivered is in the ledger, exactly once, however the gateway ends."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from pathlib import Path
from uuid import UUID

import aiohttp
import pytest
from gateways import Gateway, gateway, write_config
from upstream import upstream

from router_core.config import set_values
from router_core.ledger.store import open_ledger
from router_core.lifecycle.versions import live, push

KILLS = 20
CALLERS = 16
DELIVERED_BEFORE_KILL = 60


async def under_load(served: Gateway, delivered: set[bytes]) -> None:
    """Ask with many callers at once, half of them for streams, note what arrived whole, and kill in the midst of it."""
    enough = len(delivered) + DELIVERED_BEFORE_KILL

    async def caller(session: aiohttp.ClientSession, stream: bool) -> None:
        body = {"model": "auto", "messages": [{"role": "user", "content": "hello"}], "stream": stream}
        while True:
            try:
                async with session.post(f"{served.url}/v1/chat/completions", json=body) as response:
                    content = await response.read()
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.005)
                continue
            assert response.status == 200, content
            assert not stream or content.endswith(b"data: [DONE]\n\n")
            delivered.add(UUID(response.headers["x-tierwise-decision"]).bytes)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        callers = [asyncio.ensure_future(caller(session, number % 2 == 0)) for number in range(CALLERS)]
        while len(delivered) < enough and not any(one.done() for one in callers):
            await asyncio.sleep(0.001)
        served.kill()
        await asyncio.sleep(0.02)  # what was on its way arrives
        failed = [one for one in callers if one.done()]  # callers end by an assertion only
        for one in callers:
            one.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
        for one in failed:
            one.result()


@pytest.mark.slow
def test_a_kill_under_load_loses_no_delivered_answer_and_doubles_none(tmp_path: Path) -> None:
    db = tmp_path / "ledger.db"
    delivered: set[bytes] = set()

    with upstream() as url:
        config: Path | None = write_config(tmp_path / "config.yaml", url, {"cheap": "ok", "strong": "ok"})
        for _ in range(KILLS):
            with gateway(db, config, UP_KEY="k") as served:
                asyncio.run(under_load(served, delivered))
            config = None
        with gateway(db, UP_KEY="k"):
            pass  # a last start replays whatever a spool still holds
    kept = decisions(db)
    assert len(delivered) >= KILLS * DELIVERED_BEFORE_KILL
    assert len(kept) == len(set(kept))
    assert delivered <= set(kept)
    assert attempts_without_decision(db) == 0


async def test_a_gateway_told_to_stop_finishes_what_it_began(tmp_path: Path) -> None:
    with upstream() as url:
        config = write_config(tmp_path / "config.yaml", url, {"cheap": "slow", "strong": "ok"})
        with gateway(tmp_path / "ledger.db", config, UP_KEY="k") as served:
            async with served.async_client() as client:
                messages = [{"role": "user", "content": "hello"}]
                stream = await client.chat.completions.create(model="auto", messages=messages, stream=True)  # type: ignore[call-overload]
                first = await anext(stream)
                served.process.send_signal(signal.SIGTERM)
                rest = [piece async for piece in stream]
            text = "".join(piece.choices[0].delta.content or "" for piece in (first, *rest))
            assert text == "The answer is forty-two."
            assert await asyncio.to_thread(served.process.wait, 10) in (0, -signal.SIGTERM)
    assert len(decisions(tmp_path / "ledger.db")) == 1


def decisions(db: Path) -> list[bytes]:
    connection = sqlite3.connect(db)
    try:
        return [row[0] for row in connection.execute("SELECT id FROM decision")]
    finally:
        connection.close()


def attempts_without_decision(db: Path) -> int:
    connection = sqlite3.connect(db)
    try:
        query = "SELECT COUNT(*) FROM attempt WHERE decision_id NOT IN (SELECT id FROM decision)"
        return int(connection.execute(query).fetchone()[0])
    finally:
        connection.close()


def test_a_conversation_stays_where_it_was_when_its_gateway_starts_again(tmp_path: Path) -> None:
    def said(served: Gateway, text: str, conversation: str) -> str:
        raw = served.client().chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": text}], metadata={"conversation": conversation}
        )
        return str(raw.headers["x-tierwise-tier"])

    db = tmp_path / "ledger.db"
    rules = "[{when: {keywords: [prove]}, score: 100}]"
    with upstream() as url:
        config = write_config(tmp_path / "config.yaml", url, {"cheap": "ok", "strong": "ok"}, rules=rules)
        with gateway(db, config, UP_KEY="k") as served:
            assert [said(served, "prove it", "c"), said(served, "hello", "d")] == ["STRONG", "SIMPLE"]
            served.kill()
        with gateway(db, UP_KEY="k") as served:
            assert [said(served, "and now", one) for one in ("c", "d", "e")] == ["STRONG", "SIMPLE", "SIMPLE"]
            with open_ledger(db) as ledger:
                push(ledger, set_values(live(ledger).config, ["sticky.warm_seconds=0"]), author="test", note="cold")
        with gateway(db, UP_KEY="k") as served:
            assert said(served, "and now", "c") == "SIMPLE"
