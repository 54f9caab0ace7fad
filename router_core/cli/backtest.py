"""The `tierwise backtest` verb: previews checked against recorded outcomes, whose truth is known."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import JsonOption, app, note, print_json
from router_core.errors import InputError

if TYPE_CHECKING:
    from router_core.projection.backtest import Protocol, Scored, Trial

_CHUNK = 5  # resamples a worker takes at once


@app.command()
def backtest(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Holds prompts.parquet and responses.parquet.")],
    tiers: Annotated[str, typer.Option("--tiers", help="Models, cheapest first, separated by commas.")] = "",
    explore: Annotated[float, typer.Option("--explore", help="Share of the log sent to another tier by chance.")] = 0.0,
    label_share: Annotated[float, typer.Option("--label-share", help="Share of the log that is labelled.")] = 1.0,
    resamples: Annotated[int, typer.Option("--resamples", min=1, help="Logs to draw.")] = 100,
    by_category: Annotated[bool, typer.Option("--by-category", help="Take categories as product features.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Same seed, same logs.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Check previews against recorded outcomes: bias, coverage and width of ours and of other ways."""
    import time

    from router_core.projection.backtest import Protocol, score_outcomes, summary
    from router_core.projection.outcomes import read_outcomes

    for name, share in (("--explore", explore), ("--label-share", label_share)):
        if not 0 <= share <= 1:
            raise InputError(f"{name} is a share between 0 and 1, not {share:g}")
    models = [name.strip() for name in tiers.split(",") if name.strip()]
    outcomes = read_outcomes(folder, models, at_ms=time.time_ns() // 1_000_000)
    scored = score_outcomes(outcomes, seed)
    for sentence in (*outcomes.notes, scored.skill):
        note(sentence)
    protocol = Protocol(explore, label_share, by_category, seed)
    started = time.perf_counter()
    trials = _in_parallel(scored, protocol, resamples, show=not as_json)
    rows = summary(trials)
    if as_json:
        print_json(rows)
    else:
        note(f"{resamples} logs, {len(trials):,} previews in {time.perf_counter() - started:.0f} s")
        _print(rows)


def _in_parallel(scored: Scored, protocol: Protocol, resamples: int, *, show: bool) -> list[Trial]:
    from rich.progress import track

    from router_core.projection.backtest import run

    chunks = [range(first, min(first + _CHUNK, resamples)) for first in range(0, resamples, _CHUNK)]
    work = partial(run, scored, protocol)
    workers = min(os.cpu_count() or 1, len(chunks))
    hidden = not show or not os.isatty(2)
    if workers == 1:
        return [trial for chunk in track(chunks, disable=hidden) for trial in work(chunk)]
    with ProcessPoolExecutor(workers) as pool:
        done = track(pool.map(work, chunks), total=len(chunks), description="back-testing", disable=hidden)
        return [trial for trials in done for trial in trials]


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
