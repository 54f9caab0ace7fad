"""The spool: an append-only file that holds decisions while the database is away, one line each."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from router_core.decision import RoutingDecision
from router_core.ledger.lines import decode, encode

if sys.platform != "win32":
    import fcntl

_log = logging.getLogger(__name__)
_CHUNK = 1000


class Spool:
    """One spool file of at most ``max_bytes``; several processes may share it, since each locks it while it is used."""

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self.max_bytes = max_bytes

    @property
    def size(self) -> int:
        """Bytes now in the spool."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, decisions: Iterable[RoutingDecision]) -> int:
        """Add decisions until the spool is full, and return how many were added once they are on the disk.

        Raises ``OSError`` where the file cannot be written; none of them then counts as added.
        """
        added = 0
        with self._locked("ab+") as file:
            size = start = file.seek(0, os.SEEK_END)
            lines: list[bytes] = []
            if start and _last_byte(file) != b"\n":
                lines.append(b"\n")  # a line was torn when its writer died; ours begins anew
                size += 1
            for decision in decisions:
                line = encode(decision)
                size += len(line)
                if size > self.max_bytes:
                    break
                lines.append(line)
                added += 1
            try:
                _write_all(file, b"".join(lines))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(start)
                raise
        if start == 0:
            _sync_folder(self.path.parent)
        return added

    def replay(self, write: Callable[[Sequence[RoutingDecision]], Sequence[tuple[RoutingDecision, Exception]]]) -> int:
        """Hand every decision to ``write``, then empty the spool; returns how many lines it held.

        ``write`` keeps decisions, returns those that can never be kept, and raises where the database is still away:
        the spool then stays as it is. What cannot be read or kept is set aside in a file beside it, with a note.
        """
        if self.size == 0:
            return 0
        aside: list[bytes] = []
        total = 0
        with self._locked("rb+") as file:
            for lines in _chunks(file):
                decisions = []
                for line in lines:
                    total += 1
                    try:
                        decisions.append(decode(line))
                    except ValueError:
                        if line.endswith(b"\n"):
                            aside.append(line)
                        else:  # nobody was told that it is kept
                            _log.warning("the last line of %s was torn when its writer died; it is skipped", self.path)
                for decision, error in write(decisions):
                    _log.warning("decision %s in %s cannot be kept: %s", decision.id.hex(), self.path, error)
                    aside.append(encode(decision))
            if aside:
                self._set_aside(aside)
            file.truncate(0)
            os.fsync(file.fileno())
        return total

    def _set_aside(self, lines: Sequence[bytes]) -> None:
        path = self.path.with_name(self.path.name + ".rejected")
        with path.open("ab") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())
        _log.warning("%d lines of %s could not be used; they are kept in %s", len(lines), self.path, path)

    @contextmanager
    def _locked(self, mode: str) -> Iterator[FileIO]:
        with open(self.path, mode, buffering=0) as file:
            assert isinstance(file, FileIO)
            if sys.platform != "win32":
                fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            yield file


def _chunks(file: FileIO) -> Iterator[list[bytes]]:
    file.seek(0)
    lines: list[bytes] = []
    with open(file.fileno(), "rb", closefd=False) as buffered:
        for line in buffered:
            if line == b"\n":
                continue
            lines.append(line)
            if len(lines) == _CHUNK:
                yield lines
                lines = []
    if lines:
        yield lines


def _last_byte(file: FileIO) -> bytes:
    file.seek(-1, os.SEEK_END)
    return file.read(1)


def _write_all(file: FileIO, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _sync_folder(folder: Path) -> None:
    if sys.platform == "win32":
        return
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
