"""A file being read: its bytes as UTF-8 lines of bounded length, whatever encoding they came in."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

import numpy as np

from router_core.errors import InputError
from router_core.exchange.calls import Rejected
from router_core.exchange.currencies import Notes, Rate

LONGEST_LINE = 16 * 2**20
_HEAD = 2**20
_CHUNK = 2**20
_BLOCK = 4 * 2**20
_LINES_TRIED = 100
_SHOWN_RAW = 1000

PARQUET_MAGIC = b"PAR1"
_PACKED = {
    b"\x1f\x8b": "gzip",
    b"PK\x03\x04": "a zip archive (or a spreadsheet)",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

NOT_UTF8 = "lines that are not UTF-8 were read as Latin-1"


class Line(NamedTuple):
    """One line without its end, and its number, counting from 1."""

    number: int
    content: bytes


class Block(NamedTuple):
    """Many whole lines of CSV at once, the last one's end included: the number of the first, and how many end here."""

    number: int
    content: bytes
    lines: int


class Source:
    """One file, read once from its beginning; ``name`` is how sentences call it.

    ``newline`` is what ends its lines; ``notes`` counts what readers had to assume, and holds the exchange rates they
    may use. ``position`` is how many bytes
    were read of ``size`` (None where that is not known). Raises ``InputError`` where the file is empty, packed or
    binary.
    """

    def __init__(self, stream: BinaryIO, name: str, rates: Iterable[Rate] = ()) -> None:
        self.name = name
        self.notes = Notes()
        self.notes.rates = tuple(rates)
        self.position = 0
        self.size = _size(stream)
        self.stream = stream
        self._head = _read(stream, _HEAD)
        self.position = len(self._head)
        self.is_parquet = self._head.startswith(PARQUET_MAGIC)
        self._encoding = "utf-8" if self.is_parquet else self._recognise()
        self.newline = b"\r" if b"\r" in self._head and b"\n" not in self._head else b"\n"
        self.head = self._sample()

    def _recognise(self) -> str:
        head = self._head
        if not head.strip():
            raise InputError("the file is empty", source=self.name)
        for magic, what in _PACKED.items():
            if head.startswith(magic):
                raise InputError(f"this is {what}; unpack it and import what is in it", source=self.name)
        for mark, encoding in _BOMS:
            if head.startswith(mark):
                self._head = head[len(mark) :]
                if not self._head.strip():
                    raise InputError("the file is empty", source=self.name)
                return encoding
        sample = head[:4096]
        for offset, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
            half = sample[offset::2]
            if half and half.count(0) > 0.3 * len(half) and sample[1 - offset :: 2].count(0) < 0.1 * len(half):
                return encoding
        if b"\x00" in sample:
            raise InputError("this is a binary file, not a log or a report in text", source=self.name)
        return "utf-8"

    def _sample(self) -> str:
        if self.is_parquet:
            return ""
        text = codecs.getincrementaldecoder(self._encoding)(errors="replace").decode(self._head)
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def chunks(self) -> Iterator[bytes]:
        """Yield the whole file as UTF-8 in pieces; undecodable UTF-8 passes through, to be judged line by line."""
        head, self._head = self._head, b""
        if self._encoding == "utf-8":
            yield head
            while chunk := _read(self.stream, _CHUNK):
                self.position += len(chunk)
                yield chunk
            return
        decoder = codecs.getincrementaldecoder(self._encoding)(errors="replace")
        yield decoder.decode(head).encode("utf-8", "replace")
        while chunk := _read(self.stream, _CHUNK):
            self.position += len(chunk)
            yield decoder.decode(chunk).encode("utf-8", "replace")
        yield decoder.decode(b"", final=True).encode("utf-8", "replace")

    def texts(self) -> Iterator[str]:
        """Yield the whole file as text in pieces; where its beginning is not UTF-8 it is read as Latin-1."""
        try:
            codecs.getincrementaldecoder("utf-8")().decode(self._head)
            encoding = "utf-8"
        except UnicodeDecodeError:
            encoding = "utf-8" if self._encoding != "utf-8" else "latin-1"
            self.notes[NOT_UTF8] += encoding == "latin-1"
        decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
        for chunk in self.chunks():
            yield decoder.decode(chunk)
        yield decoder.decode(b"", final=True)

    def lines(self) -> Iterator[Line | Rejected]:
        """Yield every line that is not blank; one longer than ``LONGEST_LINE`` is refused without being kept."""
        number, pieces, held, refused = 1, list[bytes](), 0, False
        for chunk in self.chunks():
            parts = chunk.split(self.newline)
            for position, part in enumerate(parts):
                last = position == len(parts) - 1
                if not refused:
                    if held + len(part) > LONGEST_LINE:
                        refused = True
                        yield self._endless(number, b"".join([*pieces, part]))
                        pieces, held = [], 0
                    elif part:
                        pieces.append(part)
                        held += len(part)
                if not last:
                    if pieces:
                        whole = pieces[0] if len(pieces) == 1 else b"".join(pieces)
                        whole = whole.rstrip(b"\r")
                        if whole and not whole.isspace():
                            yield Line(number, whole)
                        pieces, held = [], 0
                    number, refused = number + 1, False
        if pieces and (whole := b"".join(pieces).rstrip(b"\r")) and not whole.isspace():
            yield Line(number, whole)

    def blocks(self) -> Iterator[Block | Rejected]:
        """Yield the file in pieces that end where a row of CSV ends; an endless line is refused without being kept."""
        number, pieces, size, skipping = 1, list[bytes](), 0, False
        for chunk in self.chunks():
            if skipping:
                _, found, chunk = chunk.partition(b"\n")
                if not found:
                    continue
                number, skipping = number + 1, False
            pieces.append(chunk)
            size += len(chunk)
            if size < _BLOCK:
                continue
            held = b"".join(pieces)
            end = _end_of_rows(held)
            if not end and size > LONGEST_LINE:
                end = held.rfind(b"\n") + 1  # a quote was never closed, which row by row can be told
                if not end:
                    yield self._endless(number, held)
                    pieces, size, skipping = [], 0, True
                    continue
            if end:
                lines = held.count(b"\n", 0, end)
                yield Block(number, held[:end], lines)
                number += lines
            pieces, size = [held[end:]], len(held) - end
        if size:
            held = b"".join(pieces)
            yield Block(number, held, held.count(b"\n"))

    def _endless(self, number: int, start: bytes) -> Rejected:
        return Rejected(number, f"the line is longer than {LONGEST_LINE:,} bytes", self.text(start[:_SHOWN_RAW]))

    def text(self, content: bytes) -> str:
        """Return bytes as text: UTF-8, or else Latin-1, which is counted."""
        try:
            return content.decode()
        except UnicodeDecodeError:
            self.notes[NOT_UTF8] += 1
            return content.decode("latin-1")


def _end_of_rows(content: bytes) -> int:
    """Return where the last line ends that leaves no quote open; 0 where there is none nearby."""
    open_quotes = int(np.count_nonzero(np.frombuffer(content, np.uint8) == ord('"')))  # many, so bytes.count is slow
    end = len(content)
    for _ in range(_LINES_TRIED):
        before = content.rfind(b"\n", 0, end)
        if before < 0:
            break
        open_quotes -= content.count(b'"', before + 1, end)
        if open_quotes % 2 == 0:
            return before + 1
        end = before
    return 0


def _size(stream: BinaryIO) -> int | None:
    try:
        return os.fstat(stream.fileno()).st_size or None
    except (OSError, AttributeError):
        return None


def _read(stream: BinaryIO, most: int) -> bytes:
    """Read up to ``most`` bytes, fewer only at the end."""
    pieces, missing = [], most
    while missing and (piece := stream.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
