"""The tables of traffic: narrow integer rows, names interned in ``dimension``, money in nano-dollars, NULL for unknown.

Ids of decisions are UUID version 7, so primary keys run with time and no further index on time is kept: a range of
days is a range of ids. Codes are those of ``router_core.decision``. Quality and propensity are stored in millionths
so that every engine sums them to the same integer.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import LargeBinary, SmallInteger, UniqueConstraint
from sqlmodel import Field, SQLModel

from router_core.ledger.fields import WITHOUT_ROWID, count, key, maybe, small, text

MILLION = 1_000_000


class DimensionRow(SQLModel, table=True):
    """A name rows refer to by number; kinds: feature, team, tier, model, provider, stage, scorer, user_tier, why."""

    __tablename__ = "dimension"
    __table_args__ = (UniqueConstraint("kind", "name"),)
    id: int | None = Field(default=None, primary_key=True)
    kind: str
    name: str


class DecisionRow(SQLModel, table=True):
    """One request; times are UTC epoch milliseconds, ``day`` counts days since 1970-01-01 in the reporting zone."""

    __tablename__ = "decision"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    id: bytes = key(LargeBinary(16))
    decided_at_ms: int = count()
    day: int
    hour: int = small()  # 0..23 in the reporting zone
    config_version: int
    scorer_id: int
    feature_id: int
    team_id: int
    user_tier_id: int
    score: int | None = maybe(SmallInteger)
    stage_id: int
    tier_id: int  # the tier assigned
    reason: int = small()
    propensity_ppm: int
    strategy: int = small()
    status: int = small()
    attempts: int = small()
    escalations: int = small()
    failovers: int = small()
    latency_ms: int
    ttft_ms: int | None = None
    expected_output_tokens: int | None = None
    conversation_hash: int | None = maybe()
    prompt_hash: int | None = maybe()
    cost_nusd: int | None = maybe()  # sum over attempts; NULL where it is unknown
    quality_ppm: int | None = None
    quality_source: int | None = maybe(SmallInteger)


class AttemptRow(SQLModel, table=True):
    """One call to one model; ``final`` is 1 on the attempt whose result the caller got."""

    __tablename__ = "attempt"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    decision_id: bytes = key(LargeBinary(16))
    seq: int = key(SmallInteger)
    kind: int = small()
    tier_id: int
    provider_id: int
    model_id: int
    status: int = small()
    final: int = small()
    why_id: int
    offset_ms: int
    latency_ms: int
    latency_bin: int = small()
    ttft_ms: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    usage_source: int = small()
    list_cost_nusd: int | None = maybe()
    reported_cost_nusd: int | None = maybe()
    price_id: int | None = None


class QualityLabelRow(SQLModel, table=True):
    """One judgement of one decision; the decision carries the one of highest precedence, then the newest."""

    __tablename__ = "quality_label"
    id: int | None = Field(default=None, primary_key=True)
    decision_id: bytes = Field(sa_type=LargeBinary(16), index=True)
    labelled_at_ms: int = count()
    source: int = small()
    quality_ppm: int
    needed_tier_id: int | None = None
    author: str = ""
    note: str = ""


class CapturedPromptRow(SQLModel, table=True):
    """Prompt text kept by opt-in, until ``expires_at_ms``."""

    __tablename__ = "captured_prompt"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    decision_id: bytes = key(LargeBinary(16))
    expires_at_ms: int = count()
    prompt: str = text()


class MeteredSpendRow(SQLModel, table=True):
    """Spend that somebody else summed: a day or an hour of a provider's usage or cost report, no single requests.

    ``row_hash`` names the bucket (source, period, model, meter, account), not its figures, so that a report fetched
    again replaces what it said before. ``day`` counts days since 1970-01-01 as the report does, which is in UTC.
    """

    __tablename__ = "metered_spend"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    row_hash: bytes = key(LargeBinary(16))
    source: str
    day: int
    starts_at_ms: int = count()
    ends_at_ms: int = count()
    provider_name: str
    model: str
    meter: str  # what the row counts: "" for all tokens of the model, or one meter such as input_tokens
    account: str
    requests: int | None = maybe()
    input_tokens: int | None = maybe()
    output_tokens: int | None = maybe()
    cache_read_input_tokens: int | None = maybe()
    cache_write_input_tokens: int | None = maybe()
    reasoning_output_tokens: int | None = maybe()
    list_cost_nusd: int | None = maybe()
    reported_cost_nusd: int | None = maybe()
