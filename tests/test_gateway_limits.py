"""The gateway under callers who leave, dawdle or spend too much, and what it tells of itself."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
import uvicorn
from gateways import Gateway, gateway, write_config
from prometheus_client.parser import text_string_to_metric_families
from upstream import upstream

from router_core.complexity.classify import Classifier
from router_core.complexity.score import Score
from router_core.decision import Request, Status
from router_core.gateway.app import create_app
from router_core.gateway.chat import Chat
from router_core.gateway.engine import Engine
from router_core.gateway.patience import PatientProtocol
from router_core.ledger.price_rows import add_prices
from router_core.ledger.store import open_ledger
from router_core.prices import price_from_entry

HELLO: Any = [{"role": "user", "content": "hello"}]
BUDGETS = '[{scope: "team:spent", max_budget: 0.000000001, mode: block}]'


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("limits")
    with upstream() as url:
        models = {"cheap": "ok", "strong": "hang", "endless": "endless"}
        features = "{kept: {cache: {mode: exact}}}"
        config = write_config(
            folder / "config.yaml", url, models, timeout="20", features=features, budgets=BUDGETS, stream_timeout="1"
        )
        with gateway(folder / "ledger.db", config, UP_KEY="k") as running:
            yield running


def samples(served: Gateway) -> dict[tuple[str, ...], float]:
    """Return what /metrics says: (name, labels in order of their names) to value."""
    response = httpx.get(f"{served.url}/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
    }


def test_metrics_count_what_the_ledger_has(served: Gateway) -> None:
    before = samples(served)
    for _ in range(3):
        served.client().chat.completions.create(model="auto", messages=HELLO)
    after = samples(served)

    def added(*key: str) -> float:
        return after[key] - before.get(key, 0)

    assert added("tierwise_decisions_total", "POLICY", "OK", "DIRECT", "SIMPLE") == 3
    assert added("tierwise_attempts_total", "ANSWER", "cheap", "OK") == 3
    assert added("tierwise_tokens_total", "input", "cheap") == 33
    assert added("tierwise_latency_seconds_count", "SIMPLE") == 3
    assert added("tierwise_latency_seconds_bucket", "+Inf", "SIMPLE") == 3
    assert after["tierwise_config_version",] == 1
    assert after["tierwise_ledger_away",] == 0


async def test_beyond_as_many_requests_as_it_may_have_callers_are_asked_to_come_back(tmp_path: Path) -> None:
    with upstream() as url:
        config = write_config(tmp_path / "config.yaml", url, {"cheap": "after:0.8", "strong": "ok"})
        limited = gateway(tmp_path / "ledger.db", config, "--max-requests", "4", UP_KEY="k")
        with limited as running, httpx.Client(base_url=running.url) as watcher:
            async with httpx.AsyncClient(base_url=running.url, timeout=10) as client:
                body = {"messages": HELLO}
                paths = ["/v1/chat/completions"] * 9 + ["/v1/messages"]
                asked = [asyncio.ensure_future(client.post(path, json=body)) for path in paths]
                await asyncio.sleep(0.4)
                assert watcher.get("/healthz").status_code == 200  # health is told all the same
                answers = await asyncio.gather(*asked)
                later = await client.post("/v1/chat/completions", json=body)
            turned_away = [one for one in answers if one.status_code == 503]
            assert sorted(one.status_code for one in answers) == [200] * 4 + [503] * 6
            assert {one.headers["retry-after"] for one in turned_away} == {"1"}
            assert {"overloaded", None} >= {one.json()["error"].get("code") for one in turned_away}
            assert all("at work on 4 requests" in one.json()["error"]["message"] for one in turned_away)
            assert later.status_code == 200


def test_a_gateway_takes_as_many_open_files_as_it_may_have() -> None:
    program = "import resource, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (120, 200)); "
    program += "from router_core.gateway.server import _open_files; print(_open_files())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "200\n"


def test_a_cached_answer_says_so_in_its_headers(served: Gateway) -> None:
    ask = served.client().chat.completions.with_raw_response.create
    raw = [ask(model="auto", messages=HELLO, metadata={"feature": "kept"}) for _ in range(2)]
    assert [one.headers.get("x-tierwise-strategy") for one in raw] == [None, "cache_exact"]
    assert raw[0].parse().choices == raw[1].parse().choices
    assert served.decision(raw[1].headers["x-tierwise-decision"]).cost_nusd == 0


def test_a_spent_budget_is_a_402_in_openais_shape_and_on_record(served: Gateway) -> None:
    price = {"provider": "up", "model": "ok", "effective_from": "2020-01-01", "input": "1", "output": "2"}
    with open_ledger(served.db) as ledger:
        add_prices(ledger, [price_from_entry(price)])
    found: list[openai.APIStatusError] = []

    def refused() -> bool:  # once the gateway has read the price
        try:
            served.client().chat.completions.create(model="auto", messages=HELLO, metadata={"team": "spent"})
        except openai.APIStatusError as error:
            found.append(error)
        return bool(found)

    until(refused)
    (error,) = found
    assert "no room left this month" in error.message
    assert (error.status_code, error.code, error.type) == (402, "budget_exceeded", "insufficient_quota")
    decision = served.decision(error.response.headers["x-tierwise-decision"])
    assert (decision.status, decision.attempts) == (Status.BLOCKED, ())


def last_status(served: Gateway, model: str) -> float:
    return samples(served).get(("tierwise_attempts_total", "ANSWER", model, "ABORTED"), 0)


def until(happens: Any, seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_caller_who_leaves_before_a_whole_answer_ends_the_call_and_is_recorded(served: Gateway) -> None:
    before = last_status(served, "strong")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{served.url}/v1/chat/completions", json={"model": "strong", "messages": HELLO}, timeout=0.4)
    until(lambda: last_status(served, "strong") == before + 1, 3)
    with sqlite3.connect(served.db) as ledger:
        query = "SELECT input_tokens, output_tokens, usage_source FROM attempt WHERE status = 6 AND usage_source = 1"
        assert (1, 0, 1) in ledger.execute(query).fetchall()  # what is known of its cost: the prompt
    ledger.close()


def test_a_stream_that_never_ends_is_cut_and_recorded_as_timed_out(served: Gateway) -> None:
    began = time.monotonic()
    with (
        served.client().chat.completions.with_streaming_response.create(
            model="endless", messages=HELLO, stream=True
        ) as raw,
        pytest.raises(openai.APIError, match="after 1 s"),
    ):
        list(raw.parse())
    assert time.monotonic() - began < 3
    decision = served.decision(raw.headers["x-tierwise-decision"])
    assert (decision.status, decision.attempts[0].usage is not None) == (Status.TIMEOUT, True)


class Hasty(PatientProtocol):
    """The protocol with so little patience that a test can wait for its end."""

    head_s = 0.3
    head_bytes = 2_000


@pytest.fixture
def hasty() -> Iterator[int]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.6)  # longer than a head may take: answering is not dawdling
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, http=Hasty, lifespan="off", log_level="critical", access_log=False, ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    until(lambda: server.started)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_head_that_does_not_come_closes_the_connection(hasty: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", hasty), 3) as connection:
        connection.sendall(sent)
        began = time.monotonic()
        assert connection.recv(100) == b""
        assert time.monotonic() - began < 1


def test_a_head_that_dribbles_in_closes_the_connection(hasty: int) -> None:
    with socket.create_connection(("127.0.0.1", hasty), 3) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n")
        with pytest.raises(OSError):  # noqa: PT012 - the bytes go out until somebody hangs up
            for _ in range(40):
                connection.sendall(b"X: y\r\n")
                time.sleep(0.05)


def test_a_head_that_has_no_end_is_refused(hasty: int) -> None:
    with socket.create_connection(("127.0.0.1", hasty), 3) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-Long: " + b"y" * 3_000)
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_answers_may_take_longer_than_heads_and_connections_are_used_again(hasty: int) -> None:
    with httpx.Client() as client:
        assert [client.get(f"http://127.0.0.1:{hasty}").text for _ in range(2)] == ["ok", "ok"]


async def test_a_body_that_does_not_come_is_a_408(db_path: Path) -> None:
    async def dawdling() -> dict[str, Any]:
        if not first:
            await asyncio.sleep(60)
        return first.pop()

    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    first: list[dict[str, Any]] = [{"type": "http.request", "body": b"{", "more_body": True}]
    with open_ledger(db_path) as ledger:
        engine = Engine(ledger)
        await Chat(engine, 1_000, body_s=0.1)({"type": "http", "headers": []}, dawdling, send)
        await engine.close()
    assert sent[0]["status"] == 408
    assert json.loads(sent[1]["body"])["error"]["code"] == "request_timeout"


class Broken(Classifier):
    """A classifier with a mistake in it."""

    def classify(self, request: Request) -> Score:
        raise RuntimeError("a secret of the inside")


async def test_a_mistake_within_the_gateway_is_a_500_that_tells_nothing_of_the_inside(
    db_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps({"messages": HELLO}).encode()}

    async def send(message: Any) -> None:
        sent.append(message)

    with open_ledger(db_path) as ledger:
        engine = Engine(ledger)
        router = engine.router
        router.adopt(router.config, version=2, classifier=Broken(router.config))
        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
        await create_app(engine)(scope, receive, send)
        await engine.close()
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["error"]["message"] == "the gateway failed on this request; its log says why"
    assert "a secret of the inside" in caplog.text
