"""Keyed hashes: prompts and conversations are recognised again without being kept."""

from __future__ import annotations

import hmac
import os
import secrets
from pathlib import Path

from router_core.errors import InputError

_BYTES = 32


def keyed_hash(key: bytes, data: bytes) -> int:
    """Return the first 64 bits of HMAC-SHA256 as a signed integer."""
    return int.from_bytes(hmac.digest(key, data, "sha256")[:8], "big", signed=True)


def read_hash_key(path: str | Path) -> bytes:
    """Return the key kept at ``path``, made there (readable by its owner only) where there is none.

    Raises ``InputError`` where the file can be neither read nor made, or holds something else.
    """
    file = Path(path)
    try:
        try:
            descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            pass
        else:
            with os.fdopen(descriptor, "w", encoding="ascii") as out:
                out.write(secrets.token_hex(_BYTES) + "\n")
        key = bytes.fromhex(file.read_text(encoding="ascii"))
    except OSError as error:
        raise InputError(f"the hash key cannot be read or made: {error.strerror}", source=str(file)) from None
    except ValueError:
        key = b""
    if len(key) < _BYTES:
        raise InputError(f"this is not a hash key, which is {2 * _BYTES} hexadecimal digits", source=str(file))
    return key
