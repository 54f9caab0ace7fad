"""The library's small surface, and how little importing it loads."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
from served import config
from upstream import upstream

import router_core
from router_core import Router
from router_core.errors import ProviderError


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


async def test_sync_calls_work_beside_a_running_loop() -> None:
    with upstream() as url:
        router = Router(config(url))
        body = {"messages": [{"role": "user", "content": "hello"}]}
        awaited = await router.complete(body)
        answer = await asyncio.to_thread(router.complete_sync, body)
        assert answer.body == awaited.body
        router.close_sync()
        await router.close()
