"""Reading ahead: what comes next is made in a thread of its own while the last is being used."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from queue import Empty, Full, Queue
from typing import TypeVar

_T = TypeVar("_T")
_DEPTH = 2
_PATIENCE_S = 0.1


class _End:
    def __init__(self, error: BaseException | None) -> None:
        self.error = error


def ahead(items: Iterator[_T]) -> Iterator[_T]:
    """Yield the same items, a few made before they are asked for; what making one raises passes through."""
    queue: Queue[_T | _End] = Queue(_DEPTH)
    stopped = threading.Event()

    def put(item: _T | _End) -> None:
        while not stopped.is_set():
            try:
                queue.put(item, timeout=_PATIENCE_S)
            except Full:
                continue
            return

    def make() -> None:
        error: BaseException | None = None
        try:
            for item in items:
                put(item)
                if stopped.is_set():
                    return
        except BaseException as raised:  # noqa: BLE001 - it is raised again where the items are used
            error = raised
        put(_End(error))

    thread = threading.Thread(target=make, name="reading ahead", daemon=True)
    thread.start()
    try:
        while True:
            item = queue.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stopped.set()
        try:
            while True:
                queue.get_nowait()
        except Empty:
            pass
        thread.join()
