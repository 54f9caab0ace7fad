"""Captured prompts: written beside their decisions where the configuration asks, read, and taken away in time."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Sequence

import sqlalchemy as sa

from router_core.errors import LedgerError
from router_core.ledger.store import Ledger
from router_core.ledger.tables import MILLION

_log = logging.getLogger("tierwise.ledger")

_EACH_S = 0.5  # between two looks at what waits
_SWEPT_EACH_S = 600.0
_MOST_WAITING = 20_000
_DAY_MS = 86_400_000
_AT_ONCE = 500

_KEEP = sa.text(
    "INSERT INTO captured_prompt (decision_id, expires_at_ms, prompt) VALUES (:id, :until, :prompt) "
    "ON CONFLICT (decision_id) DO NOTHING"
)
_SWEEP = sa.text("DELETE FROM captured_prompt WHERE expires_at_ms <= :now")


class Capture:
    """Keeps prompts, from a thread of its own, so that nobody who asks waits for it; ``close`` writes what is left.

    While the ledger cannot be reached the newest wait, 20,000 of them; what is lost beyond that is text alone, never a
    decision, and is said in the log.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: deque[dict[str, object]] = deque(maxlen=_MOST_WAITING)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tierwise-capture", daemon=True)
        self._thread.start()

    def keep(self, decision_id: bytes, prompt: str, decided_at_ms: int, days: int) -> None:
        """Keep the prompt of a decision for so many days after it was made."""
        text = prompt.encode("utf-8", "replace").decode().replace("\0", "\ufffd")  # what every database can hold
        self._waiting.append({"id": decision_id, "until": decided_at_ms + days * _DAY_MS, "prompt": text})

    def close(self) -> None:
        """Write what waits, and end the thread."""
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        swept_at = -_SWEPT_EACH_S
        while True:
            ending = self._ending.wait(_EACH_S)
            try:
                self._write()
                if time.monotonic() - swept_at >= _SWEPT_EACH_S:
                    sweep_prompts(self._ledger)
                    swept_at = time.monotonic()
            except LedgerError as error:
                _log.warning("prompts wait to be kept: %s", error)
            if ending:
                if self._waiting:
                    _log.warning("%d prompts could not be kept; their decisions are", len(self._waiting))
                return

    def _write(self) -> None:
        rows = list(self._waiting)
        if rows:
            with self._ledger.writing() as connection:
                connection.execute(_KEEP, rows)
            for _ in rows:
                self._waiting.popleft()


def sweep_prompts(ledger: Ledger, *, at_ms: int | None = None) -> int:
    """Take away the prompts whose time is up at a moment (UTC epoch milliseconds, else now); return how many."""
    with ledger.writing() as connection:
        found = connection.execute(_SWEEP, {"now": time.time_ns() // 1_000_000 if at_ms is None else at_ms})
        return int(found.rowcount)


def kept_prompts(ledger: Ledger, ids: Sequence[bytes], *, at_ms: int | None = None) -> dict[bytes, str]:
    """Return the text of those of these requests whose text is kept at a time (UTC epoch milliseconds), else now."""
    now = time.time_ns() // MILLION if at_ms is None else at_ms
    look = sa.text(
        "SELECT decision_id, prompt FROM captured_prompt WHERE decision_id IN :ids AND expires_at_ms > :now"
    ).bindparams(sa.bindparam("ids", expanding=True))
    found: dict[bytes, str] = {}
    with ledger.reading() as connection:
        for start in range(0, len(ids), _AT_ONCE):
            rows = connection.execute(look, {"ids": list(ids[start : start + _AT_ONCE]), "now": now})
            found.update((bytes(key), prompt) for key, prompt in rows)
    return found
