"""A simulated day as the ledger's rows: plain tuples in column order, ready for the bulk path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from router_core.config import RoutingConfig
from router_core.decision import Kind, Reason, Status, Strategy, UsageSource
from router_core.demo.answered import Answered, Calls, Models, refusal_ms
from router_core.demo.asked import GRADERS, NAMES, TEAMS, USER_TIERS, Asked
from router_core.demo.assigned import Assigned
from router_core.demo.world import FEATURES, SCORER
from router_core.ledger.bulk import Row
from router_core.ledger.latency import latency_bins
from router_core.ledger.rows import ATTEMPT_COLUMNS, DECISION_COLUMNS
from router_core.ledger.store import Ledger
from router_core.ledger.tables import MILLION

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_STAGES = ("embedding", "rules")
_WHY = ("", "timeout", "rate_limited", "refused", "check", "long")
_WHY_OF_STATUS = {Status.TIMEOUT: 1, Status.RATE_LIMITED: 2, Status.REFUSED: 3}


class Numbers:
    """The ledger's numbers for the names the simulation uses, by their place in it."""

    def __init__(self, ledger: Ledger, config: RoutingConfig, models: Models) -> None:
        def of(kind: str, names: Sequence[str]) -> Ints:
            return np.array([ledger.dimension_id(kind, name) for name in names], dtype=np.int64)

        self.feature, self.team, self.user_tier = of("feature", NAMES), of("team", TEAMS), of("user_tier", USER_TIERS)
        self.tier, self.stage = of("tier", config.tier_names), of("stage", _STAGES)
        self.model = of("model", [model for _, model in models.price_names])
        self.provider = of("provider", [provider for provider, _ in models.price_names])
        self.scorer, self.why = ledger.dimension_id("scorer", SCORER), of("why", _WHY)


@dataclass
class _Attempts:
    """Some attempts, at most one a decision; ``of`` is the place of the decision."""

    of: Ints
    kind: Ints
    tier: Ints
    calls: Calls
    status: Ints
    final: Bools
    why: Ints
    offset_ms: Ints
    metered: Bools
    estimated: Bools


def rows(
    asked: Asked,
    assigned: Assigned,
    answered: Answered,
    models: Models,
    numbers: Numbers,
    day: Ints,
    hour: Ints,
    versions: Sequence[int],
    cascades: Bools,
    random: np.random.Generator,
) -> tuple[list[Row], list[Row]]:
    """Return the rows of a day's decisions and of their attempts, each sorted by its key."""
    ids = _ids(asked.at_ms, random)
    attempts = _attempts(asked, assigned, answered, models)
    attempt_rows, total = _attempt_rows(attempts, ids, numbers)
    decision_rows = _decision_rows(
        asked, assigned, answered, numbers, ids, day, hour, versions, cascades, total, random
    )
    return decision_rows, attempt_rows


def _ids(at_ms: Ints, random: np.random.Generator) -> list[bytes]:
    """Return a UUID version 7 for each time, as 16 bytes."""
    octets = np.empty((len(at_ms), 16), dtype=np.uint8)
    octets[:, :6] = at_ms[:, None] >> np.arange(40, -1, -8) & 0xFF
    octets[:, 6:] = random.integers(0, 256, (len(at_ms), 10), dtype=np.uint8)
    octets[:, 6] = 0x70 | octets[:, 6] & 0x0F
    octets[:, 8] = 0x80 | octets[:, 8] & 0x3F
    whole = octets.tobytes()
    return [whole[start : start + 16] for start in range(0, len(whole), 16)]


def _attempts(asked: Asked, assigned: Assigned, answered: Answered, models: Models) -> list[_Attempts]:
    served = asked.again < 0
    row = np.arange(len(asked))
    tier = assigned.tier
    shortened = answered.compressed & served
    failed = answered.failed & served
    refused = answered.refused[row, tier] & served
    lost = answered.failed_too
    answer = _of_tier(answered.answers, tier)
    above = _of_tier(answered.answers, np.minimum(tier + 1, len(models.first) - 1))
    failure = _of_tier(answered.failure_calls, tier)
    failure.latency_ms = refusal_ms(answered.failure)
    because = np.zeros(len(Status), dtype=np.int64)
    because[list(_WHY_OF_STATUS)] = list(_WHY_OF_STATUS.values())

    after_compress = np.where(shortened, answered.compress.latency_ms, 0)
    after_failure = after_compress + np.where(failed, failure.latency_ms, 0)
    answer.latency_ms = np.where(lost, refusal_ms(np.full(len(row), int(Status.REFUSED))), answer.latency_ms)
    after_answer = after_failure + answer.latency_ms
    status = np.where(lost, int(Status.REFUSED), np.where(answered.aborted, int(Status.ABORTED), int(Status.OK)))
    timed_out = answered.failure == Status.TIMEOUT
    none = np.zeros(len(row), dtype=bool)

    def some(keep: Bools, kind: Any, on: Ints, calls: Calls, **more: Any) -> _Attempts:
        at = np.flatnonzero(keep)
        whole = {name: np.broadcast_to(value, row.shape)[at] for name, value in more.items()}
        return _Attempts(at, np.broadcast_to(kind, row.shape)[at], on[at], _chosen(calls, at), **whole)

    return [
        some(
            shortened,
            int(Kind.COMPRESS),
            np.zeros_like(tier),
            answered.compress,
            status=int(Status.OK),
            final=False,
            why=_WHY.index("long"),
            offset_ms=0,
            metered=True,
            estimated=False,
        ),
        some(
            failed,
            int(Kind.ANSWER),
            tier,
            failure,
            status=answered.failure,
            final=False,
            why=because[answered.failure],
            offset_ms=after_compress,
            metered=timed_out,
            estimated=timed_out,
        ),
        some(
            served,
            np.where(failed, int(Kind.FAILOVER), int(Kind.ANSWER)),
            tier,
            answer,
            status=np.where(refused, int(Status.REJECTED), status),
            final=~refused,
            why=np.where(lost, _WHY.index("refused"), np.where(failed, because[answered.failure], 0)),
            offset_ms=after_failure,
            metered=~lost,
            estimated=np.where(refused, none, answered.aborted),
        ),
        some(
            refused,
            int(Kind.ESCALATION),
            np.minimum(tier + 1, len(models.first) - 1),
            above,
            status=status,
            final=True,
            why=_WHY.index("check"),
            offset_ms=after_answer,
            metered=True,
            estimated=answered.aborted,
        ),
    ]


def _of_tier(calls: Sequence[Calls], tier: Ints) -> Calls:
    """Return the call of each request's own tier."""
    row = np.arange(len(tier))
    return Calls(*(np.stack([getattr(one, name) for one in calls])[tier, row] for name in Calls.__dataclass_fields__))


def _chosen(calls: Calls, at: Ints) -> Calls:
    return Calls(*(getattr(calls, name)[at] for name in Calls.__dataclass_fields__))


@dataclass
class _Totals:
    """What a decision's attempts come to; ``ttft_ms`` is -1 where nothing was ever said."""

    attempts: Ints
    cost: Ints
    latency_ms: Ints
    ttft_ms: Ints


def _attempt_rows(blocks: list[_Attempts], ids: list[bytes], numbers: Numbers) -> tuple[list[Row], _Totals]:
    def joined(name: str) -> Ints:
        return np.concatenate([getattr(block, name) for block in blocks])

    def called(name: str) -> Ints:
        return np.concatenate([getattr(block.calls, name) for block in blocks])

    of = joined("of")
    order = np.argsort(of, kind="stable")  # blocks are in the order in which calls follow one another
    of = of[order]
    seq = np.arange(len(of)) - np.searchsorted(of, of)
    final, metered = joined("final")[order].astype(bool), joined("metered")[order].astype(bool)
    offset, latency, ttft = joined("offset_ms")[order], called("latency_ms")[order], called("ttft_ms")[order]
    model, cost = called("model")[order], called("cost")[order]
    spoke = final & metered
    estimated = np.where(joined("estimated")[order], int(UsageSource.ESTIMATED), int(UsageSource.PROVIDER))
    columns: dict[str, list[Any]] = {
        "decision_id": [ids[place] for place in of.tolist()],
        "seq": seq.tolist(),
        "kind": joined("kind")[order].tolist(),
        "tier_id": numbers.tier[joined("tier")[order]].tolist(),
        "provider_id": numbers.provider[model].tolist(),
        "model_id": numbers.model[model].tolist(),
        "status": joined("status")[order].tolist(),
        "final": final.astype(int).tolist(),
        "why_id": numbers.why[joined("why")[order]].tolist(),
        "offset_ms": offset.tolist(),
        "latency_ms": latency.tolist(),
        "latency_bin": latency_bins(latency).tolist(),
        "ttft_ms": _maybe(ttft, metered & (ttft > 0)),
        "input_tokens": _maybe(called("input")[order], metered),
        "output_tokens": _maybe(called("output")[order], metered),
        "cache_read_input_tokens": _maybe(called("read")[order], metered),
        "cache_write_input_tokens": _maybe(called("write")[order], metered),
        "reasoning_output_tokens": _maybe(called("reasoning")[order], metered),
        "usage_source": estimated.tolist(),
        "list_cost_nusd": _maybe(cost, metered),
        "reported_cost_nusd": [None] * len(of),
        "price_id": _maybe(called("price")[order], metered),
    }
    n = len(ids)
    total = _Totals(np.bincount(of, minlength=n), np.zeros(n, np.int64), np.zeros(n, np.int64), np.full(n, -1))
    np.add.at(total.cost, of, np.where(metered, cost, 0))
    np.add.at(total.latency_ms, of, latency)
    total.ttft_ms[of[spoke]] = (offset + ttft)[spoke]
    return list(zip(*(columns[name] for name in ATTEMPT_COLUMNS), strict=True)), total


def _decision_rows(
    asked: Asked,
    assigned: Assigned,
    answered: Answered,
    numbers: Numbers,
    ids: list[bytes],
    day: Ints,
    hour: Ints,
    versions: Sequence[int],
    cascades: Bools,
    total: _Totals,
    random: np.random.Generator,
) -> list[Row]:
    n = len(asked)
    row = np.arange(n)
    hit = asked.again >= 0
    refused = answered.refused[row, assigned.tier] & ~hit
    status = np.where(answered.aborted & ~hit, int(Status.ABORTED), int(Status.OK))
    status = np.where(answered.failed_too & ~hit, int(Status.REFUSED), status)
    labelled = asked.labelled & (status == Status.OK)
    quality = np.rint(answered.quality[row, assigned.tier] * MILLION).astype(np.int64)
    grader = np.array([int(source) for source in GRADERS])[asked.grader]
    strategy = np.where(cascades[asked.feature], int(Strategy.CASCADE), int(Strategy.DIRECT))
    strategy = np.where(hit, int(Strategy.CACHE_EXACT), strategy)
    own = 6 + random.integers(0, 14, n)  # scoring, and reading the cache
    expected = np.array([round(world.output[0]) for world in FEATURES.values()])[asked.feature]
    stage = np.where(
        asked.by_rule | (assigned.reason == Reason.RULE), _STAGES.index("rules"), _STAGES.index("embedding")
    )
    latency = total.latency_ms + own
    columns: dict[str, list[Any]] = {
        "id": list(ids),
        "decided_at_ms": asked.at_ms.tolist(),
        "day": day.tolist(),
        "hour": hour.tolist(),
        "config_version": np.array(versions)[assigned.version].tolist(),
        "scorer_id": [numbers.scorer] * n,
        "feature_id": numbers.feature[asked.feature].tolist(),
        "team_id": numbers.team[asked.team].tolist(),
        "user_tier_id": numbers.user_tier[asked.user_tier].tolist(),
        "score": asked.score.tolist(),
        "stage_id": numbers.stage[stage].tolist(),
        "tier_id": numbers.tier[assigned.tier].tolist(),
        "reason": assigned.reason.tolist(),
        "propensity_ppm": np.rint(assigned.propensity * MILLION).astype(np.int64).tolist(),
        "strategy": strategy.tolist(),
        "status": status.tolist(),
        "attempts": total.attempts.tolist(),
        "escalations": refused.astype(int).tolist(),
        "failovers": (answered.failed & ~hit).astype(int).tolist(),
        "latency_ms": latency.tolist(),
        "ttft_ms": _maybe(np.where(hit, latency, total.ttft_ms + own), hit | (total.ttft_ms >= 0)),
        "expected_output_tokens": expected.tolist(),
        "conversation_hash": _maybe(asked.conversation, asked.conversation != 0),
        "prompt_hash": asked.prompt.tolist(),
        "cost_nusd": total.cost.tolist(),
        "quality_ppm": _maybe(quality, labelled),
        "quality_source": _maybe(grader, labelled),
    }
    return list(zip(*(columns[name] for name in DECISION_COLUMNS), strict=True))


def _maybe(values: Ints, known: Bools) -> list[Any]:
    """Return a column with None where the value is not known."""
    found = values.astype(object)
    found[~known] = None
    column: list[Any] = found.tolist()
    return column
