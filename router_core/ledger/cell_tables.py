"""The tables of sums: a cell a day and whatever it is about, what pages and previews read in place of rows."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Integer, SmallInteger
from sqlmodel import SQLModel

from router_core.ledger.fields import WITHOUT_ROWID, blob, count, key


class DirtyDayRow(SQLModel, table=True):
    """A day whose cells are older than its rows.

    Writers set ``generation`` to a number never used before in the transaction that adds rows; a rollup takes the
    mark away only where it still finds the generation whose rows it has summed.
    """

    __tablename__ = "dirty_day"
    day: int = key(Integer)
    generation: int = count()


class _SpendSums(SQLModel):
    """What is summed of spend.

    ``decisions``, ``escalations``, ``failovers``, ``cache_hits``, ``labelled`` and ``quality_ppm_sum`` count each
    decision once, on its final attempt; the rest counts attempts. A decision without any attempt (served from a cache,
    or blocked) stands under model 0. ``unpriced_attempts`` used tokens, but no price is known for them.
    """

    decisions: int = count()
    attempts: int = count()
    failed_attempts: int = count()
    priced_attempts: int = count()
    unpriced_attempts: int = count()
    estimated_attempts: int = count()
    input_tokens: int = count()
    output_tokens: int = count()
    cache_read_input_tokens: int = count()
    cache_write_input_tokens: int = count()
    reasoning_output_tokens: int = count()
    list_cost_nusd: int = count()
    reported_cost_nusd: int = count()
    reported_attempts: int = count()
    escalations: int = count()
    failovers: int = count()
    cache_hits: int = count()
    labelled: int = count()
    quality_ppm_sum: int = count()


class SpendCellRow(_SpendSums, table=True):
    """Spend of one day by team, feature, assigned tier, model called, outcome and attempt kind."""

    __tablename__ = "spend_cell"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    day: int = key(Integer)
    team_id: int = key(Integer)
    feature_id: int = key(Integer)
    tier_id: int = key(Integer)
    model_id: int = key(Integer)
    status: int = key(SmallInteger)
    kind: int = key(SmallInteger)


class SpendHourCellRow(_SpendSums, table=True):
    """The same by hour of the reporting zone, 0..23; apart, since most questions are about days and stay quick so."""

    __tablename__ = "spend_hour_cell"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    day: int = key(Integer)
    hour: int = key(SmallInteger)
    team_id: int = key(Integer)
    feature_id: int = key(Integer)
    tier_id: int = key(Integer)
    model_id: int = key(Integer)
    status: int = key(SmallInteger)
    kind: int = key(SmallInteger)


class LatencyCellRow(SQLModel, table=True):
    """Latencies of one day by tier, model and attempt kind: a histogram of logarithmic bins, merged in numpy."""

    __tablename__ = "latency_cell"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    day: int = key(Integer)
    tier_id: int = key(Integer)
    model_id: int = key(Integer)
    kind: int = key(SmallInteger)
    attempts: int = count()
    histogram: bytes = blob()


class _EvidenceSums(SQLModel):
    """What is summed of evidence.

    The decision's own figures (``decisions``, ``labelled``, quality, decision cost) stand on its final attempt; token
    sums count every attempt, by the price row that priced it (0: none did). ``metered_attempts`` are those whose
    tokens are known, so it is what a mean of tokens divides by. A decision that was not scored has score -1. In squares
    and products calls count at most ten million tokens and decisions 100 dollars, so that no sum leaves 64 bits.
    """

    decisions: int = count()
    succeeded: int = count()
    unpriced_decisions: int = count()
    labelled: int = count()
    quality_ppm_sum: int = count()
    quality_ppm_squares: int = count()  # of quality in thousandths, so that sums stay within 64 bits
    inverse_propensity_ppm: int = count()
    decision_cost_nusd: int = count()
    decision_cost_udollar_squares: int = count()  # of the cost in micro-dollars
    attempts: int = count()
    metered_attempts: int = count()
    input_tokens: int = count()
    output_tokens: int = count()
    cache_read_input_tokens: int = count()
    cache_write_input_tokens: int = count()
    reasoning_output_tokens: int = count()
    input_squares: int = count()
    output_squares: int = count()
    input_output_products: int = count()
    list_cost_nusd: int = count()


class EvidenceCellRow(_EvidenceSums, table=True):
    """What projections rest on: moments of tokens, cost and quality within one (feature, score, assigned tier) cell."""

    __tablename__ = "evidence_cell"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    day: int = key(Integer)
    scorer_id: int = key(Integer)
    feature_id: int = key(Integer)
    score: int = key(SmallInteger)
    tier_id: int = key(Integer)
    strategy: int = key(SmallInteger)
    reason: int = key(SmallInteger)
    kind: int = key(SmallInteger)
    model_id: int = key(Integer)
    price_id: int = key(Integer)


class EvidenceSpanRow(_EvidenceSums, table=True):
    """The same summed over the sixteen days from ``16 * span``; there is none where it was not summed yet."""

    __tablename__ = "evidence_span"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    span: int = key(Integer)
    scorer_id: int = key(Integer)
    feature_id: int = key(Integer)
    score: int = key(SmallInteger)
    tier_id: int = key(Integer)
    strategy: int = key(SmallInteger)
    reason: int = key(SmallInteger)
    kind: int = key(SmallInteger)
    model_id: int = key(Integer)
    price_id: int = key(Integer)


class LabelCellRow(SQLModel, table=True):
    """Judgements of one day's decisions by feature, assigned tier, why it was assigned, who judged and tier needed.

    Of each decision the newest label of each source counts. ``carried`` counts those the decision itself carries, so
    over all sources it is the labelled decisions. ``needed_tier_id`` is 0 where the judge did not name a tier.
    """

    __tablename__ = "label_cell"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    day: int = key(Integer)
    feature_id: int = key(Integer)
    tier_id: int = key(Integer)
    reason: int = key(SmallInteger)
    source: int = key(SmallInteger)
    needed_tier_id: int = key(Integer)
    labels: int = count()
    carried: int = count()
    quality_ppm_sum: int = count()
    quality_ppm_squares: int = count()  # of quality in thousandths


class AgreementCellRow(SQLModel, table=True):
    """How people judged the answers that another source judged too; ``good`` is a quality of at least one half."""

    __tablename__ = "agreement_cell"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    day: int = key(Integer)
    feature_id: int = key(Integer)
    tier_id: int = key(Integer)
    source: int = key(SmallInteger)
    good: int = key(SmallInteger)
    person_good: int = key(SmallInteger)
    decisions: int = count()
    quality_ppm_sum: int = count()
    person_ppm_sum: int = count()


class FallbackCellRow(SQLModel, table=True):
    """Calls of one day that failed or were turned down, and those made in place of or beside others, with why.

    By feature, assigned tier, model called, what the call was for, how it ended, and the reason on it. ``latency_ms``
    is summed over the calls; ``unpriced_attempts`` used tokens, but no price is known for them.
    """

    __tablename__ = "fallback_cell"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    day: int = key(Integer)
    feature_id: int = key(Integer)
    tier_id: int = key(Integer)
    model_id: int = key(Integer)
    kind: int = key(SmallInteger)
    status: int = key(SmallInteger)
    why_id: int = key(Integer)
    attempts: int = count()
    unpriced_attempts: int = count()
    latency_ms: int = count()
    list_cost_nusd: int = count()


class StageCellRow(SQLModel, table=True):
    """Decisions of one day by feature, the stage whose score stands, and why the tier was assigned.

    ``calls`` are those made to score them (a judge's, an endpoint's vectors), whichever stage's score then stood;
    ``latency_ms`` is summed over them, and ``unpriced_calls`` used tokens, but no price is known for them.
    """

    __tablename__ = "stage_cell"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    day: int = key(Integer)
    feature_id: int = key(Integer)
    stage_id: int = key(Integer)
    reason: int = key(SmallInteger)
    decisions: int = count()
    labelled: int = count()
    quality_ppm_sum: int = count()
    calls: int = count()
    unpriced_calls: int = count()
    latency_ms: int = count()
    list_cost_nusd: int = count()
