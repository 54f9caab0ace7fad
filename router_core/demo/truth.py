"""What really would have happened: every tier's outcome of every simulated request, kept beside the ledger."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.decision import Reason
from router_core.demo.assigned import chances
from router_core.errors import InputError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# The requests that boundaries, pins and exploration decide; a rule or a warm conversation keeps its tier.
_MOVABLE = (Reason.POLICY, Reason.EXPLORE, Reason.PIN)


@dataclass(frozen=True)
class DemoTruth:
    """One entry a decision, in the order of time.

    ``cost_nusd`` and ``quality`` are (n, tiers): the list cost of the whole decision and what its grader would say of
    the answer, had it been given that tier; ``tier`` is the one it was given, ``feature`` indexes ``features``.
    """

    features: tuple[str, ...]
    tiers: tuple[str, ...]
    at_ms: Ints
    feature: npt.NDArray[np.int8]
    score: npt.NDArray[np.int8]
    reason: npt.NDArray[np.int8]
    tier: npt.NDArray[np.int8]
    cost_nusd: Ints
    quality: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.at_ms)

    def between(self, since_ms: int, until_ms: int) -> DemoTruth:
        """Return the decisions made in a time, UTC epoch milliseconds, the end not included."""
        keep = (self.at_ms >= since_ms) & (self.at_ms < until_ms)
        arrays = {name: getattr(self, name)[keep] for name in _ARRAYS}
        return DemoTruth(self.features, self.tiers, **arrays)


_ARRAYS = ("at_ms", "feature", "score", "reason", "tier", "cost_nusd", "quality")


@dataclass(frozen=True)
class TrueChange:
    """What one configuration instead of another truly does: nano-dollars over all decisions, mean quality a decision.

    ``moved_share`` is of all decisions, those whose tier pins or boundaries name differently.
    """

    cost_nusd: float
    quality: float
    moved_share: float


def true_change(truth: DemoTruth, target: RoutingConfig, live: RoutingConfig) -> TrueChange:
    """Return what ``target`` instead of ``live`` truly does on this traffic, averaged over the draws of exploration.

    Requests that a rule or a warm conversation decided stay where they are, as they do in a projection. Raises
    ``InputError`` where a configuration's tiers are not those of the simulation.
    """
    for config in (target, live):
        if config.tier_names != truth.tiers:
            raise InputError(f"the demo knows the tiers {', '.join(truth.tiers)}, not {', '.join(config.tier_names)}")
    movable = np.flatnonzero(np.isin(truth.reason, _MOVABLE))
    feature, score = truth.feature[movable].astype(np.int64), truth.score[movable].astype(np.int64)
    before, was = chances(live, truth.features, feature, score)
    after, becomes = chances(target, truth.features, feature, score)
    shift = becomes - was
    n = max(len(truth), 1)
    return TrueChange(
        cost_nusd=float((shift * truth.cost_nusd[movable]).sum()),
        quality=float((shift * truth.quality[movable]).sum()) / n,
        moved_share=float((before != after).sum()) / n,
    )


def truth_path(db: str | Path) -> Path:
    """Return where the truth of a demo ledger in a file is kept."""
    return Path(f"{db}.truth.npz")


def truth(path: str | Path) -> DemoTruth:
    """Read the truth kept beside a demo ledger; ``path`` is the ledger's or its own. Raises ``InputError``."""
    file = Path(path) if str(path).endswith(".npz") else truth_path(path)
    try:
        with np.load(file, allow_pickle=False) as kept:
            names = {name: tuple(str(value) for value in kept[name]) for name in ("features", "tiers")}
            return DemoTruth(names["features"], names["tiers"], **{name: kept[name] for name in _ARRAYS})
    except FileNotFoundError:
        raise InputError(f"there is no truth at {str(file)!r}; only 'tierwise demo' keeps one") from None
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"the truth at {str(file)!r} cannot be read: {error}") from None


def save_truth(kept: DemoTruth, path: Path) -> None:
    """Write the truth to a file; the same truth gives the same bytes."""
    arrays = {name: getattr(kept, name) for name in _ARRAYS}
    np.savez_compressed(path, features=np.array(kept.features), tiers=np.array(kept.tiers), **arrays)
