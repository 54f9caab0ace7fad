"""Which format a file has, told from its content and never from its name."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from router_core.errors import InputError
from router_core.exchange import (
    anthropic,
    deepseek,
    helicone,
    langfuse,
    litellm,
    openai,
    openrouter,
    otel,
    own,
    portkey,
    vercel,
)
from router_core.exchange.calls import Rejected
from router_core.exchange.format import Format
from router_core.exchange.source import Source
from router_core.exchange.table import header
from router_core.exchange.values import values

FORMATS: tuple[Format, ...] = (
    *own.FORMATS,
    *litellm.FORMATS,
    *otel.FORMATS,
    *langfuse.FORMATS,
    *helicone.FORMATS,
    *openrouter.FORMATS,
    *openai.FORMATS,
    *anthropic.FORMATS,
    *portkey.FORMATS,
    *deepseek.FORMATS,
    *vercel.FORMATS,
)
"""Every format that can be imported; of those that fit a file, the first is taken."""

NAMES: tuple[str, ...] = tuple(dict.fromkeys(known.name for known in FORMATS))
"""What a person may type for a format."""


def sniff(source: Source, name: str = "auto") -> Format:
    """Return the format of a file; ``name`` is what the person says it is, "auto" where it is for us to say.

    Raises ``InputError`` where no known format fits, or another one than ``name``.
    """
    if name not in ("auto", *NAMES):
        near = difflib.get_close_matches(name, NAMES, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"choose one of auto, {', '.join(NAMES)}"
        raise InputError(f"there is no format {name!r}; {hint}")
    found = recognised(source)
    if found is None:
        titles = "; ".join(known.title for known in FORMATS)
        raise InputError(f"{_seen(source)}. Known are: {titles}", source=source.name)
    if name not in ("auto", found.name):
        raise InputError(f"this is {found.title}, not {name}; write {found.name} or auto", source=source.name)
    return found


def recognised(source: Source) -> Format | None:
    """Return the first format that fits the beginning of a file, None where none does."""
    if source.is_parquet:
        return next(known for known in FORMATS if known.name == "parquet")
    if source.head.lstrip()[:1] in ("{", "["):
        for value, key in _first_values(source):
            for known in FORMATS:
                if known.fits is not None and known.fits(value, key):
                    return known
        return None
    columns = frozenset(header(source.head))
    return next((known for known in FORMATS if known.columns and known.columns <= columns), None)


def _first_values(source: Source) -> list[tuple[Mapping[str, Any], str]]:
    found: list[tuple[Mapping[str, Any], str]] = []
    sample = Source(BytesIO(source.head.encode("utf-8", "replace")), source.name)
    for value in values(sample):
        if not isinstance(value, Rejected) and isinstance(value.value, dict):
            found.append((value.value, value.key))
            if len(found) == 3:
                break
    return found


def _seen(source: Source) -> str:
    if source.head.lstrip()[:1] in ("{", "["):
        first = _first_values(source)
        keys = ", ".join(list(first[0][0])[:6]) if first else ""
        return (
            f"no format known here has JSON like this (its keys begin {keys})" if keys else "no JSON can be read in it"
        )
    columns = header(source.head)
    if len(columns) > 1:
        return f"no format known here has these columns ({', '.join(columns[:6])}{', ...' if len(columns) > 6 else ''})"
    return "this is neither JSON, CSV with a header, nor Parquet"
