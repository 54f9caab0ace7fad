"""The ledger's tables: narrow integer rows, names interned in ``dimension``, money in nano-dollars, NULL for unknown.

Ids of decisions are UUID version 7, so primary keys run with time and no further index on time is kept: a range of
days is a range of ids. Codes are those of ``router_core.decision``. Quality and propensity are stored in millionths
so that every engine sums them to the same integer.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, SmallInteger, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

MILLION = 1_000_000


def _key(kind: Any = BigInteger) -> Any:
    return Field(sa_column=Column(kind, primary_key=True, autoincrement=False))


def _small(*, default: int | None = None) -> Any:
    return Field(
        sa_column=Column(SmallInteger, nullable=False, server_default=None if default is None else str(default))
    )


def _count(*, default: int | None = None) -> Any:
    return Field(sa_column=Column(BigInteger, nullable=False, server_default=None if default is None else str(default)))


def _maybe(kind: Any = BigInteger) -> Any:
    return Field(default=None, sa_column=Column(kind, nullable=True))


_WITHOUT_ROWID: dict[str, Any] = {"sqlite_with_rowid": False}


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
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    id: bytes = _key(LargeBinary(16))
    decided_at_ms: int = _count()
    day: int = Field(sa_column=Column(Integer, nullable=False))
    hour: int = _small()  # 0..23 in the reporting zone
    config_version: int = Field(sa_column=Column(Integer, nullable=False))
    scorer_id: int = Field(sa_column=Column(Integer, nullable=False))
    feature_id: int = Field(sa_column=Column(Integer, nullable=False))
    team_id: int = Field(sa_column=Column(Integer, nullable=False))
    user_tier_id: int = Field(sa_column=Column(Integer, nullable=False))
    score: int | None = _maybe(SmallInteger)
    stage_id: int = Field(sa_column=Column(Integer, nullable=False))
    tier_id: int = Field(sa_column=Column(Integer, nullable=False))  # the tier assigned
    reason: int = _small()
    propensity_ppm: int = Field(sa_column=Column(Integer, nullable=False))
    strategy: int = _small()
    status: int = _small()
    attempts: int = _small()
    escalations: int = _small()
    failovers: int = _small()
    latency_ms: int = Field(sa_column=Column(Integer, nullable=False))
    ttft_ms: int | None = _maybe(Integer)
    expected_output_tokens: int | None = _maybe(Integer)
    conversation_hash: int | None = _maybe()
    prompt_hash: int | None = _maybe()
    cost_nusd: int | None = _maybe()  # sum over attempts; NULL where one that used tokens has no price
    quality_ppm: int | None = _maybe(Integer)
    quality_source: int | None = _maybe(SmallInteger)


class AttemptRow(SQLModel, table=True):
    """One call to one model; ``final`` is 1 on the attempt whose result the caller got."""

    __tablename__ = "attempt"
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    decision_id: bytes = _key(LargeBinary(16))
    seq: int = _key(SmallInteger)
    kind: int = _small()
    tier_id: int = Field(sa_column=Column(Integer, nullable=False))
    provider_id: int = Field(sa_column=Column(Integer, nullable=False))
    model_id: int = Field(sa_column=Column(Integer, nullable=False))
    status: int = _small()
    final: int = _small()
    why_id: int = Field(sa_column=Column(Integer, nullable=False))
    offset_ms: int = Field(sa_column=Column(Integer, nullable=False))
    latency_ms: int = Field(sa_column=Column(Integer, nullable=False))
    latency_bin: int = _small()
    ttft_ms: int | None = _maybe(Integer)
    input_tokens: int | None = _maybe(Integer)
    output_tokens: int | None = _maybe(Integer)
    cache_read_input_tokens: int | None = _maybe(Integer)
    cache_write_input_tokens: int | None = _maybe(Integer)
    reasoning_output_tokens: int | None = _maybe(Integer)
    usage_source: int = _small()
    list_cost_nusd: int | None = _maybe()
    reported_cost_nusd: int | None = _maybe()
    price_id: int | None = _maybe(Integer)


class QualityLabelRow(SQLModel, table=True):
    """One judgement of one decision; the decision carries the one of highest precedence, then the newest."""

    __tablename__ = "quality_label"
    id: int | None = Field(default=None, primary_key=True)
    decision_id: bytes = Field(sa_column=Column(LargeBinary(16), nullable=False, index=True))
    labelled_at_ms: int = _count()
    source: int = _small()
    quality_ppm: int = Field(sa_column=Column(Integer, nullable=False))
    needed_tier_id: int | None = _maybe(Integer)
    author: str = ""
    note: str = ""


class ConfigVersionRow(SQLModel, table=True):
    """One pushed configuration, never edited; ``rollout`` is all, canary or shadow."""

    __tablename__ = "config_version"
    version: int = _key(Integer)
    created_at_ms: int = _count()
    author: str
    note: str = Field(sa_column=Column(Text, nullable=False))
    config_json: str = Field(sa_column=Column(Text, nullable=False))
    rollout: str = "all"
    share_ppm: int = MILLION
    projection_json: str | None = _maybe(Text)


class PriceRow(SQLModel, table=True):
    """One dated price in US dollars per million tokens, as decimal text so that nothing is lost; NULL is unknown."""

    __tablename__ = "price"
    id: int | None = Field(default=None, primary_key=True)
    provider_name: str = Field(index=True)
    model: str
    layer: str
    effective_from: str  # ISO date, UTC
    processing: str = "standard"
    min_input_tokens: int = 0
    minute_from: int | None = None  # of the UTC day, for time-of-day prices
    minute_to: int | None = None
    input_usd_per_mtok: str | None = None
    output_usd_per_mtok: str | None = None
    cache_read_usd_per_mtok: str | None = None
    cache_write_usd_per_mtok: str | None = None
    source: str = ""
    note: str = ""
    added_at_ms: int = _count(default=0)


class ScorerRow(SQLModel, table=True):
    """One fitted scorer: its artefact, and the skill it showed on held-out requests."""

    __tablename__ = "scorer"
    version: str = Field(primary_key=True)
    fitted_at_ms: int = _count()
    artefact: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    skill_json: str = Field(sa_column=Column(Text, nullable=False))


class GatewayKeyRow(SQLModel, table=True):
    """A gateway key, kept as a hash; it carries the team, and the features it may name (empty: all)."""

    __tablename__ = "gateway_key"
    key_hash: bytes = _key(LargeBinary(32))
    name: str
    team: str
    features_json: str = Field(sa_column=Column(Text, nullable=False))
    created_at_ms: int = _count()
    revoked_at_ms: int | None = _maybe()


class BudgetSpendRow(SQLModel, table=True):
    """What a budget has spent and reserved in one period."""

    __tablename__ = "budget_spend"
    scope: str = Field(primary_key=True)
    period_start: str = Field(primary_key=True)
    spent_nusd: int = _count(default=0)
    reserved_nusd: int = _count(default=0)
    alerted_ppm: int = _count(default=0)


class CapturedPromptRow(SQLModel, table=True):
    """Prompt text kept by opt-in, until ``expires_at_ms``."""

    __tablename__ = "captured_prompt"
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    decision_id: bytes = _key(LargeBinary(16))
    expires_at_ms: int = _count()
    prompt: str = Field(sa_column=Column(Text, nullable=False))


class EventRow(SQLModel, table=True):
    """Who did what, and when."""

    __tablename__ = "event"
    id: int | None = Field(default=None, primary_key=True)
    at_ms: int = _count()
    who: str
    what: str
    detail: str = Field(sa_column=Column(Text, nullable=False))


class MetaRow(SQLModel, table=True):
    """Facts about the ledger itself, such as the reporting zone it was started with and whether it holds demo data."""

    __tablename__ = "meta"
    name: str = Field(primary_key=True)
    value: str = Field(sa_column=Column(Text, nullable=False))


class TrialRow(SQLModel, table=True):
    """Moved requests drawn to be replayed on another tier, and what the replays proved; NULL while they are out."""

    __tablename__ = "trial"
    id: int | None = Field(default=None, primary_key=True)
    created_at_ms: int = _count()
    author: str
    config_version: int
    target_json: str = Field(sa_column=Column(Text, nullable=False))
    design_json: str = Field(sa_column=Column(Text, nullable=False))
    proof_json: str | None = _maybe(Text)


class ScenarioRow(SQLModel, table=True):
    """A what-if kept by name."""

    __tablename__ = "scenario"
    name: str = Field(primary_key=True)
    created_at_ms: int = _count()
    author: str
    scenario_json: str = Field(sa_column=Column(Text, nullable=False))


class DirtyDayRow(SQLModel, table=True):
    """A day whose cells are older than its rows.

    Writers set ``generation`` to a number never used before in the transaction that adds rows; a rollup takes the
    mark away only where it still finds the generation whose rows it has summed.
    """

    __tablename__ = "dirty_day"
    day: int = _key(Integer)
    generation: int = _count()


class ArchivedDayRow(SQLModel, table=True):
    """A day kept as Parquet in ``folder``; where ``pruned`` is 1 its rows may be there alone, while its cells stay."""

    __tablename__ = "archived_day"
    day: int = _key(Integer)
    folder: str = Field(sa_column=Column(Text, nullable=False))
    archived_at_ms: int = _count()
    pruned: int = _small()


class SpendCellRow(SQLModel, table=True):
    """Spend of one day by team, feature, assigned tier, model called, outcome and attempt kind.

    ``decisions``, ``escalations``, ``failovers``, ``cache_hits``, ``labelled`` and ``quality_ppm_sum`` count each
    decision once, on its final attempt; the rest counts attempts. A decision without any attempt (served from a cache,
    or blocked) stands under model 0. ``unpriced_attempts`` used tokens, but no price is known for them.
    """

    __tablename__ = "spend_cell"
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    day: int = _key(Integer)
    team_id: int = _key(Integer)
    feature_id: int = _key(Integer)
    tier_id: int = _key(Integer)
    model_id: int = _key(Integer)
    status: int = _key(SmallInteger)
    kind: int = _key(SmallInteger)
    decisions: int = _count()
    attempts: int = _count()
    failed_attempts: int = _count()
    priced_attempts: int = _count()
    unpriced_attempts: int = _count()
    estimated_attempts: int = _count()
    input_tokens: int = _count()
    output_tokens: int = _count()
    cache_read_input_tokens: int = _count()
    cache_write_input_tokens: int = _count()
    reasoning_output_tokens: int = _count()
    list_cost_nusd: int = _count()
    reported_cost_nusd: int = _count()
    reported_attempts: int = _count()
    escalations: int = _count()
    failovers: int = _count()
    cache_hits: int = _count()
    labelled: int = _count()
    quality_ppm_sum: int = _count()


class SpendHourCellRow(SQLModel, table=True):
    """The same by hour of the reporting zone, 0..23; apart, since most questions are about days and stay quick so."""

    __tablename__ = "spend_hour_cell"
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    day: int = _key(Integer)
    hour: int = _key(SmallInteger)
    team_id: int = _key(Integer)
    feature_id: int = _key(Integer)
    tier_id: int = _key(Integer)
    model_id: int = _key(Integer)
    status: int = _key(SmallInteger)
    kind: int = _key(SmallInteger)
    decisions: int = _count()
    attempts: int = _count()
    failed_attempts: int = _count()
    priced_attempts: int = _count()
    unpriced_attempts: int = _count()
    estimated_attempts: int = _count()
    input_tokens: int = _count()
    output_tokens: int = _count()
    cache_read_input_tokens: int = _count()
    cache_write_input_tokens: int = _count()
    reasoning_output_tokens: int = _count()
    list_cost_nusd: int = _count()
    reported_cost_nusd: int = _count()
    reported_attempts: int = _count()
    escalations: int = _count()
    failovers: int = _count()
    cache_hits: int = _count()
    labelled: int = _count()
    quality_ppm_sum: int = _count()


class LatencyCellRow(SQLModel, table=True):
    """Latencies of one day by tier, model and attempt kind: a histogram of logarithmic bins, merged in numpy."""

    __tablename__ = "latency_cell"
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    day: int = _key(Integer)
    tier_id: int = _key(Integer)
    model_id: int = _key(Integer)
    kind: int = _key(SmallInteger)
    attempts: int = _count()
    histogram: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class EvidenceCellRow(SQLModel, table=True):
    """What projections rest on: moments of tokens, cost and quality within one (feature, score, assigned tier) cell.

    The decision's own figures (``decisions``, ``labelled``, quality, decision cost) stand on its final attempt; token
    sums count every attempt, by the price row that priced it (0: none did). ``metered_attempts`` are those whose
    tokens are known, so it is what a mean of tokens divides by. A decision that was not scored has score -1. In squares
    and products calls count at most ten million tokens and decisions 100 dollars, so that no sum leaves 64 bits.
    """

    __tablename__ = "evidence_cell"
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    day: int = _key(Integer)
    scorer_id: int = _key(Integer)
    feature_id: int = _key(Integer)
    score: int = _key(SmallInteger)
    tier_id: int = _key(Integer)
    strategy: int = _key(SmallInteger)
    reason: int = _key(SmallInteger)
    kind: int = _key(SmallInteger)
    model_id: int = _key(Integer)
    price_id: int = _key(Integer)
    decisions: int = _count()
    succeeded: int = _count()
    unpriced_decisions: int = _count()
    labelled: int = _count()
    quality_ppm_sum: int = _count()
    quality_ppm_squares: int = _count()  # of quality in thousandths, so that sums stay within 64 bits
    inverse_propensity_ppm: int = _count()
    decision_cost_nusd: int = _count()
    decision_cost_udollar_squares: int = _count()  # of the cost in micro-dollars
    attempts: int = _count()
    metered_attempts: int = _count()
    input_tokens: int = _count()
    output_tokens: int = _count()
    cache_read_input_tokens: int = _count()
    cache_write_input_tokens: int = _count()
    reasoning_output_tokens: int = _count()
    input_squares: int = _count()
    output_squares: int = _count()
    input_output_products: int = _count()
    list_cost_nusd: int = _count()


class EvidenceSpanRow(SQLModel, table=True):
    """The same summed over the sixteen days from ``16 * span``; there is none where it was not summed yet."""

    __tablename__ = "evidence_span"
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    span: int = _key(Integer)
    scorer_id: int = _key(Integer)
    feature_id: int = _key(Integer)
    score: int = _key(SmallInteger)
    tier_id: int = _key(Integer)
    strategy: int = _key(SmallInteger)
    reason: int = _key(SmallInteger)
    kind: int = _key(SmallInteger)
    model_id: int = _key(Integer)
    price_id: int = _key(Integer)
    decisions: int = _count()
    succeeded: int = _count()
    unpriced_decisions: int = _count()
    labelled: int = _count()
    quality_ppm_sum: int = _count()
    quality_ppm_squares: int = _count()
    inverse_propensity_ppm: int = _count()
    decision_cost_nusd: int = _count()
    decision_cost_udollar_squares: int = _count()
    attempts: int = _count()
    metered_attempts: int = _count()
    input_tokens: int = _count()
    output_tokens: int = _count()
    cache_read_input_tokens: int = _count()
    cache_write_input_tokens: int = _count()
    reasoning_output_tokens: int = _count()
    input_squares: int = _count()
    output_squares: int = _count()
    input_output_products: int = _count()
    list_cost_nusd: int = _count()


class LabelCellRow(SQLModel, table=True):
    """Judgements of one day's decisions by feature, assigned tier, why it was assigned, who judged and tier needed.

    Of each decision the newest label of each source counts. ``carried`` counts those the decision itself carries, so
    over all sources it is the labelled decisions. ``needed_tier_id`` is 0 where the judge did not name a tier.
    """

    __tablename__ = "label_cell"
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    day: int = _key(Integer)
    feature_id: int = _key(Integer)
    tier_id: int = _key(Integer)
    reason: int = _key(SmallInteger)
    source: int = _key(SmallInteger)
    needed_tier_id: int = _key(Integer)
    labels: int = _count()
    carried: int = _count()
    quality_ppm_sum: int = _count()
    quality_ppm_squares: int = _count()  # of quality in thousandths


class AgreementCellRow(SQLModel, table=True):
    """How people judged the answers that another source judged too; ``good`` is a quality of at least one half."""

    __tablename__ = "agreement_cell"
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    day: int = _key(Integer)
    feature_id: int = _key(Integer)
    tier_id: int = _key(Integer)
    source: int = _key(SmallInteger)
    good: int = _key(SmallInteger)
    person_good: int = _key(SmallInteger)
    decisions: int = _count()
    quality_ppm_sum: int = _count()
    person_ppm_sum: int = _count()


class FallbackCellRow(SQLModel, table=True):
    """Calls of one day that failed or were turned down, and those made in place of or beside others, with why.

    By feature, assigned tier, model called, what the call was for, how it ended, and the reason on it. ``latency_ms``
    is summed over the calls; ``unpriced_attempts`` used tokens, but no price is known for them.
    """

    __tablename__ = "fallback_cell"
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    day: int = _key(Integer)
    feature_id: int = _key(Integer)
    tier_id: int = _key(Integer)
    model_id: int = _key(Integer)
    kind: int = _key(SmallInteger)
    status: int = _key(SmallInteger)
    why_id: int = _key(Integer)
    attempts: int = _count()
    unpriced_attempts: int = _count()
    latency_ms: int = _count()
    list_cost_nusd: int = _count()


class MeteredSpendRow(SQLModel, table=True):
    """Spend that somebody else summed: a day or an hour of a provider's usage or cost report, no single requests.

    ``row_hash`` names the bucket (source, period, model, meter, account), not its figures, so that a report fetched
    again replaces what it said before. ``day`` counts days since 1970-01-01 as the report does, which is in UTC.
    """

    __tablename__ = "metered_spend"
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    row_hash: bytes = _key(LargeBinary(16))
    source: str
    day: int = Field(sa_column=Column(Integer, nullable=False))
    starts_at_ms: int = _count()
    ends_at_ms: int = _count()
    provider_name: str
    model: str
    meter: str  # what the row counts: "" for all tokens of the model, or one meter such as input_tokens
    account: str
    requests: int | None = _maybe()
    input_tokens: int | None = _maybe()
    output_tokens: int | None = _maybe()
    cache_read_input_tokens: int | None = _maybe()
    cache_write_input_tokens: int | None = _maybe()
    reasoning_output_tokens: int | None = _maybe()
    list_cost_nusd: int | None = _maybe()
    reported_cost_nusd: int | None = _maybe()


class RecostJobRow(SQLModel, table=True):
    """One job that priced calls again; days are those of the reporting zone, sums those of the calls it changed."""

    __tablename__ = "recost_job"
    id: int | None = Field(default=None, primary_key=True)
    started_at_ms: int = _count()
    ended_at_ms: int | None = _maybe()
    undone_at_ms: int | None = _maybe()
    author: str
    note: str = Field(sa_column=Column(Text, nullable=False))
    first_day: int
    last_day: int
    calls: int = _count()
    before_nusd: int = _count()
    after_nusd: int = _count()


class RecostCallRow(SQLModel, table=True):
    """What a call that a job changed cost before, and its decision in all; NULL is unknown, as it was."""

    __tablename__ = "recost_call"
    __table_args__: ClassVar[Any] = _WITHOUT_ROWID
    job_id: int = _key(Integer)
    decision_id: bytes = _key(LargeBinary(16))
    seq: int = _key(SmallInteger)
    list_cost_nusd: int | None = _maybe()
    price_id: int | None = _maybe(Integer)
    decision_cost_nusd: int | None = _maybe()
