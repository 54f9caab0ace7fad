"""Preview: a log prepared once, so that any target configuration is then projected in well under a millisecond."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from itertools import chain
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.prices import Price, PriceBook
from router_core.projection.boundaries import Tables
from router_core.projection.controls import controls
from router_core.projection.crosscheck import CrossCheck
from router_core.projection.cube import Cube
from router_core.projection.prepared import Side, prepare
from router_core.projection.pricing import successors
from router_core.projection.ranges import left_out
from router_core.projection.result import Estimate, FeatureEstimate, Projection, Range, Support
from router_core.projection.service import Fallbacks, Latencies
from router_core.projection.support import LEAST_LABELS, colour
from router_core.projection.tables import Reassignment, Table, on_one_tier
from router_core.projection.target import Exploration, Target
from router_core.projection.tariff import Tariff
from router_core.projection.verdict import Change, Ground, estimate, models_alone, nothing_moves

Floats = npt.NDArray[np.floating]
Successors = frozenset[tuple[int, Price]]


class Preview:
    """A log prepared for projection: every model is fitted to it, and to ``replicates`` resamples of it, once.

    ``config`` is the live configuration. Changes are counted against it, so that it projects exactly zero. ``seed``
    makes intervals reproducible. ``latencies`` holds each tier's calls by bin of ``ledger.latency``, where how long
    requests wait is to be projected too.
    """

    def __init__(
        self,
        cube: Cube,
        config: RoutingConfig,
        prices: PriceBook,
        replicates: int = 200,
        seed: int = 20_260,
        latencies: Mapping[str, npt.NDArray[np.int64]] | None = None,
    ) -> None:
        self.cube, self.config, self.prices = cube, config, prices
        self._replicates, self._seed, self._latencies = replicates, seed, latencies
        self._prepared = prepare(cube, config, replicates, seed)
        self.live = self._prepared.live
        self._families = len(self._prepared.log.quality)
        self._labels: npt.NDArray[np.int64] = cube.tally.labelled.sum(axis=(0, 1, 3))
        self._quality = self._quality_as_logged()
        self._tariffs: dict[Successors, Tariff] = {}
        self._books: WeakKeyDictionary[PriceBook, Successors] = WeakKeyDictionary()
        self._tables: dict[tuple[Exploration, Successors], Tables] = {}
        self._on_one_tier: dict[str, Floats] = {}
        self.notes = self._say_what_is_missing()

    def at(self, target: RoutingConfig, prices: PriceBook | None = None) -> Projection:
        """Project a configuration's boundaries, pins and exploration; at other prices where a book of them is given.

        A price of that book applies to all calls of the window that the row it takes over from had priced. Raises
        ``ConfigError`` where the target's tiers are not those of the log.
        """
        numbers = Target.of(target, self.cube.features, self.cube.tiers)
        if target is self.config:
            return self.project(numbers, prices)
        return self.project(numbers, prices, *left_out(self, target))

    def at_boundaries(self, boundaries: npt.ArrayLike, prices: PriceBook | None = None) -> Projection:
        """Project boundaries, (F, K) or (K,): the score at which each tier begins, cheapest first."""
        return self.project(self._target(boundaries), prices)

    @property
    def tables(self) -> Tables:
        """What boundaries come to when exploration and prices stay as they are: what a search looks through."""
        return self._at(self.live.exploration, frozenset())

    @property
    def quality_by_feature(self) -> Floats:
        """Summed quality of each feature's requests as logged, (F,)."""
        return self._quality

    @property
    def labels_by_tier(self) -> npt.NDArray[np.int64]:
        """Labelled requests on each tier, (K,)."""
        return self._labels

    def glance(self, boundaries: npt.ArrayLike) -> tuple[float, float]:
        """Return the changes in cost, nano-dollars, and in mean quality (NaN where unknown), without intervals."""
        tables = self._at(self.live.exploration, frozenset())
        point = tables.point.between(self._target(boundaries).starts, slice(None))[:, 0].tolist()
        n = self._families
        quality, cost = sorted(point[:n]), sorted(point[n:])
        return (
            cost[len(cost) // 2] if cost else float("nan"),
            quality[n // 2] / self.cube.decisions if n else float("nan"),
        )

    def project(
        self,
        target: Target,
        prices: PriceBook | None = None,
        notes: tuple[str, ...] = (),
        beside: tuple[Range, ...] = (),
    ) -> Projection:
        """Project a target given as numbers, with what is known of it beside them."""
        cube = self.cube
        taken_over = self._successors(prices)
        change = self._change(target, taken_over)
        said = [*self.notes, *notes]
        overall = self._estimate(change, None, said, taken_over)
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
            notes=tuple(said),
            ranges=beside,
            _controls=lambda: {name: self.at_random(share) for name, share in controls(cube, target).items()},
            _by_feature=lambda: self._by_feature(target, taken_over),
            _fallbacks=lambda: self._service[0].at(target),
            _latency=lambda: None if self._service[1] is None else self._service[1].at(target),
            _cross_check=lambda: self._cross_check.at(target, overall.quality) if self._families else None,
        )

    @cached_property
    def _cross_check(self) -> CrossCheck:
        return CrossCheck(self._prepared)

    @cached_property
    def _service(self) -> tuple[Fallbacks, Latencies | None]:
        prepared = self._prepared
        waits = self._latencies and Latencies(prepared, self._latencies, self._replicates, self._seed)
        return Fallbacks(prepared, self._seed), waits or None

    def models_say(self, target: Target) -> tuple[float, float, float]:
        """Return what the models alone make of the change in mean quality, and the union of their intervals, however
        thin the support; NaN without labels. What is shown to people is ``project``."""
        change = self._change(target, frozenset())
        if not len(change.quality):
            return float("nan"), float("nan"), float("nan")
        return models_alone(change, self.cube.decisions)

    def at_random(self, shares: npt.ArrayLike) -> Estimate:
        """Project giving each feature's requests, explored ones too, to tiers at random: ``shares`` (F, K).

        The change is against the log as it is, not against the live configuration.
        """
        weights = np.asarray(shares, dtype=float)

        def mixed(name: str) -> Floats:
            on = self._on_each_tier(name)
            total: Floats = np.einsum("fk,cfkr->cr", weights.astype(on.dtype), on)
            return total

        change = self._as_change(mixed("log"), mixed("draws"), mixed("counts"), lambda: mixed("floor"))
        return self._estimate(change, None, [], frozenset())

    @property
    def expected(self) -> Side:
        """What the fitted models expect of one request of the log, by family, feature, tier and score."""
        return self._prepared.log

    @property
    def tariff(self) -> Tariff:
        """What each tier charges a token, as the log was priced."""
        return self._tariff(frozenset())

    def change(self, target: Target, feature: int, rows: Mapping[int, Price]) -> Change:
        """Return what a target changes of one feature's requests, where ``rows`` replace price rows of the log."""
        return self._change(target, frozenset(rows.items()), feature)

    def _target(self, boundaries: npt.ArrayLike) -> Target:
        starts = np.asarray(boundaries, dtype=np.int64)
        if starts.ndim == 1:
            starts = np.repeat(starts[None], len(self.cube.features), axis=0)
        return Target(starts[:, 1:], self.live.exploration)

    def _estimate(self, change: Change, feature: int | None, notes: list[str], taken_over: Successors) -> Estimate:
        cube = self.cube
        if feature is None:
            cost, decisions, quality = cube.total_cost, cube.decisions, float(self._quality.sum())
        else:
            cost, decisions = int(cube.cost_by_feature[feature]), int(cube.decisions_by_feature[feature])
            quality = float(self._quality[feature])
        ground = Ground(cost, decisions, quality if cube.labelled else None)
        return estimate(change, ground, cube.tiers, self._labels, self._tariff(taken_over).priced, notes)

    def _change(self, target: Target, taken_over: Successors, feature: int | None = None) -> Change:
        """Sum what a target changes against the live configuration, for one feature or all."""
        live, here = self.live, slice(None) if feature is None else slice(feature, feature + 1)
        repriced = int(self._tariff(taken_over).change[here].sum()) if taken_over else 0
        same_way = target.exploration == live.exploration
        if same_way and (target.starts[here] == live.starts[here]).all():
            return nothing_moves(len(self.cube.tiers), repriced)
        old = self._at(live.exploration, taken_over)
        new = old if same_way else self._at(target.exploration, taken_over)

        def difference(name: str) -> Floats:
            table: Table = getattr(new, name)
            if same_way:
                return table.between(target.starts, here)
            before: Table = getattr(old, name)
            return table.under(target.starts, here) - before.under(live.starts, here)

        return self._as_change(
            difference("point"), difference("draws"), difference("counts"), lambda: difference("floor"), repriced
        )

    def _as_change(
        self,
        point: Floats,
        draws: Floats,
        counts: Floats,
        floor: Callable[[], Floats],
        repriced: int = 0,
    ) -> Change:
        n = self._families
        moved, unsupported, *onto = np.maximum(counts[:, 0], 0).tolist()
        if moved < 1e-9:
            return nothing_moves(len(onto), repriced)
        return Change(
            point[:n, 0], draws[:n], point[n:, 0], draws[n:], floor, moved, unsupported, onto, False, repriced
        )

    def _successors(self, prices: PriceBook | None) -> Successors:
        if prices is None:
            return frozenset()
        found = self._books.get(prices)
        if found is None:
            found = frozenset(successors(self.cube.calls.rows, self.prices, prices).items())
            self._books[prices] = found
        return found

    def _tariff(self, taken_over: Successors) -> Tariff:
        found = self._tariffs.get(taken_over)
        if found is None:
            found = self._tariffs[taken_over] = Tariff.of(self.cube, self.config, self.prices, dict(taken_over))
        return found

    def _at(self, exploration: Exploration, taken_over: Successors) -> Tables:
        """Return the tables for one way of exploring and one tariff, building them when first asked for."""
        found = self._tables.get((exploration, taken_over))
        if found is None:
            if len(self._tables) > 4:  # each is some tens of megabytes; the live one is the oldest, and stays
                del self._tables[list(self._tables)[1]]
            found = Tables.of(self._prepared, exploration, self._tariff(taken_over))
            self._tables[exploration, taken_over] = found
        return found

    def _on_each_tier(self, name: str) -> Floats:
        """Return what everything on one tier changes against the log, (columns, F, K, R)."""
        found = self._on_one_tier.get(name)
        if found is None:
            prepared, tariff = self._prepared, self._tariff(frozenset())
            moves: Iterator[Reassignment]
            if name == "counts":
                moves = prepared.counts()
            elif name == "floor":
                moves = prepared.quality(prepared.draws, floor=True)
            else:
                side = getattr(prepared, name)
                moves = chain(prepared.quality(side), prepared.cost(side, tariff))
            shape = len(self.cube.features), len(self.cube.tiers)
            found = self._on_one_tier[name] = on_one_tier(
                (move.under(None, prepared.live.exploration) for move in moves), shape
            )
        return found

    def _quality_as_logged(self) -> Floats:
        """Sum quality by feature over all requests; the labelled ones speak for the rest."""
        cube, tally = self.cube, self.cube.tally
        movable = tally.decisions.sum(axis=(0, 2, 3))
        fixed = cube.decisions_by_feature - movable
        labels = cube.labelled_by_feature - tally.labelled.sum(axis=(0, 2, 3))
        total = cube.quality_by_feature - tally.quality.sum(axis=(0, 2, 3))
        overall = cube.quality_by_feature.sum() / max(cube.labelled, 1)
        if cube.labelled < min(LEAST_LABELS, cube.decisions):
            plain: Floats = cube.decisions_by_feature * overall  # too few for curves: what they are on average
            return plain
        mean = np.where(labels > 0, total / np.maximum(labels, 1), overall)
        moving = self._prepared.logged_quality() if self._families else movable * overall
        quality: Floats = np.where(labels == fixed, total, mean * fixed) + moving
        return quality

    def _say_what_is_missing(self) -> tuple[str, ...]:
        notes = [*self.cube.notes]
        if not self._families:
            notes.append("None of the requests a boundary can move is labelled, so nothing can be said of quality.")
        priced = self._tariff(frozenset()).priced
        if not priced.all():
            named = ", ".join(tier for tier, known in zip(self.cube.tiers, priced.tolist(), strict=True) if not known)
            notes.append(
                f"No price is known for the models of {named}, so the cost of moving traffic there is unknown."
            )
        return tuple(notes)

    def _by_feature(self, target: Target, taken_over: Successors) -> list[FeatureEstimate]:
        cube, tier, found = self.cube, target.tier_of(), []
        per_score = cube.tally.decisions.sum(axis=(0, 2))
        for index, name in enumerate(cube.features):
            decisions = int(cube.decisions_by_feature[index])
            if not decisions:
                continue
            change = self._change(target, taken_over, index)
            own = self._estimate(change, index, [], taken_over)
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
    """Project one target against the configuration the cube was read with; for several, keep a ``Preview``.

    ``prices`` is a book of other prices to project at.
    """
    return Preview(cube, cube.config, cube.prices, replicates, seed).at(target, prices)
