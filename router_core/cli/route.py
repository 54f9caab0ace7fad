"""The `tierwise route` verb: score and tier for prompts, no call made."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.errors import InputError

if TYPE_CHECKING:
    from router_core.complexity.classify import Classifier
    from router_core.config import RoutingConfig
    from router_core.decision import Request

_WIDTH = 60  # characters of a prompt that are shown
_SHOWN = 20  # bad rows named one by one


@app.command()
def route(
    file: Annotated[Path, typer.Argument(help="Prompts: JSON lines or Parquet with 'prompt' or 'messages'.")],
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML to route by; the ledger's live version unless given.")
    ] = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Print the score of each prompt and the tier it would get, exploration aside; nothing is called or recorded."""
    from router_core.config import Exploration
    from router_core.serving.recordings import read_prompts
    from router_core.serving.requests import request_of

    rows = read_prompts(file)
    settings, classifier, whence = _classifier(config, db)
    settings = settings.model_copy(update={"exploration": Exploration()})
    bad: list[InputError] = []
    lines: list[dict[str, Any]] = []
    tiers: Counter[str] = Counter()
    for row in rows:
        if isinstance(row, InputError):
            bad.append(row)
            continue
        request = request_of(row)
        line = _line(row.get("metadata", {}).get("prompt_id"), request, settings, classifier)
        tiers[line["tier"]] += 1
        if as_json:
            lines.append(line)
        else:
            text = " ".join(request.text[: 2 * _WIDTH].split())[:_WIDTH]
            typer.echo(f"{line['score']:>3}  {line['tier']:<12} {line['reason']:<9} {line['stage']:<10} {text}")
    if as_json:
        print_json(lines)
    total = sum(tiers.values())
    shares = ", ".join(f"{name} {tiers[name] / total:.1%}" for name in settings.tier_names if tiers[name])
    scorer = classifier.scorer.version
    if classifier.asks_endpoint is not None:
        scorer = f"the reference, since {scorer} judges embeddings of {classifier.asks_endpoint} and nothing is called"
    note(f"{total:,} prompts, {whence}, scored by {scorer}" + (f": {shares}." if total else "."))
    for error in bad[:_SHOWN]:
        note(f"tierwise: {error}")
    if bad:
        more = f" ({len(bad) - _SHOWN:,} more are not named)" if len(bad) > _SHOWN else ""
        note(f"tierwise: {len(bad):,} rows could not be used{more}; the others are done")
        raise typer.Exit(2)


def _line(prompt_id: str | None, request: Request, config: RoutingConfig, classifier: Classifier) -> dict[str, Any]:
    from router_core.policy import assign

    score = classifier.classify(request)
    assignment = assign(score, request, config, draw=0.0)
    return {
        **({} if prompt_id is None else {"prompt_id": prompt_id}),
        "feature": request.feature,
        "score": score.value,
        "tier": assignment.tier,
        "reason": assignment.reason.name.lower(),
        "stage": score.stage,
        "confidence": round(score.confidence, 4),
        "rule": score.rule or None,
        "expected_output_tokens": score.expected_output_tokens,
        "scorer": score.scorer,
    }


def _classifier(config: Path | None, db: str) -> tuple[RoutingConfig, Classifier, str]:
    """Return a configuration (from a file, a ledger, or where there is none as shipped), its classifier, and whence."""
    from router_core.complexity.classify import Classifier
    from router_core.config import default_config, load_config

    given = None if config is None else load_config(config)
    if given is not None and given.classifier.scorer is None:
        return given, Classifier(given), f"by {config}"
    if given is None and "://" not in db and not Path(db).exists():
        shipped = default_config()
        return shipped, Classifier(shipped), f"by the shipped configuration (there is no ledger at {db})"
    from router_core.gateway.engine import classifier_for
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import versions

    with open_ledger(db, create=False) as ledger:
        live = versions.live(ledger)
        used = given or live.config
        whence = f"by version {live.version}" if given is None else f"by {config}"
        return used, classifier_for(used, ledger), whence
