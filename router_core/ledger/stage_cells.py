"""Cells of stages: the GROUP BY that sums who judged how hard requests are, the same text for every engine."""

from __future__ import annotations

from router_core.decision import Kind
from router_core.ledger.cell_tables import StageCellRow

TABLE = "stage_cell"
COLUMNS = tuple(StageCellRow.__table__.columns.keys())  # type: ignore[attr-defined]

# Decisions and the calls made to judge them apart: few decisions have such a call, so joining all would be for nothing.
STAGES = f"""
SELECT day, feature_id, stage_id, reason,
    CAST(SUM(decisions) AS BIGINT) AS decisions,
    CAST(SUM(labelled) AS BIGINT) AS labelled,
    CAST(SUM(quality_ppm) AS BIGINT) AS quality_ppm_sum,
    CAST(SUM(calls) AS BIGINT) AS calls,
    CAST(SUM(unpriced) AS BIGINT) AS unpriced_calls,
    CAST(SUM(latency_ms) AS BIGINT) AS latency_ms,
    CAST(SUM(list_cost_nusd) AS BIGINT) AS list_cost_nusd
FROM (
    SELECT d.day AS day, d.feature_id AS feature_id, d.stage_id AS stage_id, d.reason AS reason,
        COUNT(*) AS decisions, COUNT(d.quality_ppm) AS labelled,
        CAST(SUM(COALESCE(CAST(d.quality_ppm AS BIGINT), 0)) AS BIGINT) AS quality_ppm,
        0 AS calls, 0 AS unpriced, CAST(0 AS BIGINT) AS latency_ms, CAST(0 AS BIGINT) AS list_cost_nusd
    FROM decision d
    WHERE d.id >= :low AND d.id < :high
    GROUP BY d.day, d.feature_id, d.stage_id, d.reason
    UNION ALL
    SELECT d.day AS day, d.feature_id AS feature_id, d.stage_id AS stage_id, d.reason AS reason,
        0 AS decisions, 0 AS labelled, CAST(0 AS BIGINT) AS quality_ppm, 1 AS calls,
        CASE WHEN a.list_cost_nusd IS NULL AND a.input_tokens IS NOT NULL THEN 1 ELSE 0 END AS unpriced,
        CAST(a.latency_ms AS BIGINT) AS latency_ms, COALESCE(a.list_cost_nusd, 0) AS list_cost_nusd
    FROM attempt a CROSS JOIN decision d
    WHERE d.id = a.decision_id AND a.decision_id >= :low AND a.decision_id < :high AND d.id >= :low AND d.id < :high
        AND a.kind IN ({Kind.CLASSIFIER:d}, {Kind.EMBEDDING:d})
) lines
GROUP BY day, feature_id, stage_id, reason
"""
