"""What one request was and became: the frozen record that serving writes and the ledger keeps, knowing no tables."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import IntEnum

from router_core.usage import Usage


class Reason(IntEnum):
    """Why a request was assigned its tier. Codes are stored; never renumber them."""

    POLICY = 0
    EXPLORE = 1
    RULE = 2
    PIN = 3
    STICKY = 4
    BUDGET = 5
    CANARY = 6
    NAMED = 7  # the caller named a model, so nothing was routed
    UNCERTAIN = 8  # no stage was sure, so one tier above the boundary's; not evidence for the score's own cell


class Kind(IntEnum):
    """What an attempt was for. Codes are stored; never renumber them."""

    ANSWER = 0
    ESCALATION = 1
    FAILOVER = 2
    CLASSIFIER = 3
    EMBEDDING = 4
    JUDGE = 5
    COMPRESS = 6
    CHAIN = 7
    SHADOW = 8
    TRIAL = 9


class Status(IntEnum):
    """How an attempt, or the whole decision, ended. Codes are stored; never renumber them."""

    OK = 0
    REFUSED = 1
    TIMEOUT = 2
    RATE_LIMITED = 3
    CONTEXT_OVERFLOW = 4
    BAD_ANSWER = 5
    ABORTED = 6  # the caller went away, or the stream was cut after it began
    REJECTED = 7  # a check turned the answer down
    BLOCKED = 8  # a budget or a rule refused the request


class Strategy(IntEnum):
    """How the request was served. Codes are stored; never renumber them."""

    DIRECT = 0
    CASCADE = 1
    CHAIN = 2
    CACHE_EXACT = 3
    CACHE_SEMANTIC = 4


class UsageSource(IntEnum):
    """Who counted the tokens. Codes are stored; never renumber them."""

    PROVIDER = 0
    ESTIMATED = 1


class QualitySource(IntEnum):
    """Who judged the answer, in rising precedence. Codes are stored; never renumber them."""

    CHECK = 1
    FEEDBACK = 2
    JUDGE = 3
    PERSON = 4


@dataclass(frozen=True, slots=True)
class Request:
    """What came in, as far as routing needs to know it: the text to judge, and what the caller said about it.

    ``text`` is the conversation's user-visible text, newest turn last; ``input_tokens`` an estimate of the whole
    prompt; ``conversation`` an opaque id the caller gave, empty where there is none.
    """

    text: str
    feature: str = "default"
    team: str = ""
    user_tier: str = ""
    conversation: str = ""
    expected_format: str = ""
    language: str = ""
    input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call to one model, successful or not.

    ``list_cost_nusd`` is our price in nano-dollars, None where no price is known; ``reported_cost_nusd`` is what the
    provider said. ``price_id`` names the price row that priced it. ``final`` marks the one attempt whose result the
    caller got (or, where none succeeded, the last one tried).
    """

    kind: Kind
    tier: str
    provider_name: str
    model: str
    status: Status = Status.OK
    final: bool = True
    reason: str = ""
    offset_ms: int = 0
    latency_ms: int = 0
    ttft_ms: int | None = None
    usage: Usage | None = None
    usage_source: UsageSource = UsageSource.PROVIDER
    list_cost_nusd: int | None = None
    reported_cost_nusd: int | None = None
    price_id: int | None = None


@dataclass(frozen=True, slots=True)
class RoutingDecision:
    """One request: what it was, where it went and why, and every call made for it.

    ``decided_at_ms`` is UTC epoch milliseconds; ``propensity`` the probability with which the policy chose ``tier``;
    ``conversation_hash`` and ``prompt_hash`` are signed 64-bit keyed hashes, None where there is nothing to hash.
    ``score`` is None only where nothing was scored (a named model).
    """

    id: bytes
    decided_at_ms: int
    config_version: int
    scorer_version: str
    feature: str
    team: str
    score: int | None
    stage: str
    tier: str
    reason: Reason
    propensity: float
    strategy: Strategy
    status: Status
    latency_ms: int
    attempts: tuple[Attempt, ...]
    user_tier: str = ""
    ttft_ms: int | None = None
    expected_output_tokens: int | None = None
    conversation_hash: int | None = None
    prompt_hash: int | None = None
    quality: float | None = None
    quality_source: QualitySource | None = None

    @property
    def cost_nusd(self) -> int | None:
        """List cost of all attempts in nano-dollars, as far as their tokens are known.

        None where one that used tokens has no price, or where no cost is known and one answered: nobody counted its
        tokens. A call that failed without any cost nothing.
        """
        total, priced, uncounted = 0, False, False
        for attempt in self.attempts:
            if attempt.list_cost_nusd is not None:
                total += attempt.list_cost_nusd
                priced = True
            elif attempt.usage is not None:
                return None
            elif attempt.status == Status.OK:
                uncounted = True
        return None if uncounted and not priced else total


def new_decision_id(at_ms: int | None = None, random: bytes | None = None) -> bytes:
    """Return a UUID version 7 (RFC 9562) as 16 bytes: it sorts by time, so the ledger's rows do too.

    ``at_ms`` is UTC epoch milliseconds; ``random`` ten bytes, given where the id must be reproducible (an import).
    """
    milliseconds = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    tail = bytearray(os.urandom(10) if random is None else random)
    tail[0] = 0x70 | (tail[0] & 0x0F)
    tail[2] = 0x80 | (tail[2] & 0x3F)
    return milliseconds.to_bytes(6, "big") + bytes(tail)
