"""Conversations that are still warm, each with the tier and model that serve it."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple


class Warm(NamedTuple):
    """Who serves a conversation; ``used_at`` is on the router's timer, in seconds."""

    tier: str
    model: str
    used_at: float


class Conversations:
    """The most recently used conversations, at most ``most`` of them, kept in memory only."""

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._kept: OrderedDict[int, Warm] = OrderedDict()

    def find(self, conversation: int, now: float, warm_seconds: float) -> Warm | None:
        """Return who served a conversation within the last ``warm_seconds``, None where nobody did."""
        found = self._kept.get(conversation)
        if found is None or now - found.used_at > warm_seconds:
            return None
        return found

    def keep(self, conversation: int, warm: Warm) -> None:
        """Remember who serves a conversation now, forgetting the one used longest ago where there are too many."""
        self._kept[conversation] = warm
        self._kept.move_to_end(conversation)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
