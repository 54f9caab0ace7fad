"""Questions about who judged what, which tiers were needed and how far judges agree, answered from cells alone."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from router_core.ledger.filters import Key, check
from router_core.ledger.label_cells import AGREEMENT_COLUMNS, LABEL_COLUMNS
from router_core.ledger.store import Ledger
from router_core.ledger.sums import EVERYWHERE, summed
from router_core.ledger.tables import MILLION

JUDGED_BY = ("day", "feature", "tier", "reason", "source", "needed_tier")
AGREED_BY = ("day", "feature", "tier", "source")

_LABEL_SUMS = LABEL_COLUMNS[len(JUDGED_BY) :]
_AGREEMENT_SUMS = AGREEMENT_COLUMNS[len(AGREED_BY) + 2 :]


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
    where: Mapping[str, Collection[str]] = EVERYWHERE,
) -> list[Judged]:
    """Sum labels by some of ``JUDGED_BY`` over the days of their decisions, ``until`` included.

    The tier is the one assigned; a needed tier nobody named is empty. Raises ``InputError`` where a dimension is
    unknown.
    """
    check(by, JUDGED_BY)
    check(list(where), JUDGED_BY[1:])
    found = summed(ledger, "label_cell", by, _LABEL_SUMS, since, until, where)
    return [Judged(keys, *sums) for keys, _, sums in found]


def agreed(
    ledger: Ledger,
    by: Sequence[str],
    since: date | None = None,
    until: date | None = None,
    where: Mapping[str, Collection[str]] = EVERYWHERE,
) -> list[Agreed]:
    """Set every other source against people, by some of ``AGREED_BY`` over the days of the decisions.

    Raises ``InputError`` where a dimension is unknown.
    """
    check(by, AGREED_BY)
    check(list(where), AGREED_BY[1:])
    codes = ("good", "person_good")
    found = summed(ledger, "agreement_cell", by, _AGREEMENT_SUMS, since, until, where, codes=codes)
    return [Agreed(keys, bool(good), bool(person), *sums) for keys, (good, person), sums in found]
