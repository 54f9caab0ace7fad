"""Prompts made up from a seed: prose, code and figures, with words as unevenly frequent as real ones."""

from __future__ import annotations

import itertools
import math
import random

_SYLLABLES = "ba ce di fo gu ha je ki lo mu na pe qui ro su ta ve wi xo yu zan ber col dem fin gra hol jus ker lim"
_FUNCTION_WORDS = (
    "the of and to in is that it for on with as was be by are this at from or an have not but they you we which can "
    "their has when if one all would there what so up out them then some could these more than first how why please"
)
_TASKS = (
    "Explain why", "Compare", "Summarise", "Translate", "Write a function that checks whether", "Prove that",
    "List every case in which", "What happens when", "Draft a short reply saying that", "Find the mistake:",
)  # fmt: skip


class PromptMaker:
    """Makes prompts from a seed; the same seed makes the same ones. ``hard_words`` mark the hard ones."""

    def __init__(self, seed: int, vocabulary: int = 12_000) -> None:
        self._random = random.Random(seed)
        made = ("".join(parts) for size in (2, 3, 4) for parts in itertools.product(_SYLLABLES.split(), repeat=size))
        words = list(itertools.islice(made, 4 * vocabulary))
        random.Random(7).shuffle(words)  # the vocabulary is the same for every seed
        self._words = words[:vocabulary]
        self.hard_words = self._words[40:240:5]
        self._small = _FUNCTION_WORDS.split()
        self._weights = list(itertools.accumulate(1.0 / (rank + 10.0) for rank in range(vocabulary)))

    def many(self, count: int, *, shortest: int = 10, longest: int = 2_000) -> list[str]:
        """Return prompts of about ``shortest`` to ``longest`` tokens, short ones more often than long ones."""
        low, high = math.log(shortest), math.log(longest)
        return [self.one(round(math.exp(self._random.uniform(low, high)))) for _ in range(count)]

    def one(self, tokens: int) -> str:
        """Return one prompt of about that many tokens."""
        parts = [self._random.choice(_TASKS)]
        left = tokens - 3
        while left > 0:
            kind = self._random.random()
            if kind < 0.12 and left > 40:
                parts.append(self._code())
                left -= 38
            elif kind < 0.2 and left > 15:
                parts.append(self._figures())
                left -= 16
            else:
                size = min(left, self._random.randint(5, 18))
                parts.append(self._sentence(size))
                left -= round(1.3 * size)
        return " ".join(parts)

    def _word(self) -> str:
        return self._random.choices(self._words, cum_weights=self._weights)[0]

    def _sentence(self, size: int) -> str:
        draw = self._random.random
        words = [self._random.choice(self._small) if draw() < 0.45 else self._word() for _ in range(size)]
        return " ".join(words).capitalize() + self._random.choice([".", ".", ".", "?", ",", ";\n"])

    def _code(self) -> str:
        name, argument = self._word(), self._word()
        number = self._random.randint(0, 999)
        return (
            f"\n```\ndef {name}({argument}, size={number}):\n    if len({argument}) > size:\n"
            f"        raise ValueError('{self._word()}')\n    return [{argument}[i] + {number}]\n```\n"
        )

    def _figures(self) -> str:
        draw = self._random.randint
        return f"{self._word()}: {draw(1, 99)}.{draw(10, 99)} % of {draw(1_000, 99_999)} in {draw(1_990, 2_030)}."
