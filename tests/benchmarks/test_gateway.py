"""The gateway beside one written by hand: CPU a request, requests a second, CPU of paced streams, all in one run."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import pytest
from gateways import gateway
from handwritten import PATTERNS
from upstream import upstream

ROUNDS = 5
REQUESTS = 600
SENTENCE = "Please look at the following case and tell me what you make of it in a few words. "
BODY = {"model": "auto", "messages": [{"role": "user", "content": SENTENCE * 10}]}


@dataclass(frozen=True, slots=True)
class Server:
    """One of the two gateways under load."""

    name: str
    url: str
    process: psutil.Process

    def cpu_s(self) -> float:
        """Return the CPU seconds it has used so far."""
        used = self.process.cpu_times()
        return float(used.user + used.system)


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a measurement; 'make bench' runs it")
    folder = tmp_path_factory.mktemp("bench")
    with upstream() as url, gateway(folder / "ledger.db", config(folder / "c.yaml", url)) as ours:
        command = [sys.executable, str(Path(__file__).with_name("handwritten.py")), url, str(folder / "log.db")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            by_hand = f"http://127.0.0.1:{int(process.stdout.readline())}"
            yield (
                Server("tierwise", ours.url, psutil.Process(ours.process.pid)),
                Server("by hand", by_hand, psutil.Process(process.pid)),
            )
            process.kill()


def config(path: Path, url: str) -> Path:
    """Write a configuration with the same twelve rules, and the two tiers they choose between."""
    rules = "".join(f"  - {{when: {{regex: {json.dumps('(?i)' + one)}}}, score: 90}}\n" for one in PATTERNS)
    path.write_text(
        "tiers:\n  - {name: SIMPLE, models: [cheap]}\n  - {name: STRONG, models: [strong], score_min: 80}\n"
        "models: {cheap: {provider: up, name: ok}, strong: {provider: up, name: ok}, paced: {provider: up}}\n"
        f'providers: {{up: {{base_url: "{url}"}}}}\nrules:\n{rules}'
    )
    return path


async def whole(url: str, concurrency: int, requests: int) -> None:
    """Ask many times for whole answers, so many at once."""
    left = iter(range(requests))
    content = json.dumps(BODY).encode()

    async def caller(session: aiohttp.ClientSession) -> None:
        for _ in left:
            async with session.post(f"{url}/v1/chat/completions", data=content) as response:
                assert response.status == 200
                await response.read()

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(caller(session) for _ in range(concurrency)))


async def streams(url: str, concurrency: int) -> None:
    """Read streams of 200 paced pieces, so many at once, twice."""
    body = {**BODY, "model": "paced", "stream": True}

    async def caller(session: aiohttp.ClientSession) -> None:
        for _ in range(2):
            async with session.post(f"{url}/v1/chat/completions", json=body) as response:
                assert response.status == 200
                assert (await response.read()).endswith(b"data: [DONE]\n\n")

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(caller(session) for _ in range(concurrency)))


def measured(
    pair: tuple[Server, Server], load: Callable[[str], Awaitable[None]], rounds: int = ROUNDS
) -> tuple[list[float], list[float]]:
    """Load both by turns; return the ratios, ours to theirs, of CPU used and of time taken, one a round."""
    cpu, wall = [], []
    for number in range(rounds + 1):
        used = []
        for server in pair if number % 2 else reversed(pair):
            cpu_before, began = server.cpu_s(), time.perf_counter()
            asyncio.run(load(server.url))  # type: ignore[arg-type]
            took = time.perf_counter() - began
            used.append((server.name, server.cpu_s() - cpu_before, took))
        ours, theirs = sorted(used, key=lambda one: one[0] != "tierwise")
        if number:  # the first round warms both up
            cpu.append(ours[1] / theirs[1])
            wall.append(ours[2] / theirs[2])
    return cpu, wall


def verdict(name: str, ratio: float, bar: float, *, at_least: bool = False) -> None:
    """Print one line of the table, and fail where the bar is missed."""
    held = ratio >= bar if at_least else ratio <= bar
    sign = ">=" if at_least else "<="
    print(f"\n{name} | {ratio:.2f} | {sign} {bar} | {'holds' if held else 'MISSED'}")
    assert held


def test_cpu_of_a_request(pair: tuple[Server, Server]) -> None:
    cpu, _ = measured(pair, lambda url: whole(url, 16, REQUESTS))
    verdict("gateway, rules and ledger: CPU a request, to one by hand", statistics.median(cpu), 1.5)


def test_requests_a_second_at_64(pair: tuple[Server, Server]) -> None:
    _, wall = measured(pair, lambda url: whole(url, 64, REQUESTS))
    verdict("gateway: requests a second at 64, to one by hand", 1 / statistics.median(wall), 0.65, at_least=True)


def test_cpu_of_paced_streams(pair: tuple[Server, Server]) -> None:
    cpu, _ = measured(pair, lambda url: streams(url, 16))
    verdict("gateway, 16 streams of 200 pieces: CPU, to passing through by hand", statistics.median(cpu), 1.5)
