"""Preview: a log prepared once, so that any target configuration is then projected in well under a millisecond."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.prices import PriceBook
from router_core.projection.controls import controls
from router_core.projection.cube import Cube
from router_core.projection.prepared import Prepared, prepare
from router_core.projection.result import Estimate, FeatureEstimate, Projection, Support
from router_core.projection.support import colour
from router_core.projection.tables import Reassignment, Table
from router_core.projection.target import Exploration, Target
from router_core.projection.verdict import Change, Ground, estimate

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class _Tables:
    """What boundaries come to under one way of exploring. Columns of ``point`` and ``draws`` are the families of
    quality, then those of cost; ``counts`` are requests moved, moved without support, and moved onto each tier."""

    point: Table
    draws: Table
    floor: Table
    counts: Table

    @classmethod
    def of(cls, prepared: Prepared, exploration: Exploration | None) -> _Tables:
        """Build the tables; without an ``exploration`` explored requests follow the boundaries too."""
        live = prepared.live.exploration

        def table(moves: list[Reassignment], dtype: npt.DTypeLike) -> Table:
            return Table.of([move.under(exploration, live) for move in moves], dtype, prepared.live.starts.shape)

        families = [*prepared.quality, *prepared.cost]
        return cls(
            table([family.point for family in families], np.float64),
            table([family.draws for family in families], np.float32),
            table(prepared.floor, np.float32),
            table([prepared.moved, prepared.unsupported, *prepared.onto], np.float64),
        )


class Preview:
    """A log prepared for projection: every model is fitted to it, and to ``replicates`` resamples of it, once.

    ``config`` is the live configuration. Changes are counted against it, so that it projects exactly zero. ``seed``
    makes intervals reproducible.
    """

    def __init__(
        self, cube: Cube, config: RoutingConfig, prices: PriceBook, replicates: int = 200, seed: int = 20_260
    ) -> None:
        self.cube, self.config, self.prices = cube, config, prices
        self._prepared = prepare(cube, config, prices, replicates, seed)
        self._families = len(self._prepared.quality)
        self._tables: dict[Exploration | None, _Tables] = {}
        self._quality = self._quality_as_logged()
        self.live = self._prepared.live

    def at(self, target: RoutingConfig) -> Projection:
        """Project a configuration's boundaries, pins and exploration. Raises ``ConfigError`` where its tiers differ."""
        return self.project(Target.of(target, self.cube.features, self.cube.tiers))

    def at_boundaries(self, boundaries: npt.ArrayLike) -> Projection:
        """Project boundaries, (F, K) or (K,): the score at which each tier begins, cheapest first."""
        shape = len(self.cube.features), len(self.cube.tiers)
        starts = np.broadcast_to(np.asarray(boundaries, dtype=np.int64), shape)[:, 1:]
        return self.project(Target(starts, self.live.exploration))

    def project(self, target: Target) -> Projection:
        """Project a target given as numbers."""
        cube, change = self.cube, self._change(target)
        notes = list(self._prepared.notes)
        overall = self._estimate(change, None, notes)
        share = change.unsupported / cube.decisions
        return Projection(
            cost=overall.cost,
            saving=overall.saving,
            quality=overall.quality,
            since=cube.since,
            until=cube.until,
            days=cube.days,
            decisions=cube.decisions,
            support=Support(share, change.moved / cube.decisions, colour(share)),
            notes=tuple(notes),
            _controls=lambda: controls(self, target),
            _by_feature=lambda: self._by_feature(target),
        )

    def at_random(self, shares: npt.ArrayLike) -> Estimate:
        """Project giving each feature's requests, explored ones too, to tiers at random: ``shares`` (F, K).

        The change is against the log as it is, not against the live configuration.
        """
        weights = np.asarray(shares, dtype=float)
        tables = self._of(None)
        found = {field.name: getattr(tables, field.name).mixed(weights) for field in fields(tables)}
        return self._estimate(self._as_change(found, same=False), None, [])

    def _estimate(self, change: Change, feature: int | None, notes: list[str]) -> Estimate:
        cube, prepared = self.cube, self._prepared
        if feature is None:
            cost, decisions, quality = cube.total_cost, cube.decisions, float(self._quality.sum())
        else:
            cost, decisions = int(cube.cost_by_feature[feature]), int(cube.decisions_by_feature[feature])
            quality = float(self._quality[feature])
        ground = Ground(cost, decisions, quality if cube.labelled else None)
        return estimate(change, ground, cube.tiers, prepared.labels, prepared.priced, notes)

    def _change(self, target: Target, feature: int | None = None) -> Change:
        """Sum what a target changes against the live configuration, for one feature or all."""
        live, here = self.live, slice(None) if feature is None else slice(feature, feature + 1)
        new, old = self._of(target.exploration), self._of(live.exploration)
        same_way = new is old

        def difference(name: str) -> Floats:
            table: Table = getattr(new, name)
            if same_way:
                return table.between(target.starts, live.starts, here)
            before: Table = getattr(old, name)
            return table.under(target.starts, here) - before.under(live.starts, here)

        same = same_way and bool((target.starts[here] == live.starts[here]).all())
        found = {name: difference(name) for name in ("point", "draws", "counts")}
        return self._as_change(found, same, lambda: difference("floor"))

    def _as_change(self, found: dict[str, Floats], same: bool, floor: object = None) -> Change:
        n, counts = self._families, np.maximum(found["counts"][:, 0], 0)
        return Change(
            quality=found["point"][:n, 0],
            quality_draws=found["draws"][:n],
            cost=found["point"][n:, 0],
            cost_draws=found["draws"][n:],
            floor=floor if callable(floor) else lambda: found["floor"],
            moved=float(counts[0]),
            unsupported=float(counts[1]),
            onto=counts[2:],
            same=same,
        )

    def _of(self, exploration: Exploration | None) -> _Tables:
        """Return the tables for one way of exploring, building them when first asked for."""
        found = self._tables.get(exploration)
        if found is None:
            found = self._tables[exploration] = _Tables.of(self._prepared, exploration)
        return found

    def _quality_as_logged(self) -> Floats:
        """Sum quality by feature over all requests; the labelled ones speak for the rest."""
        cube, tally = self.cube, self.cube.tally
        movable = tally.decisions.sum(axis=(0, 2, 3))
        fixed = cube.decisions_by_feature - movable
        labels = cube.labelled_by_feature - tally.labelled.sum(axis=(0, 2, 3))
        total = cube.quality_by_feature - tally.quality.sum(axis=(0, 2, 3))
        overall = cube.quality_by_feature.sum() / max(cube.labelled, 1)
        mean = np.where(labels > 0, total / np.maximum(labels, 1), overall)
        moving = np.median(self._prepared.logged_quality, axis=0) if self._families else movable * overall
        quality: Floats = np.where(labels == fixed, total, mean * fixed) + moving
        return quality

    def _by_feature(self, target: Target) -> list[FeatureEstimate]:
        cube, tier, found = self.cube, target.tier_of(), []
        per_score = cube.tally.decisions.sum(axis=(0, 2))
        for index, name in enumerate(cube.features):
            decisions = int(cube.decisions_by_feature[index])
            if not decisions:
                continue
            change = self._change(target, index)
            own = self._estimate(change, index, [])
            movable = max(int(per_score[index].sum()), 1)
            shares = np.bincount(tier[index], per_score[index], minlength=len(cube.tiers)) / movable
            found.append(
                FeatureEstimate(
                    own.cost,
                    own.saving,
                    own.quality,
                    name,
                    decisions,
                    round(change.moved),
                    dict(zip(cube.tiers, shares.tolist(), strict=True)),
                )
            )
        return found


def project(
    cube: Cube,
    target: RoutingConfig,
    *,
    prices: PriceBook | None = None,
    replicates: int = 200,
    seed: int = 20_260,
) -> Projection:
    """Project one target against the configuration the cube was read with; for several, keep a ``Preview``."""
    return Preview(cube, cube.config, prices or cube.prices, replicates, seed).at(target)
