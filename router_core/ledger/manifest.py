"""What an archive says of itself: its days, and of each the files with their rows, sums and checksums."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from router_core.errors import InputError
from router_core.ledger.days import date_of, day_number

MANIFEST = "manifest.json"
FORMAT = "tierwise archive 1"


@dataclass(frozen=True, slots=True)
class File:
    """One Parquet file, its path relative to the archive's folder."""

    path: str
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ArchivedDay:
    """One day: a file a table, and what its rows sum to (see ``archive_days.figures``)."""

    files: Mapping[str, File]
    figures: Mapping[str, int]


@dataclass(frozen=True)
class Manifest:
    """All that an archive holds: its days counted from 1970-01-01 in ``timezone``, and the prices its calls name."""

    folder: Path
    timezone: str
    days: dict[int, ArchivedDay] = field(default_factory=dict)
    prices: dict[str, Any] = field(default_factory=dict)

    def path(self, day: int, table: str) -> Path:
        """Return where a table of a day is."""
        return self.folder / self.days[day].files[table].path

    def check(self, day: int) -> None:
        """Raise ``InputError``, naming the file, where one of a day is missing or is not what was written."""
        for file in self.days[day].files.values():
            path = self.folder / file.path
            try:
                found = digest(path)
            except FileNotFoundError:
                raise InputError("this part of the archive is missing; bring it back", source=str(path)) from None
            except OSError as error:
                raise InputError(
                    f"this part of the archive cannot be read: {error.strerror}", source=str(path)
                ) from None
            if found != file.sha256:
                raise InputError(
                    "this part of the archive is not what was written (its SHA-256 is another); bring back a copy",
                    source=str(path),
                )

    def save(self) -> None:
        """Put this manifest in the place of the last one, all at once. Raises ``OSError``."""
        text = {
            "format": FORMAT,
            "timezone": self.timezone,
            "days": {
                date_of(day).isoformat(): {
                    "figures": dict(one.figures),
                    "files": {table: _plain(file) for table, file in one.files.items()},
                }
                for day, one in sorted(self.days.items())
            },
            "prices": self.prices,
        }
        temporary = self.folder / f".{MANIFEST}"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(text, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.folder / MANIFEST)
        sync_folder(self.folder)


def read_manifest(folder: Path) -> Manifest:
    """Return what the archive in a folder holds; raises ``InputError`` where there is none or it cannot be read."""
    path = folder / MANIFEST
    try:
        text = json.loads(path.read_text(encoding="utf-8"))
        if text["format"] != FORMAT:
            raise InputError(
                f"this archive is {text['format']!r}, and this Tierwise reads {FORMAT!r}", source=str(path)
            )
        days = {
            day_number(date.fromisoformat(day)): ArchivedDay(
                {table: File(**file) for table, file in one["files"].items()}, one["figures"]
            )
            for day, one in text["days"].items()
        }
        return Manifest(folder, text["timezone"], days, text["prices"])
    except FileNotFoundError:
        raise InputError("there is no archive here; 'tierwise archive' makes one", source=str(path)) from None
    except OSError as error:
        raise InputError(f"the archive cannot be read: {error.strerror}", source=str(path)) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError("this is not the manifest of an archive; bring back a copy", source=str(path)) from None


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _plain(file: File) -> dict[str, Any]:
    return {"path": file.path, "rows": file.rows, "bytes": file.bytes, "sha256": file.sha256}
