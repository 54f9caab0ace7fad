"""Server-sent events as they pass: only those that carry usage, an end or an error are read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from router_core.errors import BadAnswerError
from router_core.serving.messages import EVENT, event_data

DONE = b"data: [DONE]\n\n"

# Quotes inside JSON strings are escaped, so a model that writes "usage": { in its answer does not match. The pattern
# begins with one fixed character, which is searched for ten times faster than alternatives are.
_NOTABLE = re.compile(rb'"(?:usage"\s*:\s*\{|finish_reason"\s*:\s*"|error"\s*:\s*[{"])')
_END = re.compile(rb"^data:\s*\[DONE\]", re.MULTILINE)
_TOKEN = re.compile(rb'"(?:content|reasoning_content|reasoning|refusal|arguments|name)"\s*:\s*"[^"]')
_LONGEST_EVENT = 16 * 2**20


class EventReader:
    """Takes raw bytes as they come and returns whole events to pass on.

    ``spoke`` once a first token has passed; ``finished`` once the model said why it stopped; ``done`` once the
    closing event came, which is not passed on; ``usage`` the last usage object seen. The usage-only event is withheld
    from a caller who did not ask for it.
    """

    def __init__(self, *, wants_usage: bool) -> None:
        self.spoke = False
        self.finished = False
        self.done = False
        self.usage: Mapping[str, Any] | None = None
        self._wants_usage = wants_usage
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return what can be passed on now; raises ``BadAnswerError`` on an error event, which is then its body."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        events = data
        if not data.endswith(b"\n\n"):
            end = max(data.rfind(b"\n\n") + 2, data.rfind(b"\r\n\r\n") + 4)
            self._rest = _bounded(data[end:] if end >= 4 else data)
            if end < 4:
                return b""
            events = data[:end]
        if not self.spoke and _TOKEN.search(events):
            self.spoke = True
        if not _NOTABLE.search(events) and b"[DONE]" not in events:
            return events
        return b"".join(event for event in EVENT.findall(events) if self._passes(event))

    def _passes(self, event: bytes) -> bool:
        if self.done:
            return False
        if b"[DONE]" in event and _END.search(event):
            self.done = True
            return False
        if not _NOTABLE.search(event):
            return True
        data = event_data(event)
        if not isinstance(data, dict):
            return True
        choices = data.get("choices")
        if data.get("error") and not choices:
            raise BadAnswerError("an error inside the stream", body=to_json(data).decode())
        if isinstance(choices, list) and any(isinstance(c, dict) and c.get("finish_reason") for c in choices):
            self.finished = True
        if isinstance(usage := data.get("usage"), dict):
            self.usage = usage
            return bool(choices) or self._wants_usage
        return True


def _bounded(rest: bytes) -> bytes:
    if len(rest) > _LONGEST_EVENT:
        raise BadAnswerError("a stream with an event that does not end")
    return rest
