"""The shipped heuristic that judges complexity until a scorer is fitted: transparent, and of little skill."""

from __future__ import annotations

import math
from typing import Any

import re2
from numpy.typing import NDArray

# It says what a request looks like, not what it needs: measured on graded answers it does little better than chance.
# So its confidence is the lowest that the default gate (0.5) lets pass, and a stricter gate asks the next stage.
CONFIDENCE = 0.5

# (weight, what it is a sign of, words); weights in the same unit as one doubling of the length
_WORDS: tuple[tuple[float, str, str], ...] = (
    (0.8, "programming", "bug|debug|refactor|unit tests?|compile|exception|algorithm|complexity|regex|sql|api"),
    (1.2, "mathematics", "prove|proof|theorem|integral|derivative|equation|probability|matrix|polynomial|solve"),
    (1.5, "several steps", "step[- ]by[- ]step|multi-step|reason through|chain of|first.+then"),
    (1.2, "judgement", "analy[sz]e|evaluate|critique|assess|trade-?offs?|pros and cons|implications?|justify"),
    (1.0, "comparison", "compare|contrast|versus|vs|difference between|better than|alternatives?"),
    (1.2, "design", r"design|architect(?:ure)?|plan|strategy|optimi[sz]e|implement|propose|roadmap|migrat\w+"),
    (0.7, "reasons", "why|how (?:does|do|would|could|should)|explain|what if|suppose|assume"),
    (0.7, "constraints", "must|at (?:most|least)|exactly|without|unless|except|constraints?|requirements?"),
    (0.8, "expert matter", r"contract|liabilit\w+|statute|diagnos\w+|symptoms?|dosage|audit|regulat\w+|clause"),
    (-0.8, "rewording", "translate|rephrase|rewrite|proofread|summari[sz]e|fix the (?:grammar|spelling)"),
    (-0.8, "sorting", "classify|categori[sz]e|extract|label|sentiment|yes or no|true or false|one word"),
)
_OPENINGS: tuple[tuple[float, str, str], ...] = (
    (-1.5, "small talk", "hi|hello|hey|thanks|thank you|good (?:morning|evening|afternoon)|ok|okay"),
    (-1.0, "look-up", "what is|what's|who (?:is|was)|when (?:is|was|did)|where (?:is|was)|define|how many"),
)
_SHAPES: tuple[tuple[float, str, str], ...] = (
    (1.5, "code", r"```|#include|\b(?:def|class|function|import|return|const|public|void|select)\b[^\n]*[({;:=]"),
    (1.5, "formulae", r"\\(?:frac|int|sum|lim|sqrt|begin)\b|\$\$|[0-9a-z)] ?[=^] ?[0-9a-z(\\-]|[∫∑√≤≥≠∀∃]"),
    (0.6, "quantities", r"[0-9][^0-9]+[0-9]+[^0-9]+[0-9]"),
)
_SIGNS = (
    *((weight, sign, rf"(?i)\b(?:{words})\b") for weight, sign, words in _WORDS),
    *((weight, sign, rf"(?i)\A\W*(?:{words})\b") for weight, sign, words in _OPENINGS),
    *_SHAPES,
)


class Reference:
    """Length and a handful of signs, added up; ``raw`` gives the sum, which only its order gives a meaning."""

    kind = "reference-1"  # raised with any change of the signs, since scales are made for one set of them

    def __init__(self) -> None:
        options = re2.Options()
        options.never_capture = True
        options.dot_nl = True
        self._set = re2.Set.SearchSet(options)
        for _, _, pattern in _SIGNS:
            self._set.Add(pattern)
        self._set.Compile()

    def raw(self, text: str, length: int) -> tuple[float, float]:
        """Return (sum of signs, confidence) for an excerpt of a prompt that is ``length`` characters long."""
        total = math.log2(1.0 + length / 20.0) + 0.2 * min(text.count("?"), 5) + 0.1 * min(text.count("\n"), 20)
        for number in self._set.Match(text.encode("utf-8", "replace")) or ():
            total += _SIGNS[number][0]
        return total, CONFIDENCE

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return nothing: none of it is fitted."""
        return {}

    def signs(self, text: str) -> list[str]:
        """Name the signs found in a text, for people who ask why it scored what it did."""
        found = self._set.Match(text.encode("utf-8", "replace")) or ()
        return [_SIGNS[number][1] for number in sorted(found)]
