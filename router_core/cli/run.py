"""The `tierwise run` verb: prompts routed and served from recorded outcomes into the ledger."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json

if TYPE_CHECKING:
    from rich.table import Column

    from router_core.config import RoutingConfig
    from router_core.ledger.store import Ledger
    from router_core.prices import PriceBook
    from router_core.serving.providers import Outcomes
    from router_core.serving.replay import Replay

_AUTHOR = "tierwise run"
_SHOWN = 20  # rows that could not be used, named one by one


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="Prompts: JSON lines or Parquet with 'prompt' or 'messages'.")],
    outcomes: Annotated[Path, typer.Option(help="Recorded outcomes: JSON lines or Parquet by prompt_id and model.")],
    explore: Annotated[float | None, typer.Option(min=0, max=1, help="Share sent to another tier on purpose.")] = None,
    db: DbOption = DEFAULT_DB,
    config: Annotated[
        Path | None, typer.Option("--config", help="YAML to route by; without it, the ledger's, or one tier a model.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Repeat a run: the same draws, the same ids but for the time.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Route prompts and serve each from recorded outcomes, into the ledger, with its grade as a label."""
    import asyncio
    import random
    import time

    from router_core.config import load_config
    from router_core.gateway.engine import classifier_for, key_path
    from router_core.ledger.price_rows import read_prices
    from router_core.ledger.rollup import refresh
    from router_core.ledger.store import open_ledger
    from router_core.prices import PriceBook
    from router_core.serving.hashing import read_hash_key
    from router_core.serving.providers import RecordedProvider
    from router_core.serving.recordings import count_rows, read_outcomes, read_prompts
    from router_core.serving.replay import Replay, ordered_ids
    from router_core.serving.router import Router

    began = time.perf_counter()
    given = load_config(config) if config is not None else None
    rows = count_rows(file)
    table = read_outcomes(outcomes)
    with open_ledger(db, timezone=given.timezone if given is not None else "UTC") as ledger:
        prices = PriceBook(read_prices(ledger))
        version, used = _adopt(ledger, file, given, table.outcomes, prices, explore)
        rng = random.Random(seed)
        replay = Replay(ledger.write_decisions)
        router = Router(
            used,
            version=version,
            classifier=classifier_for(used, ledger),
            prices=prices,
            providers={name: RecordedProvider(table.outcomes, name) for name in used.providers},
            record=replay.record,
            random=rng.random,
            new_id=ordered_ids(rng),
            hash_key=read_hash_key(key_path(ledger)),
        )
        with _progress(rows, hidden=json) as step:
            asyncio.run(replay.run(router, read_prompts(file), step))
        refresh(ledger)
    _report(replay, used, version, time.perf_counter() - began, json=json)
    if table.without_output:
        note(
            f"{table.without_output:,} outcomes have no output tokens; these are counted as 0 and marked as estimated."
        )
    bad = (*table.rejected, *replay.rejected)
    for error in bad[:_SHOWN]:
        note(f"tierwise: {error}")
    if bad:
        more = f" ({len(bad) - _SHOWN:,} more are not named)" if len(bad) > _SHOWN else ""
        note(f"tierwise: {len(bad):,} rows could not be used{more}; the others are done")
        raise typer.Exit(2)


def _adopt(
    ledger: Ledger,
    file: Path,
    given: RoutingConfig | None,
    outcomes: Outcomes,
    prices: PriceBook,
    explore: float | None,
) -> tuple[int, RoutingConfig]:
    """Return the version and configuration to route by, pushed where the ledger does not have it live already."""
    import time

    from router_core.cli.ledgers import first_version
    from router_core.config import set_values
    from router_core.errors import InputError
    from router_core.ledger.config_versions import live_version
    from router_core.ledger.scorers import save_scorer
    from router_core.lifecycle.versions import live, push
    from router_core.serving.recordings import read_prompts
    from router_core.serving.replay import config_for, scale_of

    recorded = outcomes.by_model().keys()
    now = live(ledger) if live_version(ledger) else None
    wanted = given
    if wanted is None and now is not None and _models(now.config) <= recorded:
        wanted = now.config
    if wanted is None:
        scorer = scale_of(read_prompts(file))
        if scorer is not None:
            save_scorer(ledger, scorer.version, scorer.to_bytes(), {"scale_of": str(file)})
        version = scorer.version if scorer is not None else None
        wanted = config_for(outcomes, prices, at_ms=time.time_ns() // 1_000_000, scorer=version)
    elif not _models(wanted) & recorded:
        raise InputError(f"no outcome is recorded for any model of its tiers; recorded are {', '.join(recorded)}")
    if explore is not None:
        wanted = set_values(wanted, [f"exploration.rate={explore}"])
    if now is None:
        first_version(ledger, wanted, author=_AUTHOR, note="for recorded outcomes")
        return 1, wanted
    if now.config == wanted:
        return now.version, wanted
    return push(ledger, wanted, author=_AUTHOR, note="for recorded outcomes", expected=now.version).version, wanted


def _models(config: RoutingConfig) -> set[str]:
    return {config.price_names(model)[1] for tier in config.tiers for model in tier.models}


@contextmanager
def _progress(rows: int, *, hidden: bool) -> Iterator[Callable[[], None]]:
    """Give a function that moves a progress bar on by one; nothing is shown where nobody looks at it."""
    if hidden or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("Routing", total=rows)
        yield lambda: bar.advance(task)


def _report(replay: Replay, config: RoutingConfig, version: int, seconds: float, *, json: bool) -> None:
    names = [*config.tier_names, *(name for name in replay.tiers if name not in config.tier_names)]
    tiers = [(name, replay.tiers[name]) for name in names if name in replay.tiers]
    decisions = sum(tier.decisions for _, tier in tiers)
    if json:
        print_json(
            {
                "decisions": decisions,
                "failed": sum(tier.failed for _, tier in tiers),
                "rejected": len(replay.rejected),
                "seconds": round(seconds, 3),
                "decisions_per_second": round(decisions / seconds, 1),
                "config_version": version,
                "by_tier": [
                    {
                        "tier": name,
                        "decisions": tier.decisions,
                        "failed": tier.failed,
                        "explored": tier.explored,
                        "list_cost_nusd": tier.cost_nusd,
                        "unpriced": tier.unpriced,
                        "quality": tier.quality,
                    }
                    for name, tier in tiers
                ],
            }
        )
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("tier", *(_right(name) for name in ("decisions", "failed", "explored", "list cost", "quality")))
    for name, tier in tiers:
        quality = "-" if tier.quality is None else f"{tier.quality:.3f}"
        cost = f"${tier.cost_nusd / 1e9:,.4f}" + (f" ({tier.unpriced:,} unpriced)" if tier.unpriced else "")
        table.add_row(name, f"{tier.decisions:,}", f"{tier.failed:,}", f"{tier.explored:,}", cost, quality)
    Console().print(table)
    note(f"{decisions:,} decisions under version {version} in {seconds:.1f} s ({decisions / seconds:,.0f} a second)")


def _right(name: str) -> Column:
    from rich.table import Column

    return Column(name, justify="right")
