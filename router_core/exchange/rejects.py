"""Rows that could not be used, put aside in a file of their own so that nothing is lost."""

from __future__ import annotations

import json
from pathlib import Path
from types import TracebackType
from typing import TextIO

from router_core.errors import InputError
from router_core.exchange.calls import Rejected
from router_core.exchange.report import Report


class Aside:
    """Where rejected rows go: JSON lines with line, reason and raw text, in a file made with the first of them.

    Without a path they are only counted. A context manager; raises ``InputError`` where the file cannot be written.
    """

    def __init__(self, path: Path | None, report: Report) -> None:
        self._path = path
        self._report = report
        self._file: TextIO | None = None

    def __enter__(self) -> Aside:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def take(self, rejected: Rejected) -> None:
        """Put one row aside."""
        self._report.reject(rejected)
        if self._path is None:
            return
        line = json.dumps({"line": rejected.line, "reason": rejected.reason, "raw": rejected.raw}, ensure_ascii=True)
        try:
            if self._file is None:
                self._file = self._path.open("w", encoding="utf-8")
                self._report.rejects_file = str(self._path)
            self._file.write(line + "\n")
        except OSError as error:
            raise InputError(
                f"rows that cannot be used are put aside here, but it cannot be written: {error.strerror}",
                source=str(self._path),
            ) from None
