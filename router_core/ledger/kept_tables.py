"""The tables of what stands beside the traffic: facts about the ledger, configurations, prices, keys, and jobs."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import Integer, LargeBinary, SmallInteger, Text
from sqlmodel import Field, SQLModel

from router_core.ledger.fields import WITHOUT_ROWID, blob, count, key, maybe, small, text
from router_core.ledger.tables import MILLION


class MetaRow(SQLModel, table=True):
    """Facts about the ledger itself, such as the reporting zone it was started with and whether it holds demo data."""

    __tablename__ = "meta"
    name: str = Field(primary_key=True)
    value: str = text()


class EventRow(SQLModel, table=True):
    """Who did what, and when."""

    __tablename__ = "event"
    id: int | None = Field(default=None, primary_key=True)
    at_ms: int = count()
    who: str
    what: str
    detail: str = text()


class ConfigVersionRow(SQLModel, table=True):
    """One pushed configuration, never edited; ``rollout`` is all, canary or shadow."""

    __tablename__ = "config_version"
    version: int = key(Integer)
    created_at_ms: int = count()
    author: str
    note: str = text()
    config_json: str = text()
    rollout: str = "all"
    share_ppm: int = MILLION
    projection_json: str | None = maybe(Text)


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
    added_at_ms: int = count(default=0)


class ScorerRow(SQLModel, table=True):
    """One fitted scorer: its artefact, and the skill it showed on held-out requests."""

    __tablename__ = "scorer"
    version: str = Field(primary_key=True)
    fitted_at_ms: int = count()
    artefact: bytes = blob()
    skill_json: str = text()


class GatewayKeyRow(SQLModel, table=True):
    """A gateway key, kept as a hash; it carries the team, and the features it may name (empty: all)."""

    __tablename__ = "gateway_key"
    key_hash: bytes = key(LargeBinary(32))
    name: str
    team: str
    features_json: str = text()
    created_at_ms: int = count()
    revoked_at_ms: int | None = maybe()


class BudgetSpendRow(SQLModel, table=True):
    """What a budget has spent and reserved in one period."""

    __tablename__ = "budget_spend"
    scope: str = Field(primary_key=True)
    period_start: str = Field(primary_key=True)
    spent_nusd: int = count(default=0)
    reserved_nusd: int = count(default=0)
    alerted_ppm: int = count(default=0)


class AlertNoticeRow(SQLModel, table=True):
    """What became of one alert, by the key that changes with its cause; NULL where it was not seen, sent, or taken on.

    ``taken_at_ms`` is when a sender took it on, until it was sent or given back.
    """

    __tablename__ = "alert_notice"
    key: str = Field(primary_key=True)
    seen_at_ms: int | None = maybe()
    seen_by: str
    sent_at_ms: int | None = maybe()
    taken_at_ms: int | None = maybe()


class ScenarioRow(SQLModel, table=True):
    """A what-if kept by name."""

    __tablename__ = "scenario"
    name: str = Field(primary_key=True)
    created_at_ms: int = count()
    author: str
    scenario_json: str = text()


class TrialRow(SQLModel, table=True):
    """Moved requests drawn to be replayed on another tier, and what the replays proved; NULL while they are out."""

    __tablename__ = "trial"
    id: int | None = Field(default=None, primary_key=True)
    created_at_ms: int = count()
    author: str
    config_version: int
    target_json: str = text()
    design_json: str = text()
    proof_json: str | None = maybe(Text)


class RecostJobRow(SQLModel, table=True):
    """One job that priced calls again; days are those of the reporting zone, sums those of the calls it changed."""

    __tablename__ = "recost_job"
    id: int | None = Field(default=None, primary_key=True)
    started_at_ms: int = count()
    ended_at_ms: int | None = maybe()
    undone_at_ms: int | None = maybe()
    author: str
    note: str = text()
    first_day: int
    last_day: int
    calls: int = count()
    before_nusd: int = count()
    after_nusd: int = count()


class RecostCallRow(SQLModel, table=True):
    """What a call that a job changed cost before, and its decision in all; NULL is unknown, as it was."""

    __tablename__ = "recost_call"
    __table_args__: ClassVar[Any] = WITHOUT_ROWID
    job_id: int = key(Integer)
    decision_id: bytes = key(LargeBinary(16))
    seq: int = key(SmallInteger)
    list_cost_nusd: int | None = maybe()
    price_id: int | None = None
    decision_cost_nusd: int | None = maybe()


class ArchivedDayRow(SQLModel, table=True):
    """A day kept as Parquet in ``folder``; where ``pruned`` is 1 its rows may be there alone, while its cells stay."""

    __tablename__ = "archived_day"
    day: int = key(Integer)
    folder: str = text()
    archived_at_ms: int = count()
    pruned: int = small()
