"""One round of blind review: which answers are asked about, what was said so far, and what it adds up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import streamlit as st

from dashboard import data, judgements
from dashboard.data import Stamp
from dashboard.filters import View
from router_core.decision import QualitySource, RoutingDecision
from router_core.ledger.labels import label
from router_core.ledger.record import Record, read_record
from router_core.ledger.review import draw

EACH: Final = 5  # answers of every tier in a round
WANTED: Final = 100  # labels of people on a tier, from which its quality has an interval worth showing
GRADES: Final = {0.0: "Useless", 0.25: "Poor", 0.5: "Usable", 0.75: "Good", 1.0: "Right"}


@dataclass(frozen=True)
class Said:
    """What a person said of one answer; both None where it was skipped."""

    decision: bytes
    needed: str | None
    quality: float | None


@dataclass(frozen=True)
class Round:
    """A round under way: ``ids`` in the order they are asked about, what was ``said``, and half an answer, if any."""

    ids: tuple[bytes, ...]
    said: tuple[Said, ...] = ()
    needed: str | None = None
    quality: float | None = None

    @property
    def current(self) -> bytes | None:
        """The answer asked about now, None at the end."""
        return self.ids[len(self.said)] if len(self.said) < len(self.ids) else None

    @property
    def complete(self) -> bool:
        """Whether both questions about the current answer are answered."""
        return self.current is not None and self.needed is not None and self.quality is not None

    @property
    def labelled(self) -> tuple[Said, ...]:
        """What was said, without what was skipped."""
        return tuple(one for one in self.said if one.needed is not None)

    def chosen(self, *, needed: str | None = None, quality: float | None = None) -> Round:
        """Return the round with one of the two questions answered."""
        return replace(
            self,
            needed=self.needed if needed is None else needed,
            quality=self.quality if quality is None else quality,
        )

    def onward(self, *, skip: bool = False) -> Round:
        """Return the round at its next answer; what was chosen is said unless it is skipped."""
        if self.current is None:
            return self
        said = Said(self.current, None, None) if skip else Said(self.current, self.needed, self.quality)
        return Round(self.ids, (*self.said, said))

    def back(self) -> Round:
        """Return the round at the answer before, to be answered again."""
        return Round(self.ids, self.said[:-1])


def new_round(view: View, tiers: Sequence[str], seed: int) -> Round:
    """Draw a round from the answers of a view; empty where there are none that no person has reviewed."""
    ids = draw(data.ledger(), tiers, each=EACH, seed=seed, since=view.since, until=view.until, feature=view.feature)
    return Round(tuple(ids))


@st.cache_data(max_entries=100, show_spinner=False)
def asked(file: str, decision_id: bytes) -> Record:
    """Return the answer asked about; raises ``LedgerError`` where it has gone from the ledger."""
    return read_record(data.ledger(), decision_id)


def keep(said: Said, author: str) -> None:
    """Write down what a person said; raises ``LedgerError`` where the ledger cannot take it."""
    if said.needed is None or said.quality is None:
        return
    label(
        data.ledger(),
        said.decision,
        said.quality,
        QualitySource.PERSON,
        needed_tier=said.needed,
        author=author,
        note="review",
    )


def verdict(decision: RoutingDecision, said: Said, tiers: Sequence[str]) -> str:
    """Return what an answer says of the routing: ``right``, ``too strong`` or ``too cheap``; empty where unknown."""
    if said.needed is None or said.needed not in tiers or decision.tier not in tiers:
        return ""
    gap = list(tiers).index(decision.tier) - list(tiers).index(said.needed)
    return "right" if gap == 0 else "too strong" if gap > 0 else "too cheap"


def by_people(stamp: Stamp, view: View) -> dict[str, int]:
    """Return how many answers of each assigned tier people have labelled, with the tier they needed."""
    frame = judgements.labels(stamp, view, ("tier", "source", "needed_tier"))
    rows = frame[(frame["source"] == "person") & (frame["needed_tier"] != "")]
    return {str(tier): int(count) for tier, count in rows.groupby("tier")["labels"].sum().items()}
