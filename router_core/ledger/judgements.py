"""Questions about who judged what, which tiers were needed and how far judges agree, answered from cells alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from router_core.ledger.filters import Key, check, column, condition, labels
from router_core.ledger.label_cells import AGREEMENT_COLUMNS, LABEL_COLUMNS
from router_core.ledger.store import Ledger
from router_core.ledger.tables import MILLION

JUDGED_BY = ("day", "feature", "tier", "reason", "source", "needed_tier")
AGREED_BY = ("day", "feature", "tier", "source")

_LABEL_SUMS = LABEL_COLUMNS[len(JUDGED_BY) :]
_AGREEMENT_SUMS = AGREEMENT_COLUMNS[len(AGREED_BY) + 2 :]
_NOWHERE: Mapping[str, Collection[str]] = {}


@dataclass(frozen=True, slots=True)
class Judged:
    """Labels that share ``keys``; of each decision the newest of each source counts.

    ``carried`` are those the decisions themselves carry, so that over all sources each labelled decision counts once.
    ``quality_ppm_squares`` sums squares of quality in thousandths.
    """

    keys: tuple[Key, ...]
    labels: int
    carried: int
    quality_ppm_sum: int
    quality_ppm_squares: int

    @property
    def quality(self) -> float:
        """Mean quality of the labels, 0..1."""
        return self.quality_ppm_sum / MILLION / self.labels


@dataclass(frozen=True, slots=True)
class Agreed:
    """Decisions that people and another source judged, by whether each found the answer ``good`` (at least a half).

    The sums are of the other source's and of the people's quality, in millionths.
    """

    keys: tuple[Key, ...]
    good: bool
    person_good: bool
    decisions: int
    quality_ppm_sum: int
    person_ppm_sum: int


def judged(
    ledger: Ledger,
    by: Sequence[str],
    since: date | None = None,
    until: date | None = None,
    where: Mapping[str, Collection[str]] = _NOWHERE,
) -> list[Judged]:
    """Sum labels by some of ``JUDGED_BY`` over the days of their decisions, ``until`` included.

    The tier is the one assigned; a needed tier nobody named is empty. Raises ``InputError`` where a dimension is
    unknown.
    """
    check(by, JUDGED_BY)
    check(list(where), JUDGED_BY[1:])
    found = _sums(ledger, "label_cell", by, (), _LABEL_SUMS, since, until, where)
    return [Judged(keys, *sums) for keys, _, sums in found]


def agreed(
    ledger: Ledger,
    by: Sequence[str],
    since: date | None = None,
    until: date | None = None,
    where: Mapping[str, Collection[str]] = _NOWHERE,
) -> list[Agreed]:
    """Set every other source against people, by some of ``AGREED_BY`` over the days of the decisions.

    Raises ``InputError`` where a dimension is unknown.
    """
    check(by, AGREED_BY)
    check(list(where), AGREED_BY[1:])
    found = _sums(ledger, "agreement_cell", by, ("good", "person_good"), _AGREEMENT_SUMS, since, until, where)
    return [Agreed(keys, bool(good), bool(person), *sums) for keys, (good, person), sums in found]


def _sums(
    ledger: Ledger,
    table: str,
    by: Sequence[str],
    codes: tuple[str, ...],
    sums: tuple[str, ...],
    since: date | None,
    until: date | None,
    where: Mapping[str, Collection[str]],
) -> list[tuple[tuple[Key, ...], tuple[int, ...], tuple[int, ...]]]:
    """Return (names of the keys, codes, sums) of each group, in the order of the names and codes."""
    columns = (*map(column, by), *codes)
    listed = ", ".join((*columns, *(f"CAST(SUM({name}) AS BIGINT)" for name in sums)))
    grouped = f" GROUP BY {', '.join(columns)}" if columns else ""
    with ledger.reading() as connection:
        clause = condition(connection, since, until, where)
        shown = [labels(connection, dimension) for dimension in by]
        rows = connection.exec_driver_sql(f"SELECT {listed} FROM {table}{clause}{grouped}").all()
    width, coded = len(by), len(by) + len(codes)
    lines = [
        (
            tuple(names[number] for number, names in zip(row[:width], shown, strict=True)),
            tuple(row[width:coded]),
            tuple(row[coded:]),
        )
        for row in rows
        if row[coded] is not None
    ]
    return sorted(lines, key=lambda line: line[:2])
