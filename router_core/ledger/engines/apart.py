"""Work on single days in processes of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import Any, TypeVar

Found = TypeVar("Found")


def apart(work: Callable[..., Found], days: Sequence[tuple[Any, ...]], *, at_once: int = 2) -> Iterator[Found]:
    """Yield what ``work`` finds for the arguments of each day, as soon as it does, in any order."""
    workers = max(1, min(at_once, os.cpu_count() or 1, len(days) // 8))  # one begins quicker than two
    # Not forked: a child must not share open databases with its parent.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        try:
            # Nobody but this loop holds what was found, so that it does not pile up.
            for done in as_completed([pool.submit(work, *day) for day in days]):
                yield done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
