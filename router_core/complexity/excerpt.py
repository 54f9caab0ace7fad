"""The part of a prompt that is looked at: its beginning and its end, so that no prompt takes long to judge."""

from __future__ import annotations

HEAD_CHARACTERS = 1_500
TAIL_CHARACTERS = 500


def excerpt(text: str) -> str:
    """Return ``text``, or where it is longer than 2,000 characters its first 1,500 and last 500, a line apart."""
    if len(text) <= HEAD_CHARACTERS + TAIL_CHARACTERS:
        return text
    return text[:HEAD_CHARACTERS] + "\n" + text[-TAIL_CHARACTERS:]
