"""Cells of judgements: the GROUP BY that sums a range of labels, the same text for every engine."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.ledger.bulk import Row, insert_many
from router_core.ledger.cell_tables import AgreementCellRow, LabelCellRow

LABEL_COLUMNS = tuple(LabelCellRow.__table__.columns.keys())  # type: ignore[attr-defined]
AGREEMENT_COLUMNS = tuple(AgreementCellRow.__table__.columns.keys())  # type: ignore[attr-defined]
TABLES = ("label_cell", "agreement_cell")


def _newest(label: str) -> str:
    """Return the condition that no later label of the same decision has the same source."""
    return (
        f"NOT EXISTS (SELECT 1 FROM quality_label n WHERE n.decision_id = {label}.decision_id "
        f"AND n.source = {label}.source AND (n.labelled_at_ms > {label}.labelled_at_ms "
        f"OR (n.labelled_at_ms = {label}.labelled_at_ms AND n.id > {label}.id)))"
    )


LABELS = f"""
SELECT day, feature_id, tier_id, reason, source, needed_tier_id,
    CAST(COUNT(*) AS BIGINT) AS labels,
    CAST(SUM(carried) AS BIGINT) AS carried,
    CAST(SUM(quality_ppm) AS BIGINT) AS quality_ppm_sum,
    CAST(SUM(thousandths * thousandths) AS BIGINT) AS quality_ppm_squares
FROM (
    SELECT d.day AS day, d.feature_id AS feature_id, d.tier_id AS tier_id, d.reason AS reason, l.source AS source,
        COALESCE(l.needed_tier_id, 0) AS needed_tier_id,
        CASE WHEN d.quality_source = l.source THEN 1 ELSE 0 END AS carried,
        l.quality_ppm AS quality_ppm,
        CAST((l.quality_ppm - l.quality_ppm % 1000) / 1000 AS BIGINT) AS thousandths
    FROM quality_label l JOIN decision d ON d.id = l.decision_id
    WHERE l.decision_id >= :low AND l.decision_id < :high AND d.id >= :low AND d.id < :high AND {_newest("l")}
) lines
GROUP BY day, feature_id, tier_id, reason, source, needed_tier_id
"""

# People (source 4) are what every other source is measured against.
AGREEMENTS = f"""
SELECT day, feature_id, tier_id, source, good, person_good,
    CAST(COUNT(*) AS BIGINT) AS decisions,
    CAST(SUM(quality_ppm) AS BIGINT) AS quality_ppm_sum,
    CAST(SUM(person_ppm) AS BIGINT) AS person_ppm_sum
FROM (
    SELECT d.day AS day, d.feature_id AS feature_id, d.tier_id AS tier_id, l.source AS source,
        CASE WHEN l.quality_ppm >= 500000 THEN 1 ELSE 0 END AS good,
        CASE WHEN p.quality_ppm >= 500000 THEN 1 ELSE 0 END AS person_good,
        l.quality_ppm AS quality_ppm, p.quality_ppm AS person_ppm
    FROM quality_label p
        JOIN quality_label l ON l.decision_id = p.decision_id AND l.source < p.source
        JOIN decision d ON d.id = p.decision_id
    WHERE p.decision_id >= :low AND p.decision_id < :high AND d.id >= :low AND d.id < :high
        AND p.source = 4 AND {_newest("p")} AND {_newest("l")}
) lines
GROUP BY day, feature_id, tier_id, source, good, person_good
"""


def sum_labels(connection: Connection, low: bytes, high: bytes) -> tuple[list[Row], list[Row]]:
    """Return the rows of ``TABLES`` for the labels of decisions with ``low`` <= id < ``high``."""
    bounds = {"low": low, "high": high}
    labels: list[Row] = [tuple(row) for row in connection.execute(sa.text(LABELS), bounds)]
    agreements: list[Row] = [tuple(row) for row in connection.execute(sa.text(AGREEMENTS), bounds)]
    return labels, agreements


def insert_label_cells(connection: Connection, labels: list[Row], agreements: list[Row]) -> None:
    """Insert what ``sum_labels`` returned."""
    insert_many(connection, "label_cell", LABEL_COLUMNS, labels)
    insert_many(connection, "agreement_cell", AGREEMENT_COLUMNS, agreements)
