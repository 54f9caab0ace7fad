"""Word of pushed configurations: a server sends it to whoever listens, a file is looked at again and again."""

from __future__ import annotations

import time
from contextlib import suppress
from threading import Event

from sqlalchemy.engine import Connection

from router_core.ledger.connect import driven, explained
from router_core.ledger.store import Ledger

_CHANNEL = "tierwise_push"
_LISTEN = f"LISTEN {_CHANNEL}"
_ASK_S = 5.0  # between looks while we listen, for word that a proxy in between did not pass on
_GLANCE_S = 0.25  # between looks at whether to stop; the server does not hear of them


def announce(connection: Connection) -> None:
    """Send word of a push to all who listen, once the connection's transaction is committed."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"NOTIFY {_CHANNEL}")


class Pushes:
    """Tells one thread when it is time to look which version is live."""

    def __init__(self, ledger: Ledger, *, poll_s: float) -> None:
        self._engine = ledger.engine
        self._poll_s = poll_s
        self._connection: Connection | None = None

    def wait(self, stopped: Event) -> None:
        """Return when a version may have been pushed, or where ``stopped`` is set; raises ``LedgerError``."""
        if self._engine.dialect.name != "postgresql":
            stopped.wait(self._poll_s)
            return
        try:
            with explained(self._engine.url):
                if self._connection is None:
                    self._connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
                    self._connection.exec_driver_sql(_LISTEN)
                    return  # something may have been pushed before we listened
                until = time.monotonic() + _ASK_S
                with driven(self._connection, _LISTEN) as driver:
                    while not stopped.is_set() and time.monotonic() < until:
                        for _ in driver.notifies(timeout=_GLANCE_S, stop_after=1):
                            return
        except BaseException:
            self.close()
            stopped.wait(self._poll_s)
            raise

    def close(self) -> None:
        """Let go of the connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            with suppress(Exception):
                connection.invalidate()  # it listens, which nobody else who gets it from the pool should
            connection.close()
