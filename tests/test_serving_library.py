"""The library's small surface, and how little importing it loads."""

from __future__ import annotations

import asyncio
import gc
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from served import config
from upstream import upstream

import router_core
from router_core import Router
from router_core.errors import InputError, ProviderError
from router_core.ledger.store import open_ledger
from router_core.ledger.writer import LedgerWriter
from router_core.serving.router import Answer

ROOT = Path(__file__).parent.parent


def test_what_is_exported_is_what_is_there() -> None:
    assert router_core.__all__ == sorted(router_core.__all__)
    for name in router_core.__all__:
        assert getattr(router_core, name).__name__ == name
        assert name in dir(router_core)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        router_core.nonsense  # noqa: B018


def loaded_by(statement: str) -> set[str]:
    """Return the top-level packages that a fresh interpreter holds after a statement."""
    program = f"import sys; {statement}; print(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    return set(
        subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    )


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import router_core") & {"pydantic", "numpy", "aiohttp", "sqlalchemy"}
    assert not loaded_by("from router_core import Router") & {"aiohttp", "httpx", "sqlalchemy", "uvicorn"}


@pytest.mark.parametrize("module", ["router_core.serving.router", "router_core.gateway.server"])
def test_the_request_path_never_loads_analysis_libraries(module: str) -> None:
    heavy = {"pandas", "sklearn", "scipy", "streamlit", "plotly", "pyarrow", "genai_prices"}
    assert not loaded_by(f"import {module}") & heavy


def test_calls_without_an_event_loop_share_one_thread_and_its_connections() -> None:
    body = {"messages": [{"role": "user", "content": "hello"}]}
    with upstream() as url:
        router = Router(config(url))
        before = threading.active_count()
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: router.complete_sync(body), range(40)))
            inside = threading.active_count() - 8
        assert {answer.model for answer in answers} == {"cheap"}
        assert all(answer.decision is not None for answer in answers)
        assert inside <= before + 1
        router.complete_sync(body)
        opened = len(psutil.Process().net_connections("tcp"))
        for _ in range(10):
            router.complete_sync(body)
        assert len(psutil.Process().net_connections("tcp")) == opened
        router.close_sync()
        assert threading.active_count() == before


def test_a_router_that_nobody_holds_ends_its_thread() -> None:
    router = Router(config("http://127.0.0.1:9/v1"))
    with pytest.raises(ProviderError):
        router.complete_sync({"messages": [{"role": "user", "content": "hello"}]})
    before = threading.active_count()
    del router
    gc.collect()
    deadline = time.monotonic() + 3
    while threading.active_count() >= before:
        assert time.monotonic() < deadline
        time.sleep(0.01)


MESSAGES = [{"role": "user", "content": "hello"}]
PINNED = "features: {legal: {pin: STRONG, team: law}}"


async def test_messages_alone_are_enough_and_labels_stay_out_of_the_call() -> None:
    with upstream() as url:
        router = Router(config(url, yaml=PINNED))
        answer = await router.complete(MESSAGES, feature="legal", max_tokens=5, conversation="c1")
        whole = await router.complete({"messages": MESSAGES, "max_tokens": 9}, feature="legal", max_tokens=5)
        stream = await router.complete(tuple(MESSAGES), stream=True)
        assert stream.chunks is not None
        pieces = b"".join([piece async for piece in stream.chunks])
        await router.close()
        first, second, third = (call["body"] for call in httpx.get(url.replace("/v1", "/calls")).json()["calls"])
    assert (answer.text, answer.tier) == ("The answer is forty-two.", "STRONG")
    assert answer.decision is not None
    assert (answer.decision.feature, answer.decision.team) == ("legal", "law")
    assert answer.decision.conversation_hash is not None
    assert first == {"model": "ok", "messages": MESSAGES, "max_tokens": 5}
    assert (second["max_tokens"], whole.tier) == (5, "STRONG")
    assert third["stream"] is True
    assert pieces.endswith(b"data: [DONE]\n\n")


def test_without_an_event_loop_it_is_the_same() -> None:
    with upstream() as url:
        router = Router(config(url, yaml=PINNED))
        answer = router.complete_sync(MESSAGES, feature="legal")
        with pytest.raises(InputError, match="a stream needs an event loop"):
            router.complete_sync(MESSAGES, stream=True)
        router.close_sync()
    assert (answer.text, answer.tier) == ("The answer is forty-two.", "STRONG")


@pytest.mark.parametrize(
    ("asked", "settings", "sentence"),
    [
        ("hello", {}, "messages: is text; send a list of messages"),
        ([], {}, "messages: is empty"),
        (MESSAGES, {"feature": 7}, "feature: is a number; it must be text"),
        (MESSAGES, {"max_tokens": "many"}, "max_tokens: is text; it must be a whole number"),
    ],
)
def test_what_cannot_be_used_is_named(asked: Any, settings: dict[str, Any], sentence: str) -> None:
    router = Router(config("http://127.0.0.1:9/v1"))
    with pytest.raises(InputError, match=sentence):
        router.complete_sync(asked, **settings)
    router.close_sync()


def test_the_readmes_example_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    (example,) = (block for block in blocks if "router_core" in block)
    with upstream() as url:
        shipped = yaml.safe_load((ROOT / "data" / "config.yaml").read_text())
        shipped["providers"] = {name: {"base_url": url} for name in shipped["providers"]}
        shipped["models"] = {name: {**model, "name": "ok"} for name, model in shipped["models"].items()}
        shipped["exploration"] = {"rate": 0}
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "config.yaml").write_text(yaml.safe_dump(shipped))
        done = subprocess.run([sys.executable, "-c", example], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("The answer is forty-two. SIMPLE gpt-4.1-nano ")


def test_what_is_asked_without_a_gateway_can_be_on_record_too(tmp_path: Path) -> None:
    with upstream() as url, open_ledger(tmp_path / "ledger.db") as ledger, LedgerWriter(ledger) as writer:
        router = Router(config(url), record=writer.record)
        answers = [router.complete_sync(MESSAGES, feature="legal") for _ in range(3)]
        awaited = asyncio.run(_asked_and_closed(router))
        router.close_sync()
        for answer in (*answers, awaited):
            assert ledger.read_decision(answer.decision_id) == answer.decision


async def _asked_and_closed(router: Router) -> Answer:
    answer = await router.complete(MESSAGES, feature="legal")
    await router.close()
    return answer


async def test_sync_calls_work_beside_a_running_loop() -> None:
    with upstream() as url:
        router = Router(config(url))
        body = {"messages": [{"role": "user", "content": "hello"}]}
        awaited = await router.complete(body)
        answer = await asyncio.to_thread(router.complete_sync, body)
        assert answer.body == awaited.body
        router.close_sync()
        await router.close()
