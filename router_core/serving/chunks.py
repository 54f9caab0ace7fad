"""Whole answers as the pieces of a stream, and the pieces of a stream as one whole answer."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any

from pydantic_core import to_json

from router_core.serving.messages import EVENT, event_data

_WORDS_A_PIECE = 8


async def streamed(answer: Mapping[str, Any], *, wants_usage: bool) -> AsyncGenerator[bytes]:
    """Yield a whole answer as server-sent events, all but the closing one."""
    for event in _events(answer, wants_usage=wants_usage):
        yield event


def _events(answer: Mapping[str, Any], *, wants_usage: bool) -> Iterator[bytes]:
    base = {key: value for key, value in answer.items() if key not in ("choices", "usage", "object")}
    base["object"] = "chat.completion.chunk"
    choices = answer.get("choices") or ()
    for choice in choices:
        index, message = choice.get("index", 0), dict(choice.get("message") or {})
        text = message.pop("content", None)
        message = {key: value for key, value in message.items() if value is not None}
        if message.get("tool_calls"):
            message["tool_calls"] = [{"index": place, **call} for place, call in enumerate(message["tool_calls"])]
        pieces = list(_pieces(text)) if isinstance(text, str) else []
        first = {**message, "content": pieces[0] if pieces else None}
        yield _event(base, index, first, None)
        for piece in pieces[1:]:
            yield _event(base, index, {"content": piece}, None)
        yield _event(base, index, {}, choice.get("finish_reason") or "stop")
    if wants_usage and answer.get("usage"):
        yield b"data: " + to_json({**base, "choices": [], "usage": answer["usage"]}) + b"\n\n"


def _pieces(text: str) -> Iterator[str]:
    """Yield the text a few words at a time; together the pieces are the text."""
    start = spaces = 0
    for place, character in enumerate(text):
        if character == " ":
            spaces += 1
            if spaces == _WORDS_A_PIECE:
                yield text[start:place]
                start, spaces = place, 0
    if start < len(text):
        yield text[start:]


def _event(base: Mapping[str, Any], index: int, delta: Mapping[str, Any], finish_reason: str | None) -> bytes:
    choices = [{"index": index, "delta": delta, "finish_reason": finish_reason}]
    return b"data: " + to_json({**base, "choices": choices}) + b"\n\n"


def assembled(received: bytes) -> dict[str, Any] | None:
    """Return the whole answer that streamed events make up; None where it is not complete."""
    base: dict[str, Any] = {}
    choices: dict[int, dict[str, Any]] = {}
    for event in EVENT.findall(received):
        piece = event_data(event)
        if not isinstance(piece, dict):
            continue
        base.update((key, value) for key, value in piece.items() if key != "choices" and value is not None)
        listed = piece.get("choices")
        for choice in listed if isinstance(listed, list) else ():
            whole = choices.setdefault(choice.get("index", 0), {"message": {}, "finish_reason": None})
            _add(whole["message"], choice.get("delta") or {})
            whole["finish_reason"] = choice.get("finish_reason") or whole["finish_reason"]
    if not choices or any(whole["finish_reason"] is None for whole in choices.values()):
        return None
    for whole in choices.values():
        message = whole["message"]
        message.setdefault("role", "assistant")
        message.setdefault("content", None)
        if "tool_calls" in message:
            message["tool_calls"] = [message["tool_calls"][place] for place in sorted(message["tool_calls"])]
    base["object"] = "chat.completion"
    base["choices"] = [{"index": index, **choices[index]} for index in sorted(choices)]
    return base


def _add(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """Lay one piece's delta over what came before: text is appended, calls of tools go by their place."""
    for key, value in delta.items():
        if key == "tool_calls":
            calls = message.setdefault("tool_calls", {})
            for call in value or ():
                kept = calls.setdefault(call.get("index", 0), {"type": "function", "function": {}})
                kept.update((name, part) for name, part in call.items() if name in ("id", "type") and part)
                for name, part in (call.get("function") or {}).items():
                    kept["function"][name] = kept["function"].get(name, "") + (part or "")
        elif isinstance(value, str) and key != "role":
            message[key] = message.get(key, "") + value if isinstance(message.get(key, ""), str) else value
        elif value is not None:
            message[key] = value
