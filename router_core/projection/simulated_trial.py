"""Trials of moves whose every outcome is recorded: what replays of some of the requests say of all of them."""

from __future__ import annotations

import numpy as np

from router_core.projection.drawn import DrawnLog, Move
from router_core.projection.estimate import Preview
from router_core.projection.moves import Moves
from router_core.projection.proof import Outcome, Proof, prove
from router_core.projection.rivals import REPLAYED, replay
from router_core.projection.target import Target
from router_core.projection.trial import Drawn, Plan, draw, open_trial

_Said = tuple[float, float, float]


def replays(log: DrawnLog, move: Move, count: int = REPLAYED) -> tuple[_Said, _Said]:
    """Return what a plain replay of so many moved requests says of quality and of the share of cost saved."""
    gained, saved = log.gained(move)
    size = len(log.rows)
    quality = replay(gained, len(gained) / size, log.random, count, move.others)
    cost = replay(saved, float(len(saved)), log.random, count, move.others)
    return (quality.value, quality.low, quality.high), (cost.value, cost.low, cost.high)


def proved(log: DrawnLog, preview: Preview, move: Move, count: int, seed: int) -> Proof:
    """Draw a trial of a move as the ledger would, look its outcomes up, and return what it proves."""
    outcomes = log.scored.outcomes
    starts = np.broadcast_to(move.marks, (len(log.cube.features), len(move.marks)))
    target = Target(starts, preview.live.exploration)
    plan = Plan.of(Moves.of(preview, target), count)
    where = {name: place for place, name in enumerate(log.cube.features)}
    group = [where[outcomes.groups[row] if len(where) > 1 else ""] for row in log.rows[move.rows].tolist()]
    feature = np.array(group, dtype=np.int64)
    places, cells = draw(plan, feature, log.score[move.rows], seed=seed)
    inside, new = move.rows[places], move.goes[places]
    rows, old = log.rows[inside], log.tier[inside]
    ids = [int(row).to_bytes(16, "big") for row in inside.tolist()]
    label = np.where(log.labelled[inside], outcomes.quality[rows, old], np.nan)
    drawn = Drawn(cells, ids, label, outcomes.cost[rows, old].tolist(), [False] * len(ids))
    trial = open_trial(plan, drawn, logged_quality=None, logged_cost_nusd=log.cube.total_cost)
    answered = [
        Outcome(key.hex(), float(outcomes.quality[row, k]), float(outcomes.quality[row, j]), int(outcomes.cost[row, k]))
        for key, row, j, k in zip(ids, rows.tolist(), old.tolist(), new.tolist(), strict=True)
    ]
    return prove(trial, answered)
