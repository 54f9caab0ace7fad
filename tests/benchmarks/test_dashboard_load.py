"""The dashboard's server under twenty readers who tune at once, and its memory over a thousand moves of a slider."""

from __future__ import annotations

import asyncio
import gc
import os
import statistics
import time
from collections.abc import Iterator

import aiohttp
import enlarged
import numpy as np
import psutil
import pytest
import running
from sessions import Session, connected

READERS, SECONDS = 20, 20
SLIDER = "MEDIUM starts at"
WARM, MOVES, LOOKS = 200, 1_000, 20


@pytest.fixture(autouse=True)
def _measured(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a measurement; 'make bench' runs it")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running.dashboard(enlarged.demo(tmp_path_factory.mktemp("load") / "ledger.db")) as started:
        yield started


def report(name: str, figure: float, bar: float, note: str) -> bool:
    """Print one line of the table and return whether the bar was met."""
    met = figure <= bar
    verdict = "met" if met else "NOT MET"
    print(f"\n{name} | {figure:.3g} | <= {bar:g} | {verdict} | {note}, load {os.getloadavg()[0]:.0f}")
    return met


async def tune(one: Session, place: int) -> list[float]:
    """Move a slider once a second; return the milliseconds until each move was answered in full."""
    found = []
    await asyncio.sleep(place / READERS)
    for second in range(SECONDS):
        began = time.perf_counter()
        taken, figures = await one.move(50 + (place + second) % 20)
        assert figures == 3
        found.append(taken)
        await asyncio.sleep(max(0.0, 1 - (time.perf_counter() - began)))
    return found


async def readers(address: str) -> list[float]:
    async with aiohttp.ClientSession() as client:
        those = [await connected(client, address, SLIDER) for _ in range(READERS)]
        for one in those:
            await one.open("tuning")
            await one.move(60)
        gc.collect()
        found = await asyncio.gather(*(tune(one, place) for place, one in enumerate(those)))
    return [taken for each in found for taken in each]


def test_twenty_readers_tune_at_once_without_waiting(address: str) -> None:
    found = asyncio.run(readers(address))
    ordered = statistics.quantiles(found, n=20)
    note = f"{READERS} readers, a move a second each, {len(found)} moves; median {statistics.median(found):.0f} ms"
    assert report("95th percentile of a slider's answer, ms", ordered[-1], 200, note)


async def weights(address: str, server: psutil.Process) -> list[float]:
    """Return the server's megabytes at even steps of a thousand moves, once it is warm."""
    found = []
    async with aiohttp.ClientSession() as client:
        one = await connected(client, address, SLIDER)
        await one.open("tuning")
        for move in range(WARM + MOVES):
            if move >= WARM and (move - WARM) % (MOVES // LOOKS) == 0:
                found.append(server.memory_info().rss / 2**20)
            await one.move(50 + move % 20)
    return [*found, server.memory_info().rss / 2**20]


def test_the_servers_memory_stays_flat_over_a_thousand_moves(address: str) -> None:
    port = int(address.rpartition(":")[2])
    server = next(
        child
        for child in psutil.Process().children()
        if any(link.laddr.port == port and link.status == psutil.CONN_LISTEN for link in child.net_connections())
    )
    found = asyncio.run(weights(address, server))
    slope = float(np.polyfit(np.linspace(0, 1, len(found)), found, 1)[0])
    note = f"{found[0]:.0f} MB at first, {found[-1]:.0f} MB at the end, {WARM} moves before"
    assert report("megabytes more over a thousand moves", slope, 4, note)
