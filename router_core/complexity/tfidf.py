"""GainHead: the fitted text model, P(strong adequate) - P(cheap adequate), as one look-up a word and numpy alone."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Scripts written without spaces give a token a character. For ASCII text both patterns find the same tokens.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
_find_ascii = re.compile(r"\w+|[^\w\s]", re.ASCII).findall
_find_any = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]").findall
_SYMBOLS = "=+^$\\%"

SHAPE = (
    "log2 of its characters",
    "log2 of its tokens",
    "share of tokens that are distinct",
    "mean length of a token",
    "log2 of its numbers",
    "log2 of its lines",
    "log2 of its question marks",
    "log2 of its symbols",
)
"""What is measured of a prompt beside its words; logarithms are of one more."""


def tokens(text: str) -> list[str]:
    """Return the lower-case words, numbers and single marks of a text, in order."""
    return _find_ascii(text.lower()) if text.isascii() else _find_any(text.lower())


def shape(words: Sequence[str], text: str, length: int) -> list[float]:
    """Return the measures named in ``SHAPE`` for an excerpt, its tokens, and the length of the whole prompt."""
    count = len(words)
    return [
        math.log2(1 + length),
        math.log2(1 + count),
        len(set(words)) / count if count else 0.0,
        sum(map(len, words)) / count if count else 0.0,
        math.log2(1 + sum(map(str.isdigit, words))),
        math.log2(1 + text.count("\n")),
        math.log2(1 + text.count("?")),
        math.log2(1 + sum(map(text.count, _SYMBOLS))),
    ]


class GainHead:
    """Two logistic models over one text, folded so that a prompt costs one look-up a token and a few array steps.

    The text is TF-IDF of single tokens and pairs of neighbours (1 + log of the count, times idf, scaled to length 1)
    and the measures of ``SHAPE``. ``words`` are the single tokens known; ``pairs`` the pairs known, each as
    first * (len(words) + 1) + second, ascending. ``table`` has a row a token, then a row a pair: its idf, and its
    idf times its weight for the cheap and for the strong model. ``shape_weights`` (2 x 8) and ``intercepts`` (2) are
    the rest of the two models.
    """

    kind = "gain"

    def __init__(
        self,
        words: Sequence[str],
        pairs: NDArray[np.int64],
        table: NDArray[np.float64],
        shape_weights: NDArray[np.float64],
        intercepts: NDArray[np.float64],
    ) -> None:
        if table.shape != (len(words) + len(pairs), 3) or shape_weights.shape != (2, len(SHAPE)):
            raise ValueError("its arrays do not fit together")
        self._words = tuple(words)
        self._known = len(words)
        self._index = {word: index for index, word in enumerate(words)}
        # A last key that no pair can have, so that a search always lands inside.
        self._pairs = np.append(pairs, np.iinfo(np.int64).max)
        self._table = np.ascontiguousarray(table)
        self._shape_weights = shape_weights.tolist()
        self._intercepts = intercepts.tolist()

    @property
    def vocabulary(self) -> int:
        """How many tokens and pairs it knows."""
        return len(self._table)

    def raw(self, text: str, length: int) -> tuple[float, float]:
        """Return (expected gain -1..1, share of the tokens that are known) for an excerpt of a prompt."""
        words = tokens(text)
        if not words:
            return self._gain(0.0, 0.0, words, text, length), 0.0
        known = self._known
        ids = np.fromiter(map(self._index.get, words, repeat(known)), np.int64, len(words))
        keys = ids[:-1] * (known + 1) + ids[1:]
        places = self._pairs.searchsorted(keys)
        singles = ids[ids < known]
        rows = np.concatenate((singles, places[self._pairs[places] == keys] + known))
        if not len(rows):
            return self._gain(0.0, 0.0, words, text, length), 0.0
        rows.sort()
        ends = np.append(np.flatnonzero(rows[1:] != rows[:-1]), len(rows) - 1)
        counts = np.diff(ends, prepend=-1)
        entries = self._table[rows[ends]]
        frequencies = 1.0 + np.log(counts)
        _, cheap, strong = (frequencies @ entries).tolist()
        norm = math.sqrt(((frequencies * entries[:, 0]) ** 2).sum())
        return self._gain(cheap / norm, strong / norm, words, text, length), len(singles) / len(words)

    def _gain(self, cheap: float, strong: float, words: Sequence[str], text: str, length: int) -> float:
        measures = shape(words, text, length)
        for_cheap, for_strong = self._shape_weights
        cheap += self._intercepts[0] + sum(map(float.__mul__, for_cheap, measures))
        strong += self._intercepts[1] + sum(map(float.__mul__, for_strong, measures))
        return _sigmoid(strong) - _sigmoid(cheap)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what the model is made of, as plain arrays."""
        return {
            "words": np.frombuffer("\n".join(self._words).encode("utf-8", "surrogatepass"), dtype=np.uint8),
            "pairs": self._pairs[:-1],
            "table": self._table,
            "shape_weights": np.asarray(self._shape_weights),
            "intercepts": np.asarray(self._intercepts),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> GainHead:
        """Return the model that these arrays make; raises ``ValueError`` or ``KeyError`` where they do not."""
        text = arrays["words"].tobytes().decode("utf-8", "surrogatepass")
        return cls(
            text.split("\n") if text else [],
            arrays["pairs"],
            arrays["table"],
            arrays["shape_weights"],
            arrays["intercepts"],
        )


def _sigmoid(value: float) -> float:
    if value >= 0.0:
        return 1.0 / (1.0 + math.exp(-value))
    odds = math.exp(value)
    return odds / (1.0 + odds)
