"""Anthropic's Messages form of requests and answers, put into OpenAI's and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic_core import from_json, to_json

from router_core.errors import InputError, TierwiseError
from router_core.gateway.dialect import Pieces
from router_core.gateway.messages_stream import MessagePieces
from router_core.gateway.refusals import refusal
from router_core.serving.messages import answer_values
from router_core.serving.requests import AUTO, check_body

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
_KINDS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
}
_SAME = ("model", "max_tokens", "stream", "temperature", "top_p", "metadata")
_TOLD = ("text", "tool_use", "thinking", "redacted_thinking")  # put into form elsewhere, or left out knowingly
_CHOICES = {"auto": "auto", "any": "required", "none": "none"}


class Messages:
    """The form of ``POST /v1/messages``: text, images, documents and tools.

    Content that OpenAI's form has no word for is refused; settings it has none for, and thoughts, are left out.
    """

    def request(self, body: object) -> dict[str, Any]:
        """Return the request in OpenAI's form, checked."""
        if not isinstance(body, dict):
            return check_body(body)
        asked: dict[str, Any] = {key: body[key] for key in _SAME if body.get(key) is not None}
        asked.setdefault("model", AUTO)
        if not isinstance(body.get("messages"), list):
            return check_body({**asked, "messages": body.get("messages")})
        if asked.get("stream"):
            asked["stream_options"] = {"include_usage": True}
        if body.get("stop_sequences"):
            asked["stop"] = body["stop_sequences"]
        if user := (body.get("metadata") or {}).get("user_id") if isinstance(body.get("metadata"), dict) else None:
            asked["user"] = user
            asked["metadata"] = {key: value for key, value in body["metadata"].items() if key != "user_id"}
        asked["messages"] = [*_system(body.get("system")), *_turns(body["messages"])]
        if body.get("tools"):
            asked["tools"] = [_tool(tool, place) for place, tool in enumerate(_listed(body["tools"], "tools"))]
            asked.update(_tool_choice(body.get("tool_choice")))
        return check_body(asked)

    def whole(self, answer: bytes) -> bytes:
        """Return an answer in Anthropic's form."""
        values = answer_values(answer)
        choice = (values.get("choices") or [{}])[0]
        message = choice.get("message") or {}
        content: list[dict[str, Any]] = []
        if message.get("content"):
            content.append({"type": "text", "text": message["content"]})
        for call in message.get("tool_calls") or ():
            function = call.get("function") or {}
            content.append(
                {
                    "type": "tool_use",
                    "id": call.get("id", ""),
                    "name": function.get("name", ""),
                    "input": _arguments(function.get("arguments")),
                }
            )
        return to_json(
            {
                "id": str(values.get("id", "")),
                "type": "message",
                "role": "assistant",
                "model": str(values.get("model", "")),
                "content": content,
                "stop_reason": STOP_REASONS.get(str(choice.get("finish_reason")), "end_turn"),
                "stop_sequence": None,
                "usage": usage_of(values.get("usage")),
            }
        )

    def pieces(self) -> Pieces | None:
        """Return what puts one stream into Anthropic's form."""
        return MessagePieces(STOP_REASONS, usage_of)

    def refused(self, error: TierwiseError) -> tuple[int, bytes]:
        """Return an error in Anthropic's form."""
        status = refusal(error)[0]
        return status, self._error(status, error)

    def broken(self, error: TierwiseError) -> bytes:
        """Return an error as an event of a stream."""
        return b"event: error\ndata: " + self._error(500, error) + b"\n\n"

    def _error(self, status: int, error: TierwiseError) -> bytes:
        kind = _KINDS.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return to_json({"type": "error", "error": {"type": kind, "message": str(error)}})


def usage_of(usage: object) -> dict[str, int]:
    """Return tokens as Anthropic counts them: cached ones apart from ``input_tokens``."""
    told = usage if isinstance(usage, Mapping) else {}
    details = told.get("prompt_tokens_details")
    cached = int(details.get("cached_tokens") or 0) if isinstance(details, Mapping) else 0
    return {
        "input_tokens": int(told.get("prompt_tokens") or 0) - cached,
        "output_tokens": int(told.get("completion_tokens") or 0),
        "cache_read_input_tokens": cached,
        "cache_creation_input_tokens": 0,
    }


def _listed(value: object, source: str) -> list[Any]:
    if not isinstance(value, list) or not all(isinstance(entry, dict) for entry in value):
        raise InputError("must be a list of objects", source=source)
    return value


def _system(system: object) -> list[dict[str, Any]]:
    if not system:
        return []
    text = system if isinstance(system, str) else "\n\n".join(_texts(_listed(system, "system")))
    return [{"role": "system", "content": text}]


def _texts(blocks: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (block["text"] for block in blocks if block.get("type") == "text" and isinstance(block.get("text"), str))


def _turns(messages: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yield the messages in OpenAI's form; results of tools become messages of their own, before what follows them."""
    for place, message in enumerate(messages):
        where = f"messages[{place}]"
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise InputError("must be an object with 'role' and 'content'", source=where)
        content = message.get("content")
        if not isinstance(content, list):
            yield {"role": message["role"], "content": content}
            continue
        blocks = _listed(content, f"{where}.content")
        for block in blocks:
            if block.get("type") == "tool_result":
                told = block.get("content")
                text = told if isinstance(told, str) else "\n".join(_texts(_listed(told or [], f"{where}.content")))
                yield {"role": "tool", "tool_call_id": str(block.get("tool_use_id", "")), "content": text}
        calls = [_call(block) for block in blocks if block.get("type") == "tool_use"]
        shown = [part for block in blocks for part in _shown(block, where)]
        text = "\n\n".join(_texts(blocks))
        if shown:
            parts = (part for block in blocks for part in (*_text_parts(block), *_shown(block, where)))
            yield {"role": message["role"], "content": list(parts)}
        elif calls:
            yield {"role": "assistant", "content": text or None, "tool_calls": calls}
        elif text:
            yield {"role": message["role"], "content": text}


def _text_parts(block: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return ({"type": "text", "text": text} for text in _texts([block]))


def _call(block: Mapping[str, Any]) -> dict[str, Any]:
    function = {"name": str(block.get("name", "")), "arguments": to_json(block.get("input") or {}).decode()}
    return {"id": str(block.get("id", "")), "type": "function", "function": function}


def _shown(block: Mapping[str, Any], where: str) -> Iterator[dict[str, Any]]:
    """Yield what a block shows beside its text, those within a tool's result too; one that has no form is refused."""
    kind = block.get("type")
    if kind == "image":
        yield _image(block, where)
    elif kind == "document":
        yield _document(block, where)
    elif kind == "tool_result":
        told = block.get("content")
        for part in told if isinstance(told, list) else ():
            yield from _shown(part, where)
    elif kind not in _TOLD:
        raise InputError(f"content of the type {kind!r} has no form for the models behind this gateway", source=where)


def _document(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    source = block.get("source")
    kind = source.get("type") if isinstance(source, Mapping) else None
    if isinstance(source, Mapping) and kind == "text":
        return {"type": "text", "text": str(source.get("data", ""))}
    if isinstance(source, Mapping) and kind == "content":
        inner = source.get("content")
        return {"type": "text", "text": inner if isinstance(inner, str) else "\n\n".join(_texts(_listed(inner, where)))}
    if isinstance(source, Mapping) and kind == "base64":
        data = f"data:{source.get('media_type', 'application/pdf')};base64,{source.get('data', '')}"
        return {"type": "file", "file": {"filename": str(block.get("title") or "document.pdf"), "file_data": data}}
    raise InputError("a document must be given whole: its text, or its bytes as base64", source=where)


def _image(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    source = block.get("source")
    if not isinstance(source, Mapping):
        raise InputError("an image needs its source", source=where)
    if source.get("type") == "url":
        url = str(source.get("url", ""))
    else:
        url = f"data:{source.get('media_type', 'image/png')};base64,{source.get('data', '')}"
    return {"type": "image_url", "image_url": {"url": url}}


def _tool(tool: Mapping[str, Any], place: int) -> dict[str, Any]:
    if "input_schema" not in tool:
        raise InputError("only tools with a name and an input_schema can be offered here", source=f"tools[{place}]")
    function = {"name": str(tool.get("name", "")), "parameters": tool["input_schema"]}
    if tool.get("description"):
        function["description"] = tool["description"]
    return {"type": "function", "function": function}


def _tool_choice(choice: object) -> dict[str, Any]:
    if not isinstance(choice, Mapping):
        return {}
    asked: dict[str, Any] = {}
    kind = str(choice.get("type"))
    if kind == "tool":
        asked["tool_choice"] = {"type": "function", "function": {"name": str(choice.get("name", ""))}}
    elif kind in _CHOICES:
        asked["tool_choice"] = _CHOICES[kind]
    if choice.get("disable_parallel_tool_use"):
        asked["parallel_tool_calls"] = False
    return asked


def _arguments(text: object) -> Any:
    try:
        return from_json(str(text or "{}"))
    except ValueError:
        return {"arguments": text}
