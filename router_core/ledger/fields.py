"""What the ledger's tables are made of: integers as narrow as they can be, and text and bytes that are never NULL.

A field without one of these is as its type says: a plain ``int`` takes four bytes.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, LargeBinary, SmallInteger, Text
from sqlmodel import Field

WITHOUT_ROWID: dict[str, Any] = {"sqlite_with_rowid": False}


def key(kind: Any = BigInteger) -> Any:
    """Return a part of the primary key that the ledger gives itself."""
    return Field(primary_key=True, sa_type=kind, sa_column_kwargs={"autoincrement": False})


def small() -> Any:
    """Return a number of two bytes, such as a code."""
    return Field(sa_type=SmallInteger)


def count(*, default: int | None = None) -> Any:
    """Return a number of eight bytes; ``default`` is the database's own."""
    return Field(sa_type=BigInteger, sa_column_kwargs={} if default is None else {"server_default": str(default)})


def maybe(kind: Any = BigInteger) -> Any:
    """Return a value that may be unknown, which is NULL."""
    return Field(default=None, sa_type=kind)


def text() -> Any:
    """Return text of any length."""
    return Field(sa_type=Text)


def blob() -> Any:
    """Return bytes of any length."""
    return Field(sa_type=LargeBinary)
