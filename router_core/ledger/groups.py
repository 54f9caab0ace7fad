"""Decisions that become durable together, and those who wait for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

from router_core.decision import RoutingDecision


class Receipt:
    """What a thread holds until its decision is durable."""

    __slots__ = ("_done", "_error")

    def __init__(self, done: threading.Event) -> None:
        self._done = done
        self._error: Exception | None = None

    def done(self) -> bool:
        """Return whether the decision is durable, or refused for good."""
        return self._done.is_set()

    def result(self, timeout: float | None = None) -> None:
        """Return once the decision is durable; ``timeout`` in seconds.

        Raises ``TimeoutError``, or the ``LedgerError`` that says why the decision could not be kept.
        """
        if not self._done.wait(timeout):
            raise TimeoutError("the decision is not durable yet")
        if self._error is not None:
            raise self._error


class Group:
    """Decisions that become durable together, each with whoever waits for it; the first ``kept`` are spooled.

    ``loop`` is the event loop that is about to commit them, None where that is the writer's thread.
    """

    __slots__ = ("decisions", "done", "kept", "loop", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.loop = loop
        self.decisions: list[RoutingDecision] = []
        self.waiting: list[Receipt | asyncio.Future[None]] = []
        self.done = threading.Event()
        self.kept = 0

    def settle(self, errors: Mapping[int, Exception]) -> None:
        """Tell everybody, waking each event loop once; ``errors`` by ``id`` of the decision."""
        loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[None], Exception | None]]] = {}
        for decision, waiting in zip(self.decisions, self.waiting, strict=True):
            error = errors.get(id(decision)) if errors else None
            if isinstance(waiting, Receipt):
                waiting._error = error
            else:
                loops.setdefault(waiting.get_loop(), []).append((waiting, error))
        self.done.set()
        here = asyncio._get_running_loop()
        for loop, futures in loops.items():
            if loop is here:
                _settle_here(futures)
                continue
            with suppress(RuntimeError):  # a loop that is closed has nobody waiting
                loop.call_soon_threadsafe(_settle_here, futures)


def _settle_here(futures: Sequence[tuple[asyncio.Future[None], Exception | None]]) -> None:
    for future, error in futures:
        if not future.done():  # somebody may have stopped waiting
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
