"""Leaving: work on a request ends when its caller goes away, or does not take the answer in time."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.types import Receive

WATCH_AFTER_S = 0.25
"""How long a request is at work before anybody looks whether its caller is still there; most are done by then."""


class Leaving:
    """A context in which the current task is cancelled when the caller goes, and that cancellation ends.

    With ``most_s`` it also ends so many seconds after it began: somebody who stops reading would hold up a model for
    ever. ``gone`` says afterwards whether the work was cut short.
    """

    def __init__(self, receive: Receive, *, most_s: float) -> None:
        self._receive = receive
        self._most_s = most_s
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False

    def __enter__(self) -> Leaving:
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # the server runs every request as one
        self._task = task
        self._timer = self._loop.call_later(WATCH_AFTER_S, self._begin)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> bool:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        if self.gone and kind is asyncio.CancelledError:
            self._task.uncancel()
            return True
        return False

    def _begin(self) -> None:
        self._watcher = self._loop.create_task(self._watch())
        self._timer = self._loop.call_later(self._most_s, self._end)

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self._end()

    def _end(self) -> None:
        if not self.gone:
            self.gone = True
            self._task.cancel()
