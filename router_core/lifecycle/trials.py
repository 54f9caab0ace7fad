"""Trials from their proposal to their proof: requests drawn from the ledger, graded replays taken in."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from router_core.config import RoutingConfig, build_config
from router_core.decision import Attempt, Kind, QualitySource
from router_core.errors import NoSupportError
from router_core.ledger import trials as rows
from router_core.ledger.capture import kept_prompts
from router_core.ledger.config_versions import live_version
from router_core.ledger.days import id_time_ms
from router_core.ledger.labels import Label, add_labels, kept_labels
from router_core.ledger.price_rows import read_prices
from router_core.ledger.sampling import Drawable, answering_costs, drawable
from router_core.ledger.store import Ledger
from router_core.prices import Cost, PriceBook
from router_core.projection import Preview, Projection
from router_core.projection.moves import Moves
from router_core.projection.proof import Outcome, Proof, prove
from router_core.projection.trial import Drawn, Plan, Trial, draw, open_trial
from router_core.usage import Usage

USUAL_REPLAYS = 100


@dataclass(frozen=True)
class Proposal:
    """A trial that could be held: its plan with its price, the requests drawn, and the preview it would prove."""

    target: RoutingConfig
    plan: Plan
    trial: Trial
    projection: Projection


@dataclass(frozen=True)
class HeldTrial:
    """A trial in the ledger; ``proof`` is None while its replays are out."""

    number: int
    created_at_ms: int
    author: str
    config_version: int
    target: RoutingConfig
    trial: Trial
    proof: Proof | None


@dataclass(frozen=True)
class Replay:
    """One graded replay of the request of that id (hex): the qualities are 0..1, ``quality_logged`` of the logged
    answer where it was graded again; ``cost_nusd`` is used where no ``usage`` is given."""

    id: str
    quality_target: float
    quality_logged: float | None = None
    usage: Usage | None = None
    cost_nusd: int | None = None


def propose(
    ledger: Ledger, preview: Preview, target: RoutingConfig, replays: int = USUAL_REPLAYS, *, kept: bool = False
) -> Proposal:
    """Plan a trial of ``target``, price it and draw its requests; nothing is run, and nothing written.

    The same ledger gives the same requests, until a trial was held. ``kept`` draws only among those whose text is
    kept. Raises ``NoSupportError`` where the target moves no request that could be replayed.
    """
    cube = preview.cube
    plan = Plan.of(Moves.of(preview, target), replays)
    if cube.since is None or cube.until is None:
        raise NoSupportError("there is no traffic in this window; choose a longer one, or another")
    seed = len(rows.trials(ledger))
    found = drawable(
        ledger,
        plan.moves.drawable(),
        features=cube.features,
        tiers=cube.tiers,
        scorer=cube.scorer,
        since=cube.since,
        until=cube.until,
        decisions=cube.decisions,
        seed=seed,
    )
    if kept:
        found = _whose_text_is_kept(ledger, found)
    places, cells = draw(plan, found.feature, found.score, seed=seed)
    ids = [found.ids[place] for place in places]
    drawn = Drawn(cells, ids, found.quality[places], answering_costs(ledger, ids), found.cached[places].tolist())
    projection = preview.at(target)
    trial = open_trial(plan, drawn, logged_quality=projection.quality.logged, logged_cost_nusd=projection.cost.logged)
    return Proposal(target, plan, trial, projection)


def _whose_text_is_kept(ledger: Ledger, found: Drawable) -> Drawable:
    texts = kept_prompts(ledger, found.ids)
    if not texts:
        raise NoSupportError(
            "the text of none of the requests this change moves is kept, so they cannot be asked again from here; set "
            "'capture' so that new ones are, or export the requests and replay them where their text is"
        )
    return found.take(np.array([key in texts for key in found.ids], dtype=np.bool_))


def hold(ledger: Ledger, proposal: Proposal, *, author: str) -> HeldTrial:
    """Keep a proposed trial, so that its outcomes can be taken in later, whatever traffic comes meanwhile."""
    number = rows.add_trial(
        ledger,
        author=author,
        config_version=live_version(ledger),
        target_json=proposal.target.model_dump_json(),
        design_json=json.dumps(proposal.trial.as_json(), allow_nan=False),
    )
    ledger.event(author, "trial", f"trial {number}: {len(proposal.trial.chosen)} requests drawn")
    return next(one for one in held(ledger) if one.number == number)


def held(ledger: Ledger) -> list[HeldTrial]:
    """Return every trial of the ledger, newest first."""
    return [
        HeldTrial(
            row.id,
            row.created_at_ms,
            row.author,
            row.config_version,
            build_config(json.loads(row.target_json)),
            Trial.from_json(json.loads(row.design_json)),
            None if row.proof_json is None else Proof.from_json(json.loads(row.proof_json)),
        )
        for row in rows.trials(ledger)
    ]


def trial_of(ledger: Ledger, replays: Sequence[Replay], target: RoutingConfig | None = None) -> HeldTrial | None:
    """Return the newest trial, of ``target`` where one is given, that drew one of these requests; None if none did."""
    ids = {replay.id for replay in replays}
    for one in held(ledger):
        if (target is None or one.target == target) and any(chosen.id in ids for chosen in one.trial.chosen):
            return one
    return None


def conclude(
    ledger: Ledger,
    one: HeldTrial,
    replays: Sequence[Replay],
    *,
    author: str,
    source: QualitySource = QualitySource.JUDGE,
) -> Proof:
    """Take graded replays in, prove what they prove, and keep all of it.

    Every replay whose tokens are known becomes an attempt of its decision, of kind trial, and every logged answer that
    was graded again a label by ``source``. Taking the same replays in again changes nothing. Raises ``InputError``
    where the replays are too few or cannot be used; nothing is then kept.
    """
    chosen = {known.id: known for known in one.trial.chosen}
    used = [replay for replay in replays if replay.id in chosen]
    book = PriceBook(read_prices(ledger))
    now = time.time_ns() // 1_000_000
    outcomes, calls, labels = [], [], []
    for replay in used:
        key, tier = bytes.fromhex(replay.id), chosen[replay.id].new
        provider, model = one.target.price_names(one.target.tier(tier).models[0])
        cost = replay.cost_nusd
        if replay.usage is not None:
            # The move is judged at the prices of the logged request, the call itself paid at those of today.
            then, today = (
                book.list_cost(replay.usage, provider_name=provider, model=model, at_ms=at)
                for at in (id_time_ms(key), now)
            )
            cost = None if then is None else then.nusd
            calls.append((key, _attempt(tier, provider, model, replay.usage, today)))
        outcomes.append(Outcome(replay.id, replay.quality_target, replay.quality_logged, cost))
        if replay.quality_logged is not None:
            labels.append(Label(key, replay.quality_logged, source, now, author=author, note=f"trial {one.number}"))
    proof = prove(one.trial, outcomes)
    rows.add_replays(ledger, calls)
    _add_new_labels(ledger, labels)
    _keep(ledger, one, proof, author)
    return proof


def keep_proof(ledger: Ledger, one: HeldTrial, outcomes: Sequence[Outcome], *, author: str) -> Proof:
    """Prove what outcomes prove whose calls are on record already, and keep it. Raises ``InputError`` as ``prove``."""
    proof = prove(one.trial, outcomes)
    _keep(ledger, one, proof, author)
    return proof


def _keep(ledger: Ledger, one: HeldTrial, proof: Proof, author: str) -> None:
    rows.keep_proof(ledger, one.number, json.dumps(proof.as_json(), allow_nan=False))
    ledger.event(author, "trial", f"trial {one.number}: proved by {proof.replays} replays")


def _attempt(tier: str, provider: str, model: str, usage: Usage, cost: Cost | None) -> Attempt:
    return Attempt(
        Kind.TRIAL,
        tier,
        provider,
        model,
        final=False,
        reason="trial",
        usage=usage,
        list_cost_nusd=None if cost is None else cost.nusd,
        price_id=None if cost is None else cost.price.id,
    )


def _add_new_labels(ledger: Ledger, labels: Sequence[Label]) -> None:
    kept = kept_labels(ledger, [label.decision_id for label in labels])
    add_labels(ledger, [one for one in labels if (one.decision_id, one.note, round(one.quality, 6)) not in kept])
