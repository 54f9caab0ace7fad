"""CSV as other tools write it: any usual delimiter, quoted line breaks, and each row with the line it begins on."""

from __future__ import annotations

import csv
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from router_core.errors import InputError
from router_core.exchange.calls import Rejected
from router_core.exchange.source import LONGEST_LINE, Line, Source

_DELIMITERS = ",;\t|"
_COMMA_NUMBER = re.compile(r"-?\d+,\d+")

csv.field_size_limit(LONGEST_LINE)


class Row(NamedTuple):
    """One row: the line it begins on, its values by column (text, where it comes from CSV), and its text."""

    line: int
    values: Mapping[str, Any]
    raw: str


def header(head: str) -> tuple[str, ...]:
    """Return the column names at the beginning of a text; one name where it is not CSV."""
    line = _first_line(head)
    try:
        return tuple(name.strip() for name in next(csv.reader([line], delimiter=delimiter(head)), ()))
    except csv.Error:
        return ()


def delimiter(head: str) -> str:
    """Return the character that parts the columns of the first line."""
    line = re.sub(r'"[^"]*"', "", _first_line(head))
    return max(_DELIMITERS, key=line.count)


def _first_line(head: str) -> str:
    for line in head.split("\n"):
        if line.strip() and not line.lower().startswith("sep="):
            return line
    return ""


def rows(source: Source) -> Iterator[Row | Rejected]:
    """Yield the rows under the header, refusing those that do not fit it. Raises ``InputError`` where there is none."""
    found = records(source.lines())
    names: tuple[str, ...] = ()
    mark = delimiter(source.head)
    for record in found:
        if isinstance(record, Rejected):
            yield record
        elif record.content[:4].lower() != b"sep=":
            names = header(source.text(record.content))
            break
    if not names:
        raise InputError("there is no header line", source=source.name)
    yield from parsed(found, names, mark, source)


def parsed(
    found: Iterable[Line | Rejected], names: tuple[str, ...], mark: str, source: Source
) -> Iterator[Row | Rejected]:
    """Yield the rows that records hold, refusing those that do not fit the header's names."""
    width = len(names)
    for record in found:
        if isinstance(record, Rejected):
            yield record
            continue
        line, content = record
        raw = source.text(content)
        try:
            fields = next(csv.reader([raw], delimiter=mark))
        except (csv.Error, StopIteration) as error:
            yield Rejected(line, f"this is not a row of CSV: {error}", raw)
            continue
        if len(fields) != width:
            yield Rejected(line, f"it has {len(fields)} columns where the header has {width}", raw)
            continue
        if mark == ";":  # where commas do not part columns they may part decimals
            fields = [field.replace(",", ".") if _COMMA_NUMBER.fullmatch(field) else field for field in fields]
        yield Row(line, dict(zip(names, fields, strict=True)), raw)


def records(lines: Iterable[Line | Rejected]) -> Iterator[Line | Rejected]:
    """Join lines that a quoted line break parts, so that quotes pair up; one never closed is refused by itself."""
    feed = iter(lines)
    again: deque[Line] = deque()
    while True:
        line = again.popleft() if again else next(feed, None)
        if line is None:
            return
        if isinstance(line, Rejected) or line.content.count(b'"') % 2 == 0:
            yield line
            continue
        held, size = [line], len(line.content)
        while size <= LONGEST_LINE:
            follows = again.popleft() if again else next(feed, None)
            if follows is None or isinstance(follows, Rejected):
                if follows is not None:
                    yield follows
                size = LONGEST_LINE + 1
                break
            held.append(follows)
            size += len(follows.content) + 1
            if follows.content.count(b'"') % 2:
                break
        if size > LONGEST_LINE:
            yield Rejected(
                line.number, "a quote that opens here is never closed", line.content.decode("utf-8", "replace")
            )
            again.extendleft(reversed(held[1:]))
        else:
            yield Line(line.number, b"\n".join(part.content for part in held))
