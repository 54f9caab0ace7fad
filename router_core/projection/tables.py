"""Tables that answer any boundary setting: what giving each cell to each tier would change, summed along the scores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from router_core.projection.cube import EXPLORED, POLICY
from router_core.projection.target import SCORES, Exploration

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reassignment:
    """What changes when the requests of a (feature, score) cell are given to a tier; arrays (R, F, K, 101).

    ``policy`` moves those the boundaries had sent elsewhere, ``explored`` those chance had sent elsewhere; ``swapped``
    moves those chance had sent to the very tier that the boundaries now choose to the tier they chose before, so
    that an unchanged share of exploration stays exploration.
    """

    policy: Floats
    explored: Floats
    swapped: Floats

    @classmethod
    def of(cls, mass: Floats, level: Floats, logged: Floats, live: Ints) -> Reassignment:
        """Give ``mass`` (R, group, F, K, 101) the new tier's ``level`` (R, F, K, 101) in place of what was ``logged``.

        ``live`` (F, 101) is the tier the live boundaries choose.
        """
        moved = [
            level * (mass[:, group].sum(axis=2, keepdims=True) - mass[:, group])
            - (logged[:, group].sum(axis=2, keepdims=True) - logged[:, group])
            for group in (POLICY, EXPLORED)
        ]
        now = np.take_along_axis(level, live[None, :, None], axis=2)
        swapped = mass[:, EXPLORED] * now - logged[:, EXPLORED]
        elsewhere = np.arange(level.shape[2])[:, None] != live[:, None]
        return cls(moved[0], moved[1], swapped * elsewhere)

    def __add__(self, other: Reassignment) -> Reassignment:
        return Reassignment(self.policy + other.policy, self.explored + other.explored, self.swapped + other.swapped)

    def scaled(self, by: Floats) -> Reassignment:
        """Multiply each replicate by its own number, (R,)."""
        shaped = by[:, None, None, None]
        return Reassignment(self.policy * shaped, self.explored * shaped, self.swapped * shaped)

    def under(self, target: Exploration | None, live: Exploration) -> Floats:
        """Return the change of giving each cell to each tier when a target explores as it says, (R, F, K, 101).

        Without a ``target`` nothing stays explored: chance no longer sends any request elsewhere.
        """
        if target is None:
            return np.add(self.policy, self.explored)
        if target == live:
            return np.add(self.policy, self.swapped)
        new, old = (np.array(side.rate)[None, :, None, None] for side in (target, live))
        less = np.where(old > 0, 1 - np.minimum(new, old) / np.where(old > 0, old, 1), 0.0)
        more = np.where(new > old, (new - old) / (1 - np.minimum(old, 0.999999)), 0.0)
        allowed = np.array(target.tiers, dtype=float)
        others = allowed[None, :] * (1 - np.eye(len(allowed)))
        counts = others.sum(axis=1)
        shares = np.divide(others, counts[:, None], out=np.zeros_like(others), where=counts[:, None] > 0)
        more, less = ((more * (counts > 0)[:, None]).astype(self.policy.dtype), less.astype(self.policy.dtype))
        spread = np.matmul(shares.astype(self.policy.dtype), self.policy)
        kept = (1 - more) * self.policy + more * spread
        change: Floats = kept + less * self.explored + (1 - less) * self.swapped
        return change


@dataclass(frozen=True)
class Table:
    """Changes summed along the scores, to be looked up by boundary.

    Row (feature, boundary k, b) of ``rows`` (F * (K - 1) * 102, columns, R) is what tier k - 1 takes below score b less
    what tier k would, counted from where the ``live`` (F, K - 1) boundary stands: so a policy's change is the sum of
    its boundaries' rows, and boundaries that stay add nothing. ``base`` (F, columns, R) is what the live boundaries
    change against the log itself.
    """

    rows: Floats
    first: Ints
    live: Ints
    base: Floats

    @classmethod
    def of(cls, changes: Iterable[Floats], columns: int, live: Ints) -> Table:
        """Put changes, each (R, F, K, 101), into so many columns; ``live`` (F, K - 1) are today's boundaries."""
        features, marks = live.shape
        first = np.arange(features * marks).reshape(live.shape) * (SCORES + 1)
        rows, base = np.zeros((features, marks, SCORES + 1, columns, 1)), np.zeros((features, columns, 1))
        here = np.arange(features)[:, None], np.arange(marks), live
        for column, change in enumerate(changes):
            if not column:
                rows = np.zeros((features, marks, SCORES + 1, columns, len(change)), dtype=change.dtype)
                base = np.zeros((features, columns, len(change)), dtype=change.dtype)
            step = np.cumsum(change[:, :, :-1] - change[:, :, 1:], axis=3)
            own = rows[:, :, :, column]
            own[:, :, 1:] = step.transpose(1, 2, 3, 0)
            now = own[here]
            base[:, column] = change[:, :, -1].sum(axis=2).T + now.sum(axis=1)
            own -= now[:, :, None]
        return cls(rows.reshape(first.size * (SCORES + 1), *rows.shape[3:]), first, live, base)

    def between(self, starts: Ints, here: slice) -> Floats:
        """Return what the features ``here`` change from the live boundaries to ``starts``, (columns, R)."""
        differs = starts[here] != self.live[here]
        # Whole rows taken from a flat table: half the time of indexing one with more dimensions.
        flat = self.rows.reshape(len(self.rows), -1).take((self.first[here] + starts[here])[differs], axis=0)
        change: Floats = np.add.reduce(flat, axis=0).reshape(self.rows.shape[1:])
        return change

    def under(self, starts: Ints, here: slice) -> Floats:
        """Return what boundaries change against the log itself, (columns, R)."""
        total: Floats = self.between(starts, here) + self.base[here].sum(axis=0)
        return total


def on_one_tier(changes: Iterable[Floats], shape: tuple[int, int]) -> Floats:
    """Return what giving all of a feature's requests to one tier changes, (columns, F, K, R); ``shape`` is (F, K)."""
    found = [np.ascontiguousarray(change.sum(axis=3).transpose(1, 2, 0)) for change in changes]
    return np.stack(found) if found else np.zeros((0, *shape, 1))
