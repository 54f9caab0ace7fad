"""Lengths: how many tokens an answer is expected to have, by what it was asked to be and what others like it were."""

from __future__ import annotations

from typing import Any

import re2

from router_core.complexity.excerpt import excerpt
from router_core.decision import Request

SHORT = 8
"""Tokens of a label, a yes or a no."""

_FEWEST = 5  # answers of a feature before their mean is worth anything
_MEMORY = 0.02  # what one more answer weighs once there are many: the last fifty or so count
_TOKENS_A_WORD = 1.35
_MOST_FEATURES = 10_000  # callers may name features as they like


def _asked_words() -> Any:
    options = re2.Options()
    options.case_sensitive = False
    return re2.compile(r"(?:\b([0-9]{1,5})|\bone|\ba single)[ -]words?\b", options)


_WORDS = _asked_words()


class Lengths:
    """What answers were like, by feature; one instance learns from all that a router serves."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, int]] = {}

    def observe(self, feature: str, output_tokens: int) -> None:
        """Learn from an answer."""
        mean, count = self._known.pop(feature, (0.0, 0))
        count += 1
        self._known[feature] = mean + (output_tokens - mean) * max(1 / count, _MEMORY), count
        if len(self._known) > _MOST_FEATURES:
            del self._known[next(iter(self._known))]  # the one that was served longest ago

    def expected(self, request: Request) -> int | None:
        """Return the tokens an answer is expected to have, None where nothing tells.

        A number of words that the prompt asks for decides, then a format that is always short, then the mean of the
        feature's latest answers.
        """
        asked = _WORDS.search(excerpt(request.text).encode("utf-8", "replace"))
        if asked is not None:
            return round(int(asked[1]) * _TOKENS_A_WORD) if asked[1] else SHORT
        if request.expected_format == "classification":
            return SHORT
        mean, count = self._known.get(request.feature, (0.0, 0))
        return round(mean) if count >= _FEWEST else None
