"""Where an export goes: a file that appears whole or not at all, or standard output, hashed while it is written."""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import asdict, dataclass, field
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from router_core.errors import InputError, LedgerError


@dataclass(frozen=True, slots=True)
class Statement:
    """What an export holds: its rows, its total at list price in nano-dollars, its filter and its checksum.

    ``rows`` counts lines without any header. ``list_cost_nusd`` is None where nothing is added up (a configuration);
    ``unpriced_calls`` used tokens, but no price is known for them, so the total holds nothing of theirs.
    """

    format: str
    file: str
    rows: int
    list_cost_nusd: int | None
    unpriced_calls: int
    since: date | None
    until: date | None
    sha256: str
    bytes: int
    notes: tuple[str, ...] = field(default=())

    def plain(self) -> dict[str, Any]:
        """Return the statement as JSON has it."""
        plain = asdict(self)
        for name in ("since", "until"):
            plain[name] = None if plain[name] is None else plain[name].isoformat()
        plain["notes"] = list(self.notes)
        return plain

    def sentences(self) -> list[str]:
        """Return the statement in words."""
        told = [f"{self.file}: {self.format} of {self.rows:,} models."]
        if self.list_cost_nusd is not None:
            days = f"{self.since or 'the first day'} to {self.until or 'the last day'}"
            rows = f"{self.rows:,} row{'' if self.rows == 1 else 's'}"
            told = [f"{self.file}: {rows} of {self.format}, {days}."]
            told.append(f"Total ${usd(self.list_cost_nusd)} at list.")
        if self.unpriced_calls:
            told.append(f"{self.unpriced_calls:,} calls have no known price and add nothing to it.")
        return [*told, *self.notes, f"sha256 {self.sha256}"]


class Outlet:
    """Bytes on their way out; ``write`` them, and take the statement of them when it is closed.

    A context manager. Raises ``InputError`` where the file cannot be written; what was there before then stays.
    """

    def __init__(self, path: str | Path) -> None:
        self.name = "standard output" if str(path) == "-" else str(path)
        self._path = None if str(path) == "-" else Path(path)
        self._hash = hashlib.sha256()
        self._size = 0
        self._file: BinaryIO | None = None

    def __enter__(self) -> Outlet:
        if self._path is None:
            self._file = sys.stdout.buffer
            return self
        try:
            self._file = self._half().open("wb")
        except OSError as error:
            raise self._failure(error) from None
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        assert self._file is not None
        if self._path is None:
            self._file.flush()
            return
        self._file.close()
        if kind is not None:
            self._half().unlink(missing_ok=True)
            return
        try:
            os.replace(self._half(), self._path)
        except OSError as error:
            raise self._failure(error) from None

    def write(self, content: bytes) -> int:
        """Write bytes; returns how many."""
        assert self._file is not None
        try:
            self._file.write(content)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._failure(error) from None
        self._hash.update(content)
        self._size += len(content)
        return len(content)

    def statement(
        self,
        format: str,
        *,
        rows: int,
        list_cost_nusd: int | None,
        unpriced_calls: int = 0,
        since: date | None,
        until: date | None,
        notes: tuple[str, ...] = (),
    ) -> Statement:
        """Return what was written so far, in figures."""
        digest = self._hash.hexdigest()
        return Statement(
            format, self.name, rows, list_cost_nusd, unpriced_calls, since, until, digest, self._size, notes
        )

    def _half(self) -> Path:
        assert self._path is not None
        return self._path.with_name(f"{self._path.name}.part")

    def _failure(self, error: OSError) -> InputError:
        return InputError(f"the export cannot be written: {error.strerror}", source=self.name)


def usd(nusd: int) -> str:
    """Return nano-dollars as dollars, every decimal that counts."""
    sign, whole = ("-", -nusd) if nusd < 0 else ("", nusd)
    dollars, rest = divmod(whole, 1_000_000_000)
    decimals = f"{rest:09d}".rstrip("0")
    return f"{sign}{dollars}.{decimals}" if decimals else f"{sign}{dollars}"


def agree(exported_nusd: int, spend_nusd: int) -> None:
    """Raise ``LedgerError`` where an export does not add up to what the spend page says."""
    if exported_nusd != spend_nusd:
        raise LedgerError(
            f"the export adds up to ${usd(exported_nusd)}, but spend to ${usd(spend_nusd)}; "
            "the ledger changed meanwhile, so export again"
        )
