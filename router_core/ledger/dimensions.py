"""Names that rows refer to by number: each interned once in the ledger, remembered by every process that uses it."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.engine import Engine

from router_core.decision import RoutingDecision
from router_core.ledger.connect import transaction

KINDS = ("feature", "team", "tier", "model", "provider", "stage", "scorer", "user_tier", "why")


class _Known(dict[str, int]):
    """Numbers of one kind's names; a name not yet known is looked up in the ledger, and added where it is new."""

    def __init__(self, intern: Callable[[str], int]) -> None:
        super().__init__()
        self._intern = intern

    def __missing__(self, name: str) -> int:
        number = self[name] = self._intern(name)
        return number


class Dimensions:
    """The interned names of one ledger, an attribute for each of ``KINDS``; safe across threads and processes.

    A new name is committed in a transaction of its own, so ask for it before a writing transaction begins.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.feature = self._kind("feature")
        self.team = self._kind("team")
        self.tier = self._kind("tier")
        self.model = self._kind("model")
        self.provider = self._kind("provider")
        self.stage = self._kind("stage")
        self.scorer = self._kind("scorer")
        self.user_tier = self._kind("user_tier")
        self.why = self._kind("why")

    def _kind(self, kind: str) -> _Known:
        return _Known(lambda name: self._intern(kind, name))

    def of(self, kind: str) -> dict[str, int]:
        """Return the numbers of one kind's names; asking for a new name adds it."""
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is not a kind of name; there are {', '.join(KINDS)}")
        known: dict[str, int] = getattr(self, kind)
        return known

    def knows(self, decision: RoutingDecision) -> bool:
        """Return whether nothing has to be asked of the database to write a decision."""
        return (
            decision.tier in self.tier
            and decision.feature in self.feature
            and decision.team in self.team
            and decision.stage in self.stage
            and decision.scorer_version in self.scorer
            and decision.user_tier in self.user_tier
            and all(
                call.model in self.model
                and call.tier in self.tier
                and call.provider_name in self.provider
                and call.reason in self.why
                for call in decision.attempts
            )
        )

    def forget(self) -> None:
        """Look every name up again: the database may have come back as another one, with other numbers."""
        for kind in KINDS:
            self.of(kind).clear()

    def names(self, kind: str) -> dict[int, str]:
        """Return the names of one kind by number, as the ledger has them now."""
        self.of(kind)
        with transaction(self._engine, writes=False) as connection:
            rows = connection.execute(sa.text("SELECT id, name FROM dimension WHERE kind = :kind"), {"kind": kind})
            return {row.id: row.name for row in rows}

    def _intern(self, kind: str, name: str) -> int:
        this = {"kind": kind, "name": name}
        look = sa.text("SELECT id FROM dimension WHERE kind = :kind AND name = :name")
        with transaction(self._engine, writes=False) as connection:
            found = connection.execute(look, this).scalar()
        if found is None:
            with transaction(self._engine, writes=True) as connection:
                connection.execute(
                    sa.text("INSERT INTO dimension (kind, name) VALUES (:kind, :name) ON CONFLICT DO NOTHING"), this
                )
                found = connection.execute(look, this).scalar_one()
        return int(found)
