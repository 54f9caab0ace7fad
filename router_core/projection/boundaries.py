"""Everything boundaries can come to on a prepared log, as tables to look up: exact points, resamples and counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from router_core.projection.prepared import Prepared
from router_core.projection.tables import Table
from router_core.projection.target import Exploration
from router_core.projection.tariff import Tariff


@dataclass
class Tables:
    """What boundaries come to under one way of exploring and one tariff. Columns of ``point`` and ``draws`` are the
    families of quality, of which there are ``families``, then those of cost; of ``counts`` requests moved, moved
    without support, and moved onto each tier. ``floor``, needed only where support is thin, is built when first asked
    for.
    """

    tariff: Tariff
    families: int
    point: Table
    draws: Table
    counts: Table
    make_floor: Callable[[], Table]
    _floor: Table | None = None

    @classmethod
    def of(cls, prepared: Prepared, exploration: Exploration, tariff: Tariff) -> Tables:
        live = prepared.live.exploration
        starts, families = prepared.live.starts, len(prepared.log.quality)
        columns = families + len(prepared.log.input)

        def table(side_name: str) -> Table:
            side = getattr(prepared, side_name)
            moves = (move for part in (prepared.quality(side), prepared.cost(side, tariff)) for move in part)
            return Table.of((move.under(exploration, live) for move in moves), columns, starts)

        def floor() -> Table:
            moves = prepared.quality(prepared.draws, floor=True)
            return Table.of((move.under(exploration, live) for move in moves), families, starts)

        counts = Table.of(
            (move.under(exploration, live) for move in prepared.counts()), 2 + len(prepared.backed), starts
        )
        return cls(tariff, families, table("log"), table("draws"), counts, floor)

    @property
    def floor(self) -> Table:
        if self._floor is None:
            self._floor = self.make_floor()
        return self._floor
