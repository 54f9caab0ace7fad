"""Why spend changed: the difference between two windows in parts that sum to it, to the nano-dollar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import numpy.typing as npt

from router_core.prices import Price, PriceBook
from router_core.projection.pricing import nusd_per_token

if TYPE_CHECKING:
    from router_core.ledger.call_sums import CallSums

Part = Literal["volume", "feature_mix", "tier_mix", "calls", "tokens", "price", "coverage"]
PARTS: Final[tuple[Part, ...]] = ("volume", "feature_mix", "tier_mix", "calls", "tokens", "price", "coverage")

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class SpendChange:
    """What two windows cost, in nano-dollars, and the parts of the difference, each by feature as well.

    The parts are taken one after another, each at what the earlier window says of the rest:

    - ``volume``: the same traffic, more or less of it;
    - ``feature_mix``: which features asked, at what a request of each had cost;
    - ``tier_mix``: which tiers their requests were given, at what a request on each had cost;
    - ``calls``: which models were called and how often for one request (fail-overs, escalations, cache hits), at what
      a call of each had cost;
    - ``tokens``: how long those calls were, at the rates that had held;
    - ``price``: those tokens at other rates, by model in ``price_by_model``;
    - ``coverage``: models whose price was not known in one of the two windows.

    What is new has no earlier figure and counts at its own, whole, in the first part that meets it.
    """

    before_nusd: int
    after_nusd: int
    requests_before: int
    requests_after: int
    parts: Mapping[Part, int]
    by_feature: Mapping[Part, Mapping[str, int]]
    price_by_model: Mapping[str, int]

    @property
    def change_nusd(self) -> int:
        """What the later window cost more; the parts sum to it exactly."""
        return self.after_nusd - self.before_nusd


def spend_change(before: CallSums, after: CallSums, prices: PriceBook) -> SpendChange:
    """Split the change in list cost from one window to another; ``prices`` holds the rows their calls name."""
    old, new, features, models = _aligned(before, after, prices)
    flipped = _price_became_known(old, new, len(models))
    coverage = np.zeros(len(features), dtype=np.int64)
    for window, sign in ((old, -1), (new, 1)):
        np.add.at(coverage, window.feature, sign * np.where(flipped[window.model], window.cost, 0))
        window.cost[flipped[window.model]] = 0
    repriced = _price_effect(old, new)
    worth = new.cost - repriced  # of the later calls, at the earlier rates

    size = len(features)
    by_feature = (old.feature,), (new.feature,)
    by_tier = (old.feature, old.tier), (new.feature, new.tier)
    leaf = (
        (old.feature, old.tier, old.kind, old.model, old.batch),
        (new.feature, new.tier, new.kind, new.model, new.batch),
    )
    requests = int(old.decisions.sum()), int(new.decisions.sum())
    cost = _sum(old.cost, old.feature, size)
    if requests[0]:
        grown = np.rint(cost * (requests[1] / requests[0])).astype(np.int64)
    else:
        grown = _sum(worth, new.feature, size)
    steps = [
        cost,
        grown,
        _carried(by_feature, (old.decisions, new.decisions), old.cost, worth, new.feature, size),
        _carried(by_tier, (old.decisions, new.decisions), old.cost, worth, new.feature, size),
        _carried(leaf, (old.attempts, new.attempts), old.cost, worth, new.feature, size),
        _sum(worth, new.feature, size),
        _sum(new.cost, new.feature, size),
    ]
    found: dict[Part, Ints] = {
        part: later - earlier for part, earlier, later in zip(PARTS, steps, steps[1:], strict=False)
    }
    found["coverage"] = coverage
    by_model = _sum(repriced, new.model, len(models))
    return SpendChange(
        before_nusd=int(before.list_cost_nusd.sum()),
        after_nusd=int(after.list_cost_nusd.sum()),
        requests_before=requests[0],
        requests_after=requests[1],
        parts={part: int(found[part].sum()) for part in PARTS},
        by_feature={part: _named(features, found[part]) for part in PARTS},
        price_by_model=_named(models, by_model),
    )


@dataclass
class _Window:
    """One window under the names of both; ``row`` indexes price rows by what they price, -1 where there is none."""

    feature: Ints
    tier: Ints
    kind: Ints
    model: Ints
    batch: Ints
    row: Ints
    rates: Floats  # (entries, 4), nano-dollars a token, zero where unknown
    tokens: Floats  # (entries, 4)
    decisions: Ints
    attempts: Ints
    unpriced: Ints
    cost: Ints


def _aligned(
    before: CallSums, after: CallSums, prices: PriceBook
) -> tuple[_Window, _Window, tuple[str, ...], tuple[str, ...]]:
    features = tuple(dict.fromkeys((*before.features, *after.features)))
    tiers = tuple(dict.fromkeys((*before.tiers, *after.tiers)))
    models = tuple(dict.fromkeys((*before.models, *after.models)))
    rows = {price.id: price for price in prices if price.id is not None}
    classes: dict[tuple[object, ...], int] = {}
    modes: dict[str, int] = {"standard": 0}

    def read(sums: CallSums) -> _Window:
        model = _placed(sums.models, models)[sums.model]
        found = [rows.get(int(number)) for number in sums.price_id]
        row = [_class(price, int(at), classes) for price, at in zip(found, model, strict=True)]
        batch = [modes.setdefault(price.processing if price else "standard", len(modes)) for price in found]
        rates = np.array([nusd_per_token(price) for price in found], dtype=float).reshape(-1, 4)
        read_, written = sums.cache_read_input_tokens, sums.cache_write_input_tokens
        tokens = np.stack([sums.input_tokens - read_ - written, sums.output_tokens, read_, written], axis=1)
        return _Window(
            feature=_placed(sums.features, features)[sums.feature],
            tier=_placed(sums.tiers, tiers)[sums.tier],
            kind=sums.kind,
            model=model,
            batch=np.array(batch, dtype=np.int64),
            row=np.array(row, dtype=np.int64),
            rates=np.nan_to_num(rates),
            tokens=tokens.astype(float),
            decisions=sums.decisions,
            attempts=sums.attempts,
            unpriced=np.where(sums.price_id == 0, sums.metered_attempts, 0),
            cost=sums.list_cost_nusd.copy(),
        )

    return read(before), read(after), features, models


def _class(price: Price | None, model: int, known: dict[tuple[object, ...], int]) -> int:
    """Number what a price row prices: calls of one model, of one size, at one time of day, in one way."""
    if price is None:
        return -1
    key = (model, price.processing, price.min_input_tokens, price.minute_from, price.minute_to)
    return known.setdefault(key, len(known))


def _placed(names: tuple[str, ...], among: tuple[str, ...]) -> Ints:
    place = {name: index for index, name in enumerate(among)}
    return np.array([place[name] for name in names], dtype=np.int64)


def _price_became_known(old: _Window, new: _Window, models: int) -> npt.NDArray[np.bool_]:
    """Return which models were priced in one window, while in the other no call of theirs that used tokens was."""
    priced = [np.bincount(one.model, (one.row >= 0) & (one.attempts > 0), minlength=models) > 0 for one in (old, new)]
    unknown = [np.bincount(one.model, one.unpriced, minlength=models) > 0 for one in (old, new)]
    return (unknown[0] & ~priced[0] & priced[1]) | (unknown[1] & ~priced[1] & priced[0])


def _price_effect(old: _Window, new: _Window) -> Ints:
    """Return what later calls cost more than at the rates calls like them had earlier, on the first entry of each kind.

    Like them are those of the same feature, tier, kind and model that a price of the same sort priced; where there were
    none, any of that model.
    """
    if not len(old.cost) or not len(new.cost):
        return np.zeros(len(new.cost), dtype=np.int64)
    effect = np.zeros(len(new.cost))
    settled = np.zeros(len(new.cost), dtype=bool)
    keys = (
        [(one.feature, one.tier, one.kind, one.model, one.batch, one.row) for one in (old, new)],
        [(one.row,) for one in (old, new)],
    )
    for was, now in keys:
        place, size = _places((was, now))
        before, after = place[: len(old.cost)], place[len(old.cost) :]
        first = np.full(size, -1, dtype=np.int64)
        first[before[::-1]] = np.arange(len(before))[::-1]
        priced = old.row >= 0
        base = np.where((first >= 0)[:, None], old.rates[first], 0.0)
        # From the first row's rates on, so that rates which never changed come out as they are.
        above, tokens = np.zeros((size, 4)), np.zeros((size, 4))
        np.add.at(above, before[priced], ((old.rates - base[before]) * old.tokens)[priced])
        np.add.at(tokens, before[priced], old.tokens[priced])
        mean = base + above / np.maximum(tokens, 1)
        known = (first >= 0)[after] & (new.row >= 0) & (new.cost != 0) & ~settled
        effect[known] = ((new.rates - mean[after]) * new.tokens).sum(axis=1)[known]
        settled |= known
    place, size = _places((keys[0][1],))
    total = np.zeros(size)
    np.add.at(total, place, effect)
    rounded = np.zeros(len(effect), dtype=np.int64)
    groups, where = np.unique(place, return_index=True)
    rounded[where] = np.rint(total[groups]).astype(np.int64)
    return rounded


def _places(keys: Sequence[tuple[Ints, ...]]) -> tuple[Ints, int]:
    """Number the different keys of windows that follow one another; return the numbers and how many there are."""
    both = np.concatenate([np.stack(part) for part in keys], axis=1)
    groups, place = np.unique(both, axis=1, return_inverse=True)
    return place.reshape(-1), groups.shape[1]


def _carried(
    keys: tuple[tuple[Ints, ...], tuple[Ints, ...]],
    counts: tuple[Ints, Ints],
    cost: Ints,
    worth: Ints,
    feature: Ints,
    features: int,
) -> Ints:
    """Return, by feature, the later counts of each group at what one of it had cost; what is new at its worth."""
    both = np.concatenate([np.stack(part) for part in keys], axis=1)
    groups, place = np.unique(both, axis=1, return_inverse=True)
    place = place.reshape(-1)
    split = len(counts[0])
    was, now = place[:split], place[split:]
    size = groups.shape[1]
    count, later = _sum(counts[0], was, size), _sum(counts[1], now, size)
    spent, own = _sum(cost, was, size), _sum(worth, now, size)
    carried = np.where(count > 0, spent * (later / np.maximum(count, 1)), own)
    total = np.zeros(features)
    np.add.at(total, groups[0], carried)
    return np.rint(total).astype(np.int64)


def _sum(values: Ints, at: Ints, size: int) -> Ints:
    """Add integers up at places; exact, which a weighted bincount is not."""
    sums = np.zeros(size, dtype=np.int64)
    np.add.at(sums, at, values)
    return sums


def _named(names: tuple[str, ...], values: Ints) -> dict[str, int]:
    return {name: int(value) for name, value in zip(names, values, strict=True) if value}
