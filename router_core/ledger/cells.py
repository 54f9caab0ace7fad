"""What a cell is: the GROUP BY that sums a range of decisions, the same text for every engine.

Nothing but integers goes in or comes out, and no division leaves a remainder, so engines agree to the last unit: where
one divides integers and another makes floats of them, both are exact.
"""

from __future__ import annotations

from router_core.ledger.cell_tables import EvidenceCellRow, SpendCellRow, SpendHourCellRow


def _split(row: type) -> tuple[tuple[str, ...], tuple[str, ...]]:
    columns = row.__table__.columns  # type: ignore[attr-defined]
    keys = tuple(column.name for column in columns if column.primary_key)
    return keys, tuple(column.name for column in columns if not column.primary_key)


SPEND_KEYS, SPEND_SUMS = _split(SpendCellRow)
SPEND_HOUR_KEYS, _ = _split(SpendHourCellRow)
EVIDENCE_KEYS, EVIDENCE_SUMS = _split(EvidenceCellRow)
LATENCY_KEYS = ("day", "tier_id", "model_id", "kind")

# One line a decision and attempt; a decision without any attempt has one line too. `own` is 1 on the one line of each
# decision that carries the decision's own figures. The range is said of both tables, so that both are read by it alone.
_JOINED = """
    FROM decision d LEFT JOIN attempt a ON a.decision_id = d.id AND a.decision_id >= :low AND a.decision_id < :high
    WHERE d.id >= :low AND d.id < :high
"""
_TOKENS = """
        CASE WHEN a.input_tokens IS NULL THEN 0 ELSE 1 END AS metered,
        CAST(COALESCE(a.input_tokens, 0) AS BIGINT) AS input_tokens,
        CAST(COALESCE(a.output_tokens, 0) AS BIGINT) AS output_tokens,
        COALESCE(a.cache_read_input_tokens, 0) AS cache_read_input_tokens,
        COALESCE(a.cache_write_input_tokens, 0) AS cache_write_input_tokens,
        COALESCE(a.reasoning_output_tokens, 0) AS reasoning_output_tokens,
        CASE WHEN a.list_cost_nusd IS NULL THEN 0 ELSE 1 END AS priced,
        COALESCE(a.list_cost_nusd, 0) AS list_cost_nusd,
        CASE WHEN a.seq IS NULL THEN 0 ELSE 1 END AS attempt,
        COALESCE(a.final, 1) AS own
"""


def _sum(expression: str, name: str) -> str:
    return f"CAST(SUM({expression}) AS BIGINT) AS {name}"


def _sums(*pairs: tuple[str, str]) -> str:
    return ",\n    ".join(_sum(expression, name) for expression, name in pairs)


def _group_by(keys: tuple[str, ...], sums: str, lines: str) -> str:
    listed = ", ".join(keys)
    return f"SELECT {listed},\n    {sums}\nFROM ({lines}) lines\nGROUP BY {listed}"


SPEND_HOURS = _group_by(
    SPEND_HOUR_KEYS,
    _sums(
        ("own", "decisions"),
        ("attempt", "attempts"),
        ("failed", "failed_attempts"),
        ("priced", "priced_attempts"),
        ("CASE WHEN priced = 0 THEN metered ELSE 0 END", "unpriced_attempts"),
        ("estimated", "estimated_attempts"),
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
        ("cache_read_input_tokens", "cache_read_input_tokens"),
        ("cache_write_input_tokens", "cache_write_input_tokens"),
        ("reasoning_output_tokens", "reasoning_output_tokens"),
        ("list_cost_nusd", "list_cost_nusd"),
        ("COALESCE(reported_cost_nusd, 0)", "reported_cost_nusd"),
        ("CASE WHEN reported_cost_nusd IS NULL THEN 0 ELSE 1 END", "reported_attempts"),
        ("CASE WHEN escalations > 0 THEN own ELSE 0 END", "escalations"),
        ("CASE WHEN failovers > 0 THEN own ELSE 0 END", "failovers"),
        ("CASE WHEN strategy IN (3, 4) THEN own ELSE 0 END", "cache_hits"),
        ("CASE WHEN quality_ppm IS NULL THEN 0 ELSE own END", "labelled"),
        ("own * COALESCE(quality_ppm, 0)", "quality_ppm_sum"),
    ),
    f"""
    SELECT d.day AS day, d.hour AS hour, d.team_id AS team_id, d.feature_id AS feature_id, d.tier_id AS tier_id,
        COALESCE(a.model_id, 0) AS model_id, d.status AS status, COALESCE(a.kind, 0) AS kind,
        d.escalations AS escalations, d.failovers AS failovers, d.strategy AS strategy, d.quality_ppm AS quality_ppm,
        CASE WHEN a.status > 0 THEN 1 ELSE 0 END AS failed,
        CASE WHEN a.usage_source = 1 AND a.input_tokens IS NOT NULL THEN 1 ELSE 0 END AS estimated,
        a.reported_cost_nusd AS reported_cost_nusd,{_TOKENS}{_JOINED}""",
)

# Days from hours, so that the rows are read once.
SPEND_DAYS = (
    f"SELECT {', '.join(SPEND_KEYS)}, {', '.join(_sum(name, name) for name in SPEND_SUMS)} "
    f"FROM spend_hour_cell WHERE day = :day GROUP BY {', '.join(SPEND_KEYS)}"
)

LATENCIES = """
SELECT d.day, a.tier_id, a.model_id, a.kind, a.latency_bin, COUNT(*) AS attempts
FROM decision d JOIN attempt a ON a.decision_id = d.id
WHERE d.id >= :low AND d.id < :high AND a.decision_id >= :low AND a.decision_id < :high
GROUP BY d.day, a.tier_id, a.model_id, a.kind, a.latency_bin
ORDER BY d.day, a.tier_id, a.model_id, a.kind, a.latency_bin
"""

# 1/propensity in millionths; whole thousandths of quality; whole micro-dollars. For the squares alone, a call of more
# than ten million tokens counts as one of ten million, and a decision of more than 100 dollars as one of 100: otherwise
# a few absurd rows could take a sum beyond 64 bits.
EVIDENCE = _group_by(
    EVIDENCE_KEYS,
    _sums(
        ("own", "decisions"),
        ("CASE WHEN status = 0 THEN own ELSE 0 END", "succeeded"),
        ("CASE WHEN cost_nusd IS NULL THEN own ELSE 0 END", "unpriced_decisions"),
        ("CASE WHEN quality_ppm IS NULL THEN 0 ELSE own END", "labelled"),
        ("own * COALESCE(quality_ppm, 0)", "quality_ppm_sum"),
        ("own * quality_thousandths * quality_thousandths", "quality_ppm_squares"),
        ("own * inverse_propensity_ppm", "inverse_propensity_ppm"),
        ("own * COALESCE(cost_nusd, 0)", "decision_cost_nusd"),
        ("own * cost_udollar * cost_udollar", "decision_cost_udollar_squares"),
        ("attempt", "attempts"),
        ("metered", "metered_attempts"),
        ("input_tokens", "input_tokens"),
        ("output_tokens", "output_tokens"),
        ("cache_read_input_tokens", "cache_read_input_tokens"),
        ("cache_write_input_tokens", "cache_write_input_tokens"),
        ("reasoning_output_tokens", "reasoning_output_tokens"),
        ("moment_input * moment_input", "input_squares"),
        ("moment_output * moment_output", "output_squares"),
        ("moment_input * moment_output", "input_output_products"),
        ("list_cost_nusd", "list_cost_nusd"),
    ),
    f"""
    SELECT d.day AS day, d.scorer_id AS scorer_id, d.feature_id AS feature_id, COALESCE(d.score, -1) AS score,
        d.tier_id AS tier_id, d.strategy AS strategy, d.reason AS reason, COALESCE(a.kind, 0) AS kind,
        COALESCE(a.model_id, 0) AS model_id, COALESCE(a.price_id, 0) AS price_id,
        d.status AS status, d.quality_ppm AS quality_ppm, d.cost_nusd AS cost_nusd,
        CAST((COALESCE(d.quality_ppm, 0) - COALESCE(d.quality_ppm, 0) % 1000) / 1000 AS BIGINT) AS quality_thousandths,
        CASE WHEN d.cost_nusd > 100000000000 THEN 100000000 ELSE
            CAST((COALESCE(d.cost_nusd, 0) - COALESCE(d.cost_nusd, 0) % 1000) / 1000 AS BIGINT)
        END AS cost_udollar,
        CASE WHEN a.input_tokens > 10000000 THEN 10000000 ELSE
            CAST(COALESCE(a.input_tokens, 0) AS BIGINT)
        END AS moment_input,
        CASE WHEN a.output_tokens > 10000000 THEN 10000000 ELSE
            CAST(COALESCE(a.output_tokens, 0) AS BIGINT)
        END AS moment_output,
        CASE WHEN d.propensity_ppm > 0 THEN
            CAST((1000000000000 - 1000000000000 % d.propensity_ppm) / d.propensity_ppm AS BIGINT)
        ELSE 0 END AS inverse_propensity_ppm,{_TOKENS}{_JOINED}""",
)
