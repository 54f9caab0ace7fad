"""The `tierwise fit` verb: a scorer from graded prompts, and whether it is worth using."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import JsonOption, app, note, print_json
from router_core.errors import InputError

if TYPE_CHECKING:
    from router_core.complexity.fit import Fit
    from router_core.complexity.scorer import Scorer
    from router_core.config import RoutingConfig

_COLUMNS = ("gain", "random", "length", "rules")


@app.command()
def fit(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder with prompts.parquet and responses.parquet.", show_default=False)
    ] = None,
    train_share: Annotated[float, typer.Option(help="Share of the prompts to fit on; the rest measures skill.")] = 0.7,
    seed: Annotated[int, typer.Option(help="Which prompts are held out.")] = 0,
    cheap: Annotated[str | None, typer.Option(help="Model of the cheapest tier; the cheapest unless given.")] = None,
    strong: Annotated[str | None, typer.Option(help="Model of the strongest tier; the best unless given.")] = None,
    scale_only: Annotated[
        Path | None,
        typer.Option(help="Prompts of your own (JSON lines or Parquet, no grades): only re-map the percentile scale."),
    ] = None,
    from_log: Annotated[
        bool, typer.Option("--from-log", help="Fit on the ledger's own requests whose text is kept and answer judged.")
    ] = False,
    embeddings: Annotated[
        str | None,
        typer.Option(
            help="PROVIDER/MODEL: fit on this endpoint's vectors in place of words; it is sent each prompt.",
            show_default=False,
        ),
    ] = None,
    activate: Annotated[bool, typer.Option(help="Make it the live scorer, if it beats the baselines.")] = False,
    db: Annotated[
        str | None, typer.Option("--db", envvar="TIERWISE_DB", help="Ledger to keep the scorer in.", show_default=False)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Fit a scorer to graded answers, print its skill on held-out prompts, and keep it in a ledger.

    Skill is APGR: the share of the strong model's advantage that is recovered, averaged over all shares of traffic it
    may get; choosing at random gives 0.5.
    """
    if activate and db is None:
        raise InputError("--activate needs --db, the ledger whose configuration is to name the scorer")
    if (folder is not None) + (scale_only is not None) + from_log != 1:
        raise InputError(
            "give either a folder of graded prompts to fit on, --from-log, or --scale-only with a file of prompts"
        )
    if scale_only is not None:
        _rescale(scale_only, db, activate, as_json)
    elif from_log:
        _fit_log(train_share, seed, db, activate, as_json)
    elif folder is not None:
        _fit(folder, train_share, seed, cheap, strong, embeddings, db, activate, as_json)


def _fit(
    folder: Path,
    train_share: float,
    seed: int,
    cheap: str | None,
    strong: str | None,
    embeddings: str | None,
    db: str | None,
    activate: bool,
    as_json: bool,
) -> None:
    import time

    from router_core.complexity.fit import fit, summary
    from router_core.complexity.graded import read_graded

    graded = read_graded(folder, at_ms=time.time_ns() // 1_000_000, cheap=cheap, strong=strong)
    if embeddings is None:
        with _progress("Fitting", hidden=as_json) as step:
            found = fit(graded, train_share=train_share, seed=seed, progress=step)
        facts = summary(found, graded)
    else:
        from router_core.complexity.fit_embedded import fit_embedded
        from router_core.complexity.vectors import embed_texts

        with _progress("Embedding", hidden=as_json) as step:
            embedded = embed_texts(embeddings, graded.prompts, _config(db), progress=step)
        with _progress("Fitting", hidden=as_json) as step:
            found = fit_embedded(graded, embedded, train_share=train_share, seed=seed, progress=step)
        facts = {**summary(found, graded), "embedded_tokens": embedded.input_tokens}
    _told(found, facts, db, activate, as_json)


def _fit_log(train_share: float, seed: int, db: str | None, activate: bool, as_json: bool) -> None:
    from router_core.complexity.fit import summary
    from router_core.complexity.fit_logged import fit_logged
    from router_core.ledger.graded_log import graded_log
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import versions

    if db is None:
        raise InputError("--from-log needs --db, the ledger whose requests are to be fitted on")
    with open_ledger(db) as ledger:
        log = graded_log(ledger, versions.live(ledger).config.tier_names)
    with _progress("Fitting", hidden=as_json) as step:
        found = fit_logged(log, train_share=train_share, seed=seed, progress=step)
    _told(found, {**summary(found, log), "explored": log.explored}, db, activate, as_json)


def _told(found: Fit, facts: dict[str, Any], db: str | None, activate: bool, as_json: bool) -> None:
    """Keep a fitted scorer, and say what it is worth."""
    version = None
    if db is not None:
        version = _keep(db, found.scorer, facts, activate and found.beats_baselines, found.sentence)
    if as_json:
        print_json({**facts, "activated": version is not None})
        return
    typer.echo(f"{facts['source']}: {facts['cheap']} against {facts['strong']}, {found.train:,} prompts to fit on.")
    _table(facts["skill"])
    typer.echo(found.sentence)
    _say_kept(db, found.scorer, version)
    if activate and version is None:
        note("It was not activated.")


def _config(db: str | None) -> RoutingConfig:
    """Return the live configuration of a ledger, or the shipped one where there is no ledger."""
    from router_core.config import default_config
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import versions

    if db is None:
        return default_config()
    with open_ledger(db) as ledger:
        return versions.live(ledger).config


def _rescale(file: Path, db: str | None, activate: bool, as_json: bool) -> None:
    from router_core.complexity.scorer import Scorer
    from router_core.gateway.engine import classifier_for
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import versions

    texts = _texts(file)
    current = Scorer.reference()
    if db is not None:
        with open_ledger(db) as ledger:
            current = classifier_for(versions.live(ledger).config, ledger).scorer
    scorer = current.rescaled(texts)
    moved = [current.score(text) for text in texts]
    facts = {
        "source": file.name,
        "prompts": len(texts),
        "scorer": {"version": scorer.version, "from": current.version},
        "above_70_before": round(sum(score >= 70 for score in moved) / len(texts), 4),
        "above_70": round(sum(scorer.score(text) >= 70 for text in texts) / len(texts), 4),
    }
    why = f"the percentile scale of {current.version}, re-mapped on {len(texts):,} prompts"
    version = None if db is None else _keep(db, scorer, facts, activate, why)
    if as_json:
        print_json({**facts, "activated": version is not None})
        return
    typer.echo(
        f"{scorer.version}: a boundary at 70 sends {facts['above_70']:.1%} of these {len(texts):,} prompts up; "
        f"with {current.version} it sends {facts['above_70_before']:.1%}."
    )
    _say_kept(db, scorer, version)


def _texts(file: Path) -> list[str]:
    from router_core.serving.recordings import read_prompts
    from router_core.serving.requests import request_of

    texts = []
    for row in read_prompts(file):
        if isinstance(row, InputError):
            note(f"tierwise: {row}")
        else:
            texts.append(request_of(row).text)
    return texts


def _keep(db: str, scorer: Scorer, facts: dict[str, Any], activate: bool, why: str) -> int | None:
    """Keep the scorer in the ledger; return the configuration version that names it, None where none does."""
    from router_core.cli.config import login
    from router_core.config import set_values
    from router_core.ledger.scorers import save_scorer
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import versions

    with open_ledger(db) as ledger:
        save_scorer(ledger, scorer.version, scorer.to_bytes(), facts)
        if not activate:
            return None
        live = versions.live(ledger)
        named = set_values(live.config, [f"classifier.scorer={scorer.version}"])
        return versions.push(ledger, named, author=login(), note=why, expected=live.version).version


def _say_kept(db: str | None, scorer: Scorer, version: int | None) -> None:
    if version is not None:
        typer.echo(f"Version {version} of the configuration uses {scorer.version}.")
    elif db is not None:
        typer.echo(f"{scorer.version} is kept in {db}; --activate would make it live.")


def _table(skill: list[dict[str, Any]]) -> None:
    width = max(len(line["group"]) for line in skill)
    typer.echo(f"{'':{width}}  {'n':>7}" + "".join(f"  {name:>19}" for name in _COLUMNS))
    for line in skill:
        cells = (_cell(line[name]) for name in _COLUMNS)
        typer.echo(f"{line['group']:{width}}  {line['n']:>7,}" + "".join(f"  {cell:>19}" for cell in cells))


def _cell(skill: dict[str, float | None]) -> str:
    if skill["apgr"] is None:
        return "no gap"
    return f"{skill['apgr']:.3f} ({skill['low']:.2f}..{skill['high']:.2f})"


@contextmanager
def _progress(what: str, *, hidden: bool) -> Iterator[Callable[[int, int], None] | None]:
    if hidden or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
