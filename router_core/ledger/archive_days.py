"""Days whose rows an archive holds: which they are, what their rows sum to, and their way back into the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.errors import InputError
from router_core.ledger.bulk import Row, insert_many
from router_core.ledger.days import date_of
from router_core.ledger.labels import CARRY
from router_core.ledger.manifest import Manifest, read_manifest
from router_core.ledger.parts import ATTEMPTS, DECISIONS, LABELS, Part, read_parquet, with_numbers
from router_core.ledger.rows import ATTEMPT_COLUMNS, DECISION_COLUMNS
from router_core.ledger.store import LABEL_COLUMNS, Ledger, mark_dirty

_FIGURES = (
    "SELECT COUNT(*) AS decisions, SUM(cost_nusd) AS cost_nusd, SUM(quality_ppm) AS quality_ppm "
    "FROM decision WHERE id >= :low AND id < :high",
    "SELECT COUNT(*) AS attempts, SUM(list_cost_nusd) AS list_cost_nusd, "
    "SUM(reported_cost_nusd) AS reported_cost_nusd, SUM(price_id) AS price_ids, SUM(input_tokens) AS input_tokens, "
    "SUM(output_tokens) AS output_tokens FROM attempt WHERE decision_id >= :low AND decision_id < :high",
    "SELECT COUNT(*) AS labels, SUM(labels.quality_ppm) AS label_ppm FROM quality_label labels "
    "WHERE decision_id >= :low AND decision_id < :high",
)
_FOLDER = sa.text("SELECT folder FROM archived_day WHERE day = :day")
_BACK = sa.text("UPDATE archived_day SET pruned = 0 WHERE day = :day")


def figures(connection: Connection, low: bytes, high: bytes) -> dict[str, int]:
    """Return what identifies the rows of decisions with ``low`` <= id < ``high``: counts and sums.

    Rows are only ever added, but for a decision's label, which comes with a label more, and prices, which change sums.
    """
    found: dict[str, int] = {}
    for text in _FIGURES:
        row = connection.execute(sa.text(text), {"low": low, "high": high}).mappings().one()
        found |= {name: int(value or 0) for name, value in row.items()}
    return found


def archived(ledger: Ledger, folder: Path, day: int) -> Manifest:
    """Return the manifest of the archive that has a day, its files checked; raises ``InputError`` where it has not."""
    manifest = read_manifest(folder)
    if manifest.timezone != ledger.zone.key:
        raise InputError(
            f"this archive counts its days in {manifest.timezone}, the ledger in {ledger.zone.key}; "
            "give the folder of another",
            source=str(folder),
        )
    if day not in manifest.days:
        raise InputError(f"this archive does not hold {date_of(day)} any more; bring back a copy", source=str(folder))
    manifest.check(day)
    return manifest


def unchanged(ledger: Ledger, connection: Connection, day: int) -> Manifest | None:
    """Return the manifest of the archive that has a day exactly as the connection sees it, None where there is none."""
    folder = connection.execute(_FOLDER, {"day": day}).scalar()
    if folder is None:
        return None
    try:
        manifest = archived(ledger, Path(folder), day)
    except InputError:
        return None
    return manifest if manifest.days[day].figures == figures(connection, *ledger.days.id_range(day, day)) else None


def bring_back(ledger: Ledger, folder: Path, day: int) -> int:
    """Put the rows of an archived day back beside those that came since; returns the decisions.

    Where a decision was written again meanwhile, the archived one counts; labels of both are kept. In batches, each a
    transaction of its own; one that was killed is simply run again. Raises ``InputError`` where the archive lacks a
    part, before anything is changed.
    """
    manifest = archived(ledger, folder, day)
    labels: dict[bytes, list[Row]] = {}
    for row in _rows(ledger, manifest, day, LABELS):
        labels.setdefault(row[1], []).append(row[1:])
    attempts = _rows(ledger, manifest, day, ATTEMPTS)
    call = next(attempts, None)
    count = 0
    ledger.partitions.forget()  # whichever process pruned the day may have dropped its tables
    for batch in _batches(ledger, manifest, day, DECISIONS):
        decisions = _tuples(batch)
        calls: list[Row] = []
        last = decisions[-1][0]
        while call is not None and call[0] <= last:
            calls.append(call)
            call = next(attempts, None)
        with ledger.writing() as connection:
            ledger.partitions.provide(connection, {day})
            _replace(connection, decisions, calls, labels)
            mark_dirty(connection, {day})
        count += len(decisions)
    with ledger.writing() as connection:
        connection.execute(_BACK, {"day": day})
        mark_dirty(connection, {day})
    return count


def _replace(connection: Connection, decisions: list[Row], calls: list[Row], labels: dict[bytes, list[Row]]) -> None:
    bounds = {"low": decisions[0][0], "high": decisions[-1][0]}
    look = "SELECT {} FROM {} WHERE {} >= :low AND {} <= :high"
    ids = {bytes(row[0]) for row in connection.execute(sa.text(look.format("id", "decision", "id", "id")), bounds)}
    listed = look.format(", ".join(LABEL_COLUMNS), "quality_label", "decision_id", "decision_id")
    kept = {(bytes(row[0]), *row[1:]) for row in connection.execute(sa.text(listed), bounds)}
    again = [{"id": row[0]} for row in decisions if row[0] in ids]
    if again:
        connection.execute(sa.text("DELETE FROM attempt WHERE decision_id = :id"), again)
        connection.execute(sa.text("DELETE FROM decision WHERE id = :id"), again)
    insert_many(connection, "decision", DECISION_COLUMNS, decisions)
    insert_many(connection, "attempt", ATTEMPT_COLUMNS, calls)
    new = [row for one in decisions for row in labels.get(one[0], ()) if row not in kept]
    insert_many(connection, "quality_label", LABEL_COLUMNS, new)
    judged = {row[0] for row in kept}
    carry = [{"id": row[0]} for row in decisions if row[0] in judged]
    if carry:
        connection.execute(CARRY, carry)


def _rows(ledger: Ledger, manifest: Manifest, day: int, part: Part) -> Iterator[Row]:
    for batch in _batches(ledger, manifest, day, part):
        yield from _tuples(batch)


def _batches(ledger: Ledger, manifest: Manifest, day: int, part: Part) -> Iterator[pa.RecordBatch]:
    numbers = {kind: ledger.dimensions.of(kind) for kind in part.kinds.values()}
    for batch in read_parquet(manifest.path(day, part.table)):
        for column, kind in part.kinds.items():
            for name in batch.column(column[:-3]).dictionary.to_pylist():
                numbers[kind][name]  # interned where it is new
        yield with_numbers(batch, part, numbers)


def _tuples(batch: pa.RecordBatch) -> list[Row]:
    return list(zip(*(column.to_pylist() for column in batch.columns), strict=True))
