"""The gateway beside one written by hand, LiteLLM's proxy and Portkey's gateway, before one upstream, in one run.

Ratios are taken within a round, in which everybody has a turn; their median over rounds counts.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest
from gateways import gateway
from handwritten import PATTERNS
from lean import ask_many, upstream
from peers import Absent, litellm_proxy, portkey_gateway
from verdicts import Verdicts

ROUNDS = 5
REQUESTS = 1_000
SENTENCE = "Please look at the following case and tell me what you make of it in a few words. "
MESSAGES = [{"role": "user", "content": SENTENCE * 10}]
OURS, BY_HAND, LITELLM, PORTKEY, DIRECT = "tierwise", "by hand", "LiteLLM", "Portkey", "direct"


@dataclass(frozen=True, slots=True)
class Server:
    """One of those under load; ``share`` of the requests is enough for one that is slow."""

    name: str
    url: str
    pid: int = 0
    model: str = "auto"
    headers: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0

    def cpu_s(self) -> float:
        """Return the CPU seconds it has used so far."""
        used = psutil.Process(self.pid).cpu_times() if self.pid else psutil.Process().cpu_times()
        return float(used.user + used.system)


@dataclass(slots=True)
class Turn:
    """What one server's turn in a round took, by request: CPU and wall seconds, and each request's seconds."""

    cpu_s: float
    wall_s: float
    each_s: list[float]


Servers = dict[str, Server]
Load = Callable[[Server], list[float]]


@pytest.fixture(scope="module")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a measurement; 'make bench' runs it")
    folder = tmp_path_factory.mktemp("bench")
    with ExitStack() as stack:
        url = stack.enter_context(upstream())
        ours = stack.enter_context(gateway(folder / "ledger.db", config(folder / "c.yaml", url)))
        command = [sys.executable, str(Path(__file__).with_name("handwritten.py")), url, str(folder / "log.db")]
        by_hand = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(by_hand.kill)
        assert by_hand.stdout is not None
        port = int(by_hand.stdout.readline())
        found = {
            OURS: Server(OURS, ours.url, ours.process.pid),
            BY_HAND: Server(BY_HAND, f"http://127.0.0.1:{port}", by_hand.pid),
            DIRECT: Server(DIRECT, url.removesuffix("/v1"), model="ok"),
        }
        print()
        try:
            at, pid = stack.enter_context(litellm_proxy(folder, litellm_config(url)))
            found[LITELLM] = Server(LITELLM, at, pid, share=0.1)
        except Absent as absent:
            print(f"beside LiteLLM: skipped: {absent}")
        try:
            at, pid = stack.enter_context(portkey_gateway(folder))
            headers = {"x-portkey-provider": "openai", "x-portkey-custom-host": url, "authorization": "Bearer any"}
            found[PORTKEY] = Server(PORTKEY, at, pid, model="ok", headers=headers)
        except Absent as absent:
            print(f"beside Portkey: skipped: {absent}")
        yield found


def config(path: Path, url: str) -> Path:
    """Write a configuration with the same twelve rules, and the two tiers they choose between."""
    rules = "".join(f"  - {{when: {{regex: {json.dumps('(?i)' + one)}}}, score: 90}}\n" for one in PATTERNS)
    path.write_text(
        "tiers:\n  - {name: SIMPLE, models: [cheap]}\n  - {name: STRONG, models: [strong], score_min: 80}\n"
        "models: {cheap: {provider: up, name: ok}, strong: {provider: up, name: ok}, paced: {provider: up}}\n"
        f'providers: {{up: {{base_url: "{url}"}}}}\nrules:\n{rules}'
    )
    return path


def litellm_config(url: str) -> dict[str, object]:
    """Return the least that LiteLLM's proxy needs: two models passed on, no routing, no log, no keys."""
    names = {"auto": "ok", "paced": "paced"}
    models = [
        {"model_name": name, "litellm_params": {"model": f"openai/{upstream}", "api_base": url, "api_key": "any"}}
        for name, upstream in names.items()
    ]
    return {"model_list": models, "litellm_settings": {"telemetry": False}}


def whole(concurrency: int, requests: int = REQUESTS) -> Load:
    """Return a load of whole answers."""

    def load(server: Server) -> list[float]:
        body = {"model": server.model, "messages": MESSAGES}
        count = max(concurrency, round(requests * server.share))
        return ask_many(server.url, body, server.headers, count, concurrency)

    return load


def streams(concurrency: int) -> Load:
    """Return a load of streams, each of 200 paced pieces."""

    def load(server: Server) -> list[float]:
        body = {"model": "paced", "messages": MESSAGES, "stream": True}
        return ask_many(server.url, body, server.headers, 2 * concurrency, concurrency)

    return load


def measured(taking_part: Sequence[Server], load: Load, rounds: int = ROUNDS) -> dict[str, list[Turn]]:
    """Load each by turns and return what each turn took; a first round warms them up."""
    turns: dict[str, list[Turn]] = {server.name: [] for server in taking_part}
    for number in range(rounds + 1):
        for server in taking_part if number % 2 else reversed(taking_part):
            cpu_before, began = server.cpu_s(), time.perf_counter()
            each = load(server)
            took = time.perf_counter() - began
            if number:
                turns[server.name].append(Turn((server.cpu_s() - cpu_before) / len(each), took / len(each), each))
    return turns


def present(servers: Servers, *names: str) -> list[Server]:
    """Return those of these that are there."""
    return [servers[name] for name in names if name in servers]


def ratio(ours: Sequence[Turn], theirs: Sequence[Turn], what: Callable[[Turn], float]) -> float:
    """Return the median over rounds of ours to theirs."""
    return statistics.median(what(one) / what(other) for one, other in zip(ours, theirs, strict=True))


def cpu(turn: Turn) -> float:
    """Return the CPU seconds of a request."""
    return turn.cpu_s


def wall(turn: Turn) -> float:
    """Return the wall seconds of a request, at the concurrency of the load."""
    return turn.wall_s


def test_cpu_of_a_request(servers: Servers) -> None:
    turns = measured(present(servers, OURS, BY_HAND, LITELLM), whole(16))
    table = Verdicts()
    table.at_most(
        "gateway, rules and ledger: CPU a request, to one by hand", ratio(turns[OURS], turns[BY_HAND], cpu), 1.5
    )
    if LITELLM in turns:
        name = "gateway, rules and ledger: CPU a request, LiteLLM's to ours"
        table.at_least(name, ratio(turns[LITELLM], turns[OURS], cpu), 30)
    table.check()


def test_requests_a_second_at_64(servers: Servers) -> None:
    turns = measured(present(servers, OURS, BY_HAND, LITELLM, PORTKEY), whole(64))
    table = Verdicts()
    for name, bar in ((BY_HAND, 0.65), (LITELLM, 30), (PORTKEY, 2)):
        if name in turns:
            table.at_least(f"gateway: requests a second at 64, to {name}", ratio(turns[name], turns[OURS], wall), bar)
    indicate(turns, "requests a second at 64", lambda turn: 1 / turn.wall_s)
    table.check()


def test_latency_added_to_one_request_at_a_time(servers: Servers) -> None:
    taking_part = present(servers, DIRECT, OURS, LITELLM)
    if LITELLM not in servers:
        pytest.skip("LiteLLM's proxy is not there to compare with")
    turns = measured(taking_part, whole(1, 800))
    table = Verdicts()
    for share, name, bar in ((0.5, "p50", 0.05), (0.99, "p99", 0.10)):
        direct, ours, theirs = (
            float(np.quantile([one for turn in turns[server.name] for one in turn.each_s], share))
            for server in taking_part
        )
        table.at_most(
            f"gateway: latency added at concurrency 1, {name}, to LiteLLM's", (ours - direct) / (theirs - direct), bar
        )
        print(f"indication: {name}: {1e3 * (ours - direct):.2f} ms added, LiteLLM's {1e3 * (theirs - direct):.2f} ms")
    table.check()


def test_paced_streams(servers: Servers) -> None:
    turns = measured(present(servers, OURS, BY_HAND, DIRECT), streams(16))
    table = Verdicts()
    name = "gateway, 16 streams of 200 pieces: CPU, to passing through by hand"
    table.at_most(name, ratio(turns[OURS], turns[BY_HAND], cpu), 1.5)
    name = "gateway, 16 streams of 200 pieces: median time, to direct"
    table.at_most(name, ratio(turns[OURS], turns[DIRECT], lambda turn: statistics.median(turn.each_s)), 1.02)
    table.check()


def indicate(turns: Mapping[str, Sequence[Turn]], what: str, of: Callable[[Turn], float]) -> None:
    """Print an absolute figure of each server, which says something of this machine only."""
    figures = (f"{name} {statistics.median(map(of, taken)):,.0f}" for name, taken in turns.items())
    print(f"\nindication: {what}: {', '.join(figures)}")
