"""PatientProtocol: HTTP connections that may be slow, and are closed where they are slow on purpose."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from router_core.gateway.whole import offer


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which by itself waits for ever for a head that comes byte by byte.

    The head of a request may take ``head_s`` to arrive, from the opening of the connection or its first byte, and have
    ``head_bytes``.
    """

    head_s = 10.0
    head_bytes = 64 * 1024
    _late: asyncio.TimerHandle | None = None
    _waiting_bytes = 0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._late = self.loop.call_later(self.head_s, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a head that is not complete."""
        if self._late is not None:
            self._waiting_bytes += len(data)
        super().data_received(data)
        if self._late is not None and self._waiting_bytes > self.head_bytes and not self.transport.is_closing():
            self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """Begin to wait for the head of a further request."""
        if self._late is None:
            self._late = self.loop.call_later(self.head_s, self._close)
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._arrived()
        super().on_headers_complete()
        if self.cycle is not None:
            offer(self.scope, self.cycle)

    def _arrived(self) -> None:
        self._waiting_bytes = 0
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _close(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self.transport.close()
