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
    what tier k would: a policy is everything on the top tier (``top``) plus its boundaries' rows, and the difference
    between two policies needs only the boundaries in which they differ. ``top`` is (F, columns, R).
    """

    rows: Floats
    first: Ints
    top: Floats

    @classmethod
    def of(cls, changes: Iterable[Floats], columns: int, shape: tuple[int, ...]) -> Table:
        """Put changes, each (R, F, K, 101), into so many columns; ``shape`` is (F, K - 1)."""
        features, marks = shape
        first = np.arange(features * marks).reshape(shape) * (SCORES + 1)
        rows, top = np.zeros((features, marks, SCORES + 1, columns, 1)), np.zeros((features, columns, 1))
        for column, change in enumerate(changes):
            if not column:
                rows = np.zeros((features, marks, SCORES + 1, columns, len(change)), dtype=change.dtype)
                top = np.zeros((features, columns, len(change)), dtype=change.dtype)
            step = np.cumsum(change[:, :, :-1] - change[:, :, 1:], axis=3)
            rows[:, :, 1:, column] = step.transpose(1, 2, 3, 0)
            top[:, column] = change[:, :, -1].sum(axis=2).T
        return cls(rows.reshape(first.size * (SCORES + 1), *rows.shape[3:]), first, top)

    def between(self, starts: Ints, live: Ints, here: slice) -> Floats:
        """Return what the features ``here`` change from boundaries ``live`` to ``starts``, (columns, R)."""
        differs = starts[here] != live[here]
        rows = self.first[here][differs]
        new: Floats = self.rows[rows + starts[here][differs]].sum(axis=0)
        old: Floats = self.rows[rows + live[here][differs]].sum(axis=0)
        change: Floats = new - old
        return change

    def under(self, starts: Ints, here: slice) -> Floats:
        """Return what boundaries change against the log itself, (columns, R)."""
        total: Floats = self.rows[(self.first[here] + starts[here]).ravel()].sum(axis=0) + self.top[here].sum(axis=0)
        return total


def on_one_tier(changes: Iterable[Floats]) -> Floats:
    """Return what giving all of a feature's requests to one tier changes, (columns, F, K, R)."""
    return np.stack([np.ascontiguousarray(change.sum(axis=3).transpose(1, 2, 0)) for change in changes])
