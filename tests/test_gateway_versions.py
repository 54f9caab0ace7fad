"""A running gateway follows its ledger: pushed versions and new prices, with no request dropped."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from gateways import Gateway, gateway, write_config
from upstream import upstream

from router_core.config import load_config, set_values
from router_core.ledger.price_rows import add_prices
from router_core.ledger.store import open_ledger
from router_core.lifecycle.versions import push
from router_core.prices import price_from_entry

BODY = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Gateway]:
    with upstream() as url:
        config = write_config(tmp_path / "config.yaml", url, {"cheap": "ok", "strong": "ok"})
        with gateway(tmp_path / "ledger.db", config, UP_KEY="k") as running:
            yield running


async def test_a_pushed_version_is_taken_within_a_second_and_no_request_fails(served: Gateway) -> None:
    seen: list[tuple[float, str, str]] = []
    stop = asyncio.Event()

    async def caller(session: aiohttp.ClientSession) -> None:
        while not stop.is_set():
            async with session.post(f"{served.url}/v1/chat/completions", json=BODY) as response:
                assert response.status == 200, await response.text()
                await response.read()
                headers = response.headers
                seen.append((time.monotonic(), headers["x-tierwise-version"], headers["x-tierwise-tier"]))

    async with aiohttp.ClientSession() as session:
        callers = [asyncio.ensure_future(caller(session)) for _ in range(8)]
        await asyncio.sleep(0.3)
        with open_ledger(served.db) as ledger:
            config = load_config(served.db.with_name("config.yaml"))
            push(ledger, set_values(config, ["boundaries.STRONG=0"]), author="test", note="all strong", expected=1)
            pushed = time.monotonic()
        await asyncio.sleep(1.3)
        stop.set()
        await asyncio.gather(*callers)
    assert {(version, tier) for _, version, tier in seen} == {("1", "SIMPLE"), ("2", "STRONG")}
    assert max(at for at, version, _ in seen if version == "1") - pushed < 1.0


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("classifier.scorer=missing", "no scorer 'missing'"),
        ("cascade.checks=[{length: 5}]", "cascade.checks.0.length: give its settings by name (min, max), not 5"),
    ],
)
def test_a_version_that_cannot_be_served_leaves_the_last_one_in_use(served: Gateway, setting: str, why: str) -> None:
    with open_ledger(served.db) as ledger:
        config = load_config(served.db.with_name("config.yaml"))
        push(ledger, set_values(config, [setting]), author="test", note="what no gateway can serve")
        time.sleep(0.8)
        client = served.client()
        raw = client.chat.completions.with_raw_response.create(**BODY)  # type: ignore[call-overload]
        assert raw.headers["x-tierwise-version"] == "1"
        assert why in served.log.read_text()
        push(ledger, set_values(config, ["boundaries.STRONG=0"]), author="test", note="mended")
    deadline = time.monotonic() + 2
    while raw.headers["x-tierwise-version"] != "3" and time.monotonic() < deadline:
        raw = client.chat.completions.with_raw_response.create(**BODY)  # type: ignore[call-overload]
    assert raw.headers["x-tierwise-version"] == "3"


def test_a_price_set_meanwhile_prices_the_next_requests(served: Gateway) -> None:
    client = served.client()
    first = client.chat.completions.with_raw_response.create(**BODY)  # type: ignore[call-overload]
    assert served.decision(first.headers["x-tierwise-decision"]).cost_nusd is None
    entry = {"provider": "up", "model": "ok", "effective_from": "2024-01-01", "input": "1", "output": "10"}
    with open_ledger(served.db) as ledger:
        add_prices(ledger, [price_from_entry(entry)])
    deadline = time.monotonic() + 3
    cost = None
    while cost is None and time.monotonic() < deadline:
        raw = client.chat.completions.with_raw_response.create(**BODY)  # type: ignore[call-overload]
        cost = served.decision(raw.headers["x-tierwise-decision"]).cost_nusd
    assert cost == 11 * 1000 + 6 * 10_000
