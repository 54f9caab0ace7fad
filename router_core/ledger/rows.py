"""Decisions as the plain tuples their tables keep, in column order, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy.engine import RowMapping

from router_core.decision import (
    Attempt,
    Kind,
    QualitySource,
    Reason,
    RoutingDecision,
    Status,
    Strategy,
    UsageSource,
)
from router_core.errors import LedgerError
from router_core.ledger.bulk import Row
from router_core.ledger.days import Days, id_time_ms
from router_core.ledger.dimensions import Dimensions
from router_core.ledger.latency import latency_bin
from router_core.ledger.tables import MILLION, AttemptRow, DecisionRow
from router_core.usage import Usage

DECISION_COLUMNS: tuple[str, ...] = tuple(DecisionRow.__table__.columns.keys())  # type: ignore[attr-defined]
ATTEMPT_COLUMNS: tuple[str, ...] = tuple(AttemptRow.__table__.columns.keys())  # type: ignore[attr-defined]

# `RoutingDecision.cost_nusd` over the rows `a` of its attempts.
COST_NUSD = (
    "CASE WHEN SUM(CASE WHEN a.list_cost_nusd IS NULL AND a.input_tokens IS NOT NULL THEN 1 ELSE 0 END) > 0 "
    f"OR (COUNT(a.list_cost_nusd) = 0 AND SUM(CASE WHEN a.status = {Status.OK:d} THEN 1 ELSE 0 END) > 0) "
    "THEN NULL ELSE CAST(COALESCE(SUM(a.list_cost_nusd), 0) AS BIGINT) END"
)


def rows_of(decisions: Iterable[RoutingDecision], names: Dimensions, days: Days) -> tuple[list[Row], list[Row]]:
    """Return the rows of decisions and of their attempts.

    The day is that of the time in the id, since a range of days is a range of ids. Exactly one attempt of a decision
    is kept as final: the last one marked so, or the last one where none is, so that no decision counts twice.
    """
    # Codes are stored as `code + 0`: a driver takes a plain int at once and asks around what to do with a member of an
    # enumeration, which costs as much as storing the row.
    decision_rows: list[Row] = []
    attempt_rows: list[Row] = []
    feature, team, tier, model, provider = names.feature, names.team, names.tier, names.model, names.provider
    stage, scorer, user_tier, why, day_of = names.stage, names.scorer, names.user_tier, names.why, days.of
    for one in decisions:
        attempts = one.attempts
        key = one.id
        if len(key) != 16:
            raise LedgerError(f"a decision's id is 16 bytes (a UUID version 7), not {key!r}")
        escalations = failovers = 0
        final = len(attempts) - 1
        while final > 0 and not attempts[final].final:
            final -= 1
        if attempts and not attempts[final].final:
            final = len(attempts) - 1
        for seq, call in enumerate(attempts):
            kind, usage = call.kind, call.usage
            if kind == 1:
                escalations += 1
            elif kind == 2:
                failovers += 1
            if usage is None:
                tokens_in = tokens_out = cache_read = cache_write = reasoning = None
            else:
                tokens_in, tokens_out = usage.input_tokens, usage.output_tokens
                cache_read, cache_write = usage.cache_read_input_tokens, usage.cache_write_input_tokens
                reasoning = usage.reasoning_output_tokens
            attempt_rows.append(
                (
                    key,
                    seq,
                    kind + 0,
                    tier[call.tier],
                    provider[call.provider_name],
                    model[call.model],
                    call.status + 0,
                    1 if seq == final else 0,
                    why[call.reason],
                    call.offset_ms,
                    call.latency_ms,
                    latency_bin(call.latency_ms),
                    call.ttft_ms,
                    tokens_in,
                    tokens_out,
                    cache_read,
                    cache_write,
                    reasoning,
                    call.usage_source + 0,
                    call.list_cost_nusd,
                    call.reported_cost_nusd,
                    call.price_id,
                )
            )
        day, hour = day_of(id_time_ms(key))
        quality = one.quality
        decision_rows.append(
            (
                key,
                one.decided_at_ms,
                day,
                hour,
                one.config_version,
                scorer[one.scorer_version],
                feature[one.feature],
                team[one.team],
                user_tier[one.user_tier],
                one.score,
                stage[one.stage],
                tier[one.tier],
                one.reason + 0,
                round(one.propensity * MILLION),
                one.strategy + 0,
                one.status + 0,
                len(attempts),
                escalations,
                failovers,
                one.latency_ms,
                one.ttft_ms,
                one.expected_output_tokens,
                one.conversation_hash,
                one.prompt_hash,
                one.cost_nusd,
                None if quality is None else round(quality * MILLION),
                None if quality is None else (one.quality_source or QualitySource.CHECK) + 0,
            )
        )
    return decision_rows, attempt_rows


def decision_of(
    row: RowMapping, attempts: Sequence[RowMapping], names: Mapping[str, Mapping[int, str]]
) -> RoutingDecision:
    """Return the decision of its row and its attempts' rows; ``names`` gives each kind's names by number."""
    return RoutingDecision(
        id=bytes(row["id"]),
        decided_at_ms=row["decided_at_ms"],
        config_version=row["config_version"],
        scorer_version=names["scorer"][row["scorer_id"]],
        feature=names["feature"][row["feature_id"]],
        team=names["team"][row["team_id"]],
        user_tier=names["user_tier"][row["user_tier_id"]],
        score=row["score"],
        stage=names["stage"][row["stage_id"]],
        tier=names["tier"][row["tier_id"]],
        reason=Reason(row["reason"]),
        propensity=row["propensity_ppm"] / MILLION,
        strategy=Strategy(row["strategy"]),
        status=Status(row["status"]),
        latency_ms=row["latency_ms"],
        ttft_ms=row["ttft_ms"],
        expected_output_tokens=row["expected_output_tokens"],
        conversation_hash=row["conversation_hash"],
        prompt_hash=row["prompt_hash"],
        quality=None if row["quality_ppm"] is None else row["quality_ppm"] / MILLION,
        quality_source=None if row["quality_source"] is None else QualitySource(row["quality_source"]),
        attempts=tuple(_attempt_of(attempt, names) for attempt in attempts),
    )


def _attempt_of(row: RowMapping, names: Mapping[str, Mapping[int, str]]) -> Attempt:
    return Attempt(
        kind=Kind(row["kind"]),
        tier=names["tier"][row["tier_id"]],
        provider_name=names["provider"][row["provider_id"]],
        model=names["model"][row["model_id"]],
        status=Status(row["status"]),
        final=bool(row["final"]),
        reason=names["why"][row["why_id"]],
        offset_ms=row["offset_ms"],
        latency_ms=row["latency_ms"],
        ttft_ms=row["ttft_ms"],
        usage=None
        if row["input_tokens"] is None
        else Usage(
            row["input_tokens"],
            row["output_tokens"],
            row["cache_read_input_tokens"],
            row["cache_write_input_tokens"],
            row["reasoning_output_tokens"],
        ),
        usage_source=UsageSource(row["usage_source"]),
        list_cost_nusd=row["list_cost_nusd"],
        reported_cost_nusd=row["reported_cost_nusd"],
        price_id=row["price_id"],
    )
