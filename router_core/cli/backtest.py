"""The `tierwise backtest` verb: previews checked against recorded outcomes, whose truth is known."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import JsonOption, app, note, print_json
from router_core.errors import InputError

if TYPE_CHECKING:
    from router_core.projection.backtest import Trial
    from router_core.projection.drawn import Protocol, Scored

_CHUNK = 5  # resamples a worker takes at once
_FEWEST_REPLAYS = 10


@app.command()
def backtest(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds prompts.parquet and responses.parquet.")],
    tiers: Annotated[str, typer.Option("--tiers", help="Models, cheapest first, separated by commas.")] = "",
    explore: Annotated[float, typer.Option("--explore", help="Share of the log sent to another tier by chance.")] = 0.0,
    label_share: Annotated[float, typer.Option("--label-share", help="Share of the log that is labelled.")] = 1.0,
    resamples: Annotated[int, typer.Option("--resamples", min=1, help="Logs to draw.")] = 100,
    by_category: Annotated[bool, typer.Option("--by-category", help="Take categories as product features.")] = False,
    trial: Annotated[
        int, typer.Option("--trial", min=0, help="Prove every move by so many replays instead of previewing it.")
    ] = 0,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Processes at work; 0: one a core.")] = 0,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same logs.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Check previews, or trials, against recorded outcomes: bias, coverage and width of ours and of other ways."""
    import time

    from router_core.projection.backtest import summary
    from router_core.projection.drawn import Protocol, score_outcomes
    from router_core.projection.outcomes import read_outcomes

    for name, share in (("--explore", explore), ("--label-share", label_share)):
        if not 0 <= share <= 1:
            raise InputError(f"{name} is a share between 0 and 1, not {share:g}")
    if 0 < trial < _FEWEST_REPLAYS:
        raise InputError(f"--trial is how many requests are replayed, {_FEWEST_REPLAYS} at least, not {trial}")
    models = [name.strip() for name in tiers.split(",") if name.strip()]
    outcomes = read_outcomes(folder, models, at_ms=time.time_ns() // 1_000_000)
    scored = score_outcomes(outcomes, seed)
    for sentence in (*outcomes.notes, scored.skill):
        note(sentence)
    protocol = Protocol(explore, label_share, by_category, seed, trial)
    started = time.perf_counter()
    trials = _in_parallel(scored, protocol, resamples, workers or os.cpu_count() or 1)
    if not trials:
        raise InputError(
            f"no move of these logs is large enough for {trial} replays; ask for fewer", source=str(folder)
        )
    rows = summary(trials)
    if as_json:
        print_json(rows)
    else:
        what = "trials" if trial else "previews"
        note(f"{resamples} logs, {len(trials):,} {what} in {time.perf_counter() - started:.0f} s")
        _print(rows)


def _in_parallel(scored: Scored, protocol: Protocol, resamples: int, workers: int) -> list[Trial]:
    """Back-test on so many processes, with a bar on the terminal; how many makes no difference to what is found."""
    from rich.console import Console
    from rich.progress import track
    from threadpoolctl import threadpool_limits

    from router_core.projection.backtest import run

    chunks = [range(first, min(first + _CHUNK, resamples)) for first in range(0, resamples, _CHUNK)]
    work = partial(run, scored, protocol)
    shown = partial(
        track,
        total=len(chunks),
        description="Back-testing",
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )
    workers = min(workers, len(chunks))
    # Matrices here are small: threads of the algebra library only get into each other's way.
    if workers == 1:
        with threadpool_limits(1):
            return [trial for trials in shown(map(work, chunks)) for trial in trials]
    with ProcessPoolExecutor(workers, initializer=threadpool_limits, initargs=(1,)) as pool:
        return [trial for trials in shown(pool.map(work, chunks)) for trial in trials]


def _print(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for name in ("measure", "direction", "method", "colour"):
        table.add_column(name)
    for name in ("previews", "bias", "coverage", "width", "interval score"):
        table.add_column(name, justify="right")
    for row in rows:
        detail = row["target"] != "all" or (row["colour"] != "all" and row["method"] != "ours")
        if detail or not row["shown"]:
            continue  # all of it is in the JSON
        figures = [row[name] for name in ("bias", "coverage", "width", "interval_score")]
        shown = ["" if value is None else f"{100 * value:.1f}" for value in figures]
        names = [row[name] for name in ("measure", "direction", "method", "colour")]
        table.add_row(*names, f"{row['shown']:,}", *shown)
    Console(width=120).print(table)
    typer.echo("Bias, width and interval score in points; coverage in per cent.")
