"""LoopThread: an event loop on a thread of its own, for callers who have none."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")


class LoopThread:
    """Runs coroutines for any thread; the loop, and so its connections, live until ``close``.

    ``at_end`` is awaited in the loop before it is closed.
    """

    def __init__(self, at_end: Callable[[], Awaitable[None]] | None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_run, args=(self._loop, at_end), name="tierwise-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for a coroutine and return what it returns; what it raises passes through."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """End the loop; harmless where it has ended."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def __del__(self) -> None:
        """End with the router that nobody holds any longer."""
        if self._loop.is_running():
            self._loop.call_soon_threadsafe(self._loop.stop)


def _run(loop: asyncio.AbstractEventLoop, at_end: Callable[[], Awaitable[None]] | None) -> None:
    try:
        loop.run_forever()
        if at_end is not None:
            loop.run_until_complete(_finish(at_end))
    finally:
        loop.close()


async def _finish(at_end: Callable[[], Awaitable[None]]) -> None:
    await at_end()
