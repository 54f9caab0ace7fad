"""Score: what the classifier says of one request, whichever stage said it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """How much a request needs a stronger tier, on the percentile scale.

    ``value`` is 0..100; ``stage`` names who judged (``rules``, ``embedding``, ``reference``, ``judge``) with what
    ``confidence`` (0..1); ``scorer`` is the version whose scale the value stands on. ``rule_tier`` is the tier a rule
    named, and ``rule`` that rule's path in the configuration. ``uncertain`` says that no stage was sure enough and
    nobody is left to ask, so the policy routes up one tier. ``expected_output_tokens`` is None where not estimated.
    """

    value: int
    stage: str
    confidence: float
    scorer: str
    rule_tier: str | None = None
    expected_output_tokens: int | None = None
    uncertain: bool = False
    rule: str = ""
