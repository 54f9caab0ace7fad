"""What a reader can say about one line of any format: a call, spend somebody summed, a judgement, or why not."""

from __future__ import annotations

from datetime import date
from enum import IntEnum
from typing import NamedTuple

from router_core.decision import Kind, QualitySource, RoutingDecision, Status, Strategy, UsageSource
from router_core.usage import Usage


class Joins(IntEnum):
    """Whether a call belongs to one request together with others of its trace."""

    NEVER = 0
    MAYBE = 1  # the calls around it tell: it took over where one of them failed
    UNTIL_ANSWERED = 2  # a failure, what took over from it, or a call on behalf of the answer that follows
    ALWAYS = 3  # the whole trace is one request


class Quality(NamedTuple):
    """One judgement of an answer, 0..1, under the name its source gives it."""

    name: str
    value: float
    source: QualitySource


class ImportedCall(NamedTuple):
    """One call to one model as somebody else's log tells it.

    ``source`` names the family of logs and ``request_id`` the call within it: together they are the call's identity,
    whichever file it comes in. Times are UTC epoch milliseconds and durations milliseconds. ``usage`` follows our
    convention (totals include their subsets); None where nothing was counted. ``reported_cost_nusd`` is what the log
    says the call cost, in nano-dollars. ``trace`` is shared by calls that may belong to one request, and ``joins`` says
    whether this one does.
    ``cached`` is the strategy of an answer that came from a response cache, so that no model was called.
    """

    source: str
    request_id: str
    started_at_ms: int
    provider_name: str
    request_model: str
    response_model: str = ""
    feature: str = "default"
    team: str = ""
    user_tier: str = ""
    conversation: str = ""
    tier: str = ""
    kind: Kind = Kind.ANSWER
    status: Status = Status.OK
    error: str = ""
    usage: Usage | None = None
    usage_source: UsageSource = UsageSource.PROVIDER
    reported_cost_nusd: int | None = None
    latency_ms: int = 0
    ttft_ms: int | None = None
    processing: str = "standard"
    cached: Strategy | None = None
    trace: str = ""
    joins: Joins = Joins.NEVER
    qualities: tuple[Quality, ...] = ()


class MeteredSpend(NamedTuple):
    """A bucket of usage or cost that somebody else summed; it holds no single requests, so it is spend, not evidence.

    ``day`` is the UTC date the report files it under, times are UTC epoch milliseconds, costs nano-dollars; None is
    not known. ``meter`` is what a row counts where the report has one row a meter, ``account`` the project, workspace
    or key it bills. Our own prices are laid on ``usage``: those of ``processing`` for calls of ``call_input_tokens``.
    """

    source: str
    day: date
    starts_at_ms: int
    ends_at_ms: int
    provider_name: str
    model: str
    meter: str = ""
    account: str = ""
    requests: int | None = None
    usage: Usage | None = None
    list_cost_nusd: int | None = None
    reported_cost_nusd: int | None = None
    processing: str = "standard"
    call_input_tokens: int = 0


class Evaluation(NamedTuple):
    """A judgement of a call that was logged apart from it; ``request_ids`` are the names the call may go by."""

    source: str
    request_ids: tuple[str, ...]
    at_ms: int
    quality: Quality
    line: int = 0
    raw: str = ""


class Rejected(NamedTuple):
    """A line that could not be used: where it begins (counting from 1), why, and what it says."""

    line: int
    reason: str
    raw: str


Item = ImportedCall | MeteredSpend | Evaluation | RoutingDecision | Rejected
