"""MessagePieces: a streamed answer in OpenAI's form becomes the events of Anthropic's, piece by piece."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic_core import to_json

from router_core.serving.messages import EVENT, event_data


class MessagePieces:
    """One stream under way; ``usage`` puts token counts into form, ``stop_reasons`` why it ended."""

    def __init__(self, stop_reasons: Mapping[str, str], usage: Callable[[object], dict[str, int]]) -> None:
        self._stop_reasons = stop_reasons
        self._usage = usage
        self._counted: object = None
        self._stopped = "end_turn"
        self._begun = False
        self._block = -1  # of the last content block that began
        self._open: str | int | None = None  # "text", or the place of the tool call that is being written

    def feed(self, piece: bytes) -> bytes:
        """Return the events that a piece becomes; the closing one comes where the stream is done."""
        return b"".join(
            b"event: " + name.encode() + b"\ndata: " + to_json({"type": name, **data}) + b"\n\n"
            for event in EVENT.findall(piece)
            for name, data in self._events(event)
        )

    def _events(self, event: bytes) -> Iterator[tuple[str, dict[str, Any]]]:
        if event.startswith(b"data: [DONE]"):
            yield from self._end()
            return
        data = event_data(event)
        if not isinstance(data, dict):
            return
        if not self._begun:
            yield from self._begin(data)
        if data.get("usage"):
            self._counted = data["usage"]
        for choice in (data.get("choices") or ())[:1]:
            yield from self._delta(choice.get("delta") or {})
            if choice.get("finish_reason"):
                self._stopped = self._stop_reasons.get(choice["finish_reason"], "end_turn")

    def _begin(self, data: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        self._begun = True
        message: dict[str, Any] = {
            "id": str(data.get("id", "")),
            "type": "message",
            "role": "assistant",
            "model": str(data.get("model", "")),
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": self._usage(None),
        }
        yield "message_start", {"message": message}

    def _delta(self, delta: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        if delta.get("content"):
            yield from self._into("text", {"type": "text", "text": ""})
            yield self._written({"type": "text_delta", "text": delta["content"]})
        for call in delta.get("tool_calls") or ():
            function = call.get("function") or {}
            block = {"type": "tool_use", "id": call.get("id", ""), "name": function.get("name", ""), "input": {}}
            yield from self._into(int(call.get("index", 0)), block)
            if function.get("arguments"):
                yield self._written({"type": "input_json_delta", "partial_json": function["arguments"]})

    def _into(self, what: str | int, block: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Begin a content block, where it is not the one being written."""
        if self._open == what:
            return
        yield from self._close()
        self._open = what
        self._block += 1
        yield "content_block_start", {"index": self._block, "content_block": block}

    def _written(self, delta: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        return "content_block_delta", {"index": self._block, "delta": delta}

    def _close(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._open is not None:
            self._open = None
            yield "content_block_stop", {"index": self._block}

    def _end(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if not self._begun:
            yield from self._begin({})
        yield from self._close()
        delta = {"stop_reason": self._stopped, "stop_sequence": None}
        yield "message_delta", {"delta": delta, "usage": self._usage(self._counted)}
        yield "message_stop", {}
