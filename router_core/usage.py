"""Token counts of one call, in one convention: totals include their subsets."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from router_core.errors import UsageError


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call, as OpenTelemetry's GenAI conventions count them.

    ``input_tokens`` is the total including cached tokens, ``output_tokens`` the total including reasoning;
    the other three are subsets of these. Raises ``UsageError`` where the counts contradict one another.
    """

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    reasoning_output_tokens: int = 0

    def __post_init__(self) -> None:
        if (
            self.input_tokens < 0
            or self.output_tokens < 0
            or self.cache_read_input_tokens < 0
            or self.cache_write_input_tokens < 0
            or self.reasoning_output_tokens < 0
        ):
            raise UsageError(f"token counts cannot be negative: {self}")
        if self.cache_read_input_tokens + self.cache_write_input_tokens > self.input_tokens:
            raise UsageError(
                f"cached tokens ({self.cache_read_input_tokens} read + {self.cache_write_input_tokens} written) exceed "
                f"the {self.input_tokens} input tokens; input_tokens is the total including cached ones"
            )
        if self.reasoning_output_tokens > self.output_tokens:
            raise UsageError(
                f"reasoning tokens ({self.reasoning_output_tokens}) exceed the {self.output_tokens} output tokens; "
                "output_tokens is the total including reasoning"
            )

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_input_tokens + other.cache_read_input_tokens,
            self.cache_write_input_tokens + other.cache_write_input_tokens,
            self.reasoning_output_tokens + other.reasoning_output_tokens,
        )

    @classmethod
    def from_openai(cls, usage: Mapping[str, Any]) -> Usage:
        """Read the ``usage`` object of an OpenAI-compatible answer; totals there already include their subsets."""
        try:
            prompt = usage.get("prompt_tokens_details") or {}
            completion = usage.get("completion_tokens_details") or {}
            return cls(
                int(usage["prompt_tokens"]),
                int(usage.get("completion_tokens") or 0),
                int(prompt.get("cached_tokens") or 0),
                int(prompt.get("cache_write_tokens") or prompt.get("cache_creation_tokens") or 0),
                int(completion.get("reasoning_tokens") or 0),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UsageError(f"the answer's usage cannot be read: {usage!r}") from error


_PIECE = re.compile(r"([A-Za-z]+)|(\d+)|([一-鿿぀-ヿ가-힯]+)|(\n+)|([ \t]{2,})|([^\x00-\x7f]+)|([^\sA-Za-z\d])")


def estimate_tokens(text: str) -> int:
    """Estimate how many tokens ``text`` is, within about 10 % of o200k on prose and code; always marked as estimated.

    One pass over character classes; texts above 20,000 characters are estimated from their beginning.
    """
    sample = text[:20_000]
    total = 0.0
    for word, digits, cjk, newlines, spaces, other, _ in _PIECE.findall(sample):
        if word:
            total += 1 + max(0, len(word) - 7) / 5.5
        elif digits:
            total += -(-len(digits) // 3)
        elif cjk:
            total += 0.75 * len(cjk)
        elif newlines or spaces:
            total += 0.6
        elif other:
            total += 0.45 * len(other)
        else:
            total += 0.62
    if len(text) > len(sample):
        total *= len(text) / len(sample)
    return max(1, round(total)) if text else 0
