"""Cells of fall-backs: the GROUP BY that sums what failed, stepped in or was sampled, the same for every engine."""

from __future__ import annotations

from router_core.decision import Kind
from router_core.ledger.cell_tables import FallbackCellRow

TABLE = "fallback_cell"
COLUMNS = tuple(FallbackCellRow.__table__.columns.keys())  # type: ignore[attr-defined]

# Few calls are any of these, so they are looked for first and their decisions fetched one by one.
FALLBACKS = f"""
SELECT d.day AS day, d.feature_id AS feature_id, d.tier_id AS tier_id, a.model_id AS model_id, a.kind AS kind,
    a.status AS status, a.why_id AS why_id,
    CAST(COUNT(*) AS BIGINT) AS attempts,
    CAST(SUM(CASE WHEN a.list_cost_nusd IS NULL AND a.input_tokens IS NOT NULL THEN 1 ELSE 0 END) AS BIGINT)
        AS unpriced_attempts,
    CAST(SUM(CAST(a.latency_ms AS BIGINT)) AS BIGINT) AS latency_ms,
    CAST(SUM(COALESCE(a.list_cost_nusd, 0)) AS BIGINT) AS list_cost_nusd
FROM attempt a CROSS JOIN decision d
WHERE d.id = a.decision_id AND a.decision_id >= :low AND a.decision_id < :high AND d.id >= :low AND d.id < :high
    AND (a.status > 0 OR a.kind IN ({Kind.ESCALATION:d}, {Kind.FAILOVER:d}, {Kind.SHADOW:d}))
GROUP BY d.day, d.feature_id, d.tier_id, a.model_id, a.kind, a.status, a.why_id
"""
