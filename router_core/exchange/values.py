"""JSON as other tools write it: one value a line, one array, or an object around an array, read piece by piece."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from router_core.exchange.calls import Rejected
from router_core.exchange.source import LONGEST_LINE, Line, Source

# Keys under which tools put the array that matters.
WRAPPERS = ("data", "results", "resourceSpans", "resourceLogs", "resourceMetrics")

_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\r\n,]*")
_MOST_RAW = 100_000


class Value(NamedTuple):
    """One JSON value: the line it begins on, the key of the array it stood in ("" for none), and its text."""

    line: int
    value: Any
    key: str
    raw: str


def values(source: Source) -> Iterator[Value | Rejected]:
    """Yield the values of a file; arrays, and arrays inside a wrapping object, are entered rather than held whole."""
    if by_line(source.head):
        for line in source.lines():
            if isinstance(line, Rejected):
                yield line
            else:
                yield from _of_line(line, source.text(line.content))
    else:
        yield from _Stream(source).values()


def by_line(head: str) -> bool:
    """Say whether a text has one JSON value a line."""
    first, _, rest = head.lstrip().partition("\n")
    first = first.strip()
    if _is_object(first):
        return True
    # A first line that is broken is still one of many where the next one stands on its own.
    return (
        first[:1] != "[" and first[-1:] not in ("{", "[", ",") and _is_object(rest.lstrip().partition("\n")[0].strip())
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(_DECODER.decode(text), dict)
    except (ValueError, RecursionError):
        return False


def _of_line(line: Line, raw: str) -> Iterator[Value | Rejected]:
    try:
        value = _DECODER.decode(raw.strip())
    except ValueError as error:
        yield Rejected(line.number, f"this is not JSON: {error}", raw)
        return
    except RecursionError:
        yield Rejected(line.number, "this JSON is nested too deeply", raw)
        return
    yield from unwrapped(Value(line.number, value, "", raw))


def unwrapped(value: Value) -> Iterator[Value]:
    """Yield the elements of an array or of a wrapping object's array, or else the value itself."""
    inner = value.value
    if isinstance(inner, list):
        for element in inner:
            yield Value(value.line, element, value.key, _raw(element))
        return
    key = wrapper_key(inner)
    if key is None:
        yield value
        return
    for element in inner[key]:
        yield Value(value.line, element, key, _raw(element))


def wrapper_key(value: Any) -> str | None:
    """Return the key of the array that matters in a wrapping object, None where it is not one."""
    if isinstance(value, Mapping):
        for key in WRAPPERS:
            if isinstance(value.get(key), list):
                return key
    return None


def _raw(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:_MOST_RAW]


class _Stream:
    """Values decoded from a sliding window of the text."""

    def __init__(self, source: Source) -> None:
        self._pieces = source.texts()
        self._text = ""
        self._at = 0
        self._line = 1
        self._ended = False

    def values(self) -> Iterator[Value | Rejected]:
        """Yield what the text holds; where it cannot be read on, say so once."""
        try:
            while self._skip():
                if self._text[self._at] == "[":
                    self._at += 1
                    yield from self._elements("")
                elif self._text[self._at] == "{":
                    yield from self._object()
                else:
                    yield self._one("")
        except _BrokenError as broken:
            yield Rejected(self._line, str(broken), self._text[self._at : self._at + 1000])

    def _object(self) -> Iterator[Value | Rejected]:
        line = self._line
        self._at += 1
        found: dict[str, Any] = {}
        entered = False
        while self._expect("an object") != "}":
            key, _ = self._decode()
            if not isinstance(key, str) or self._expect("an object") != ":":
                raise _BrokenError("this is not JSON: a name and a colon were expected")
            self._at += 1
            if self._expect("an object") == "[" and key in WRAPPERS:
                self._at += 1
                entered = True
                yield from self._elements(key)
            else:
                found[key], _ = self._decode()
        self._at += 1
        if not entered:
            yield Value(line, found, "", _raw(found))

    def _elements(self, key: str) -> Iterator[Value | Rejected]:
        while self._expect("a list") != "]":
            yield self._one(key)
        self._at += 1

    def _one(self, key: str) -> Value:
        line = self._line
        value, raw = self._decode()
        return Value(line, value, key, raw)

    def _expect(self, where: str) -> str:
        """Return the next character that is not blank; raises where the file ends before it."""
        if not self._skip():
            raise _BrokenError(f"the file ends in the middle of {where}; it may have been cut")
        return self._text[self._at]

    def _decode(self) -> tuple[Any, str]:
        """Return the value that begins here, and its text."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._ended and len(self._text) - self._at <= LONGEST_LINE:
                    self._more(len(self._text) - self._at)
                    continue
                if not self._ended:
                    raise _BrokenError(f"a single value is longer than {LONGEST_LINE:,} characters") from None
                if error.pos >= len(self._text.rstrip()) or error.msg.startswith("Unterminated"):
                    raise _BrokenError("the file ends in the middle of a value; it may have been cut") from None
                raise _BrokenError(f"this is not JSON: {error.msg}") from None
            except RecursionError:
                raise _BrokenError("this JSON is nested too deeply") from None
            if end == len(self._text) and not self._ended:
                self._more(1)  # a number may go on
                continue
            raw = self._text[self._at : end]
            self._line += raw.count("\n")
            self._at = end
            return value, raw[:_MOST_RAW]

    def _skip(self) -> bool:
        """Move past blanks and commas; return whether anything follows."""
        while True:
            match = _BLANK.match(self._text, self._at)
            end = match.end() if match else self._at
            self._line += self._text.count("\n", self._at, end)
            self._at = end
            if end < len(self._text):
                return True
            if self._ended:
                return False
            self._more(1)

    def _more(self, least: int) -> None:
        """Read on, at least ``least`` characters where there are so many, and forget what has been decoded."""
        pieces, size = [self._text[self._at :]], 0
        while size < least:
            piece = next(self._pieces, None)
            if piece is None:
                self._ended = True
                break
            pieces.append(piece)
            size += len(piece)
        self._text = "".join(pieces)
        self._at = 0


class _BrokenError(Exception):
    """The rest of the file cannot be read; its text says why."""
