"""The `tierwise recost` verb: history priced again, as a job that says what it would do and can be undone."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.cli.days import read_days
from router_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from router_core.ledger.recost import Job, Recosting

_NANO = 1_000_000_000


@app.command()
def recost(
    since: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day: 2026-01-31, today, yesterday or 7d.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, included.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show the difference, by model.")] = False,
    undo: Annotated[
        int | None, typer.Option(metavar="JOB", help="Give calls back what they cost before a job.")
    ] = None,
    list_jobs: Annotated[bool, typer.Option("--jobs", help="List the jobs there were.")] = False,
    why: Annotated[str, typer.Option("--note", help="Why; kept with the job.")] = "",
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Price the calls of some days again, by the prices known today; the old amounts are kept.

    Prices added later never change what calls cost until this is asked for. Look first with --dry-run.
    """
    from router_core.ledger import recost as recosting
    from router_core.ledger.rollup import refresh
    from router_core.ledger.store import open_ledger
    from router_core.ledger.writer import replay_spool

    if sum((undo is not None, list_jobs, since is not None or until is not None)) != 1:
        raise InputError("say --from DATE and --to DATE, or --undo JOB, or --jobs")
    with open_ledger(db, create=False) as ledger:
        if list_jobs:
            _list(recosting.jobs(ledger), as_json=as_json)
            return
        if undo is not None:
            job = recosting.undo_recost(ledger, undo, author="command line")
            refresh(ledger)
            if as_json:
                print_json({"undone": _plain(job)})
            else:
                typer.echo(f"Job {job.id} is undone: {job.calls:,} calls cost again what they did before.")
            return
        first, last = read_days(since, until, ledger.zone, ("--from", "--to"))
        if first is None or last is None:
            missing = "--from" if first is None else "--to"
            raise InputError(f"{missing} is missing: say from which day to which, as 2026-01-31, today or 7d")
        replay_spool(ledger)
        result = recosting.recost(ledger, first, last, author="command line", note=why, dry_run=dry_run)
        if result.job is not None:
            refresh(ledger)
    if as_json:
        print_json(_report(result))
        return
    _show(result)


def _show(result: Recosting) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if result.models:
        table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
        for heading in ("provider", "model"):
            table.add_column(heading, no_wrap=True)
        for heading in ("calls", "of them unpriced before", "before, $", "after, $", "difference, $"):
            table.add_column(heading, justify="right")
        for one in sorted(result.models.values(), key=lambda one: -abs(one.after_nusd - one.before_nusd)):
            nusd = (one.before_nusd, one.after_nusd, one.after_nusd - one.before_nusd)
            counts = (f"{one.calls:,}", f"{one.newly_priced:,}")
            table.add_row(one.provider_name, one.model, *counts, *map(_dollars, nusd))
        Console(width=None if sys.stdout.isatty() else 200).print(table)
    change = result.after_nusd - result.before_nusd
    would = "would change" if result.job is None else "changed"
    typer.echo(
        f"{result.since} to {result.until}: {result.changed:,} of {result.calls:,} calls {would}, "
        f"{'+' if change >= 0 else '-'}${_dollars(abs(change))}."
    )
    if result.job is not None:
        typer.echo(f"This is job {result.job}; 'tierwise recost --undo {result.job}' takes it back.")
    if result.pruned:
        days = ", ".join(map(str, result.pruned[:5])) + (" ..." if len(result.pruned) > 5 else "")
        note(f"{len(result.pruned):,} days are in an archive alone and stay as they are: {days}.")
    note("Reports that came as sums keep their prices; import them again to price them anew.")


def _list(jobs: Sequence[Job], *, as_json: bool) -> None:
    if as_json:
        print_json([_plain(job) for job in jobs])
        return
    for job in jobs:
        state = "undone" if job.undone_at_ms else "done" if job.ended_at_ms else "cut short"
        change = job.after_nusd - job.before_nusd
        typer.echo(
            f"{job.id}  {_moment(job.started_at_ms)}  {job.since} to {job.until}  {job.calls:,} calls  "
            f"{'+' if change >= 0 else '-'}${_dollars(abs(change))}  {state}  {job.author}  {job.note}".rstrip()
        )
    if not jobs:
        note("History was never priced again here.")


def _plain(job: Job) -> dict[str, Any]:
    return {
        "job": job.id,
        "started": _moment(job.started_at_ms),
        "ended": None if job.ended_at_ms is None else _moment(job.ended_at_ms),
        "undone": None if job.undone_at_ms is None else _moment(job.undone_at_ms),
        "author": job.author,
        "note": job.note,
        "since": job.since.isoformat(),
        "until": job.until.isoformat(),
        "calls": job.calls,
        "before_nusd": job.before_nusd,
        "after_nusd": job.after_nusd,
    }


def _report(result: Recosting) -> dict[str, Any]:
    return {
        "job": result.job,
        "since": result.since.isoformat(),
        "until": result.until.isoformat(),
        "days": result.days,
        "calls": result.calls,
        "changed": result.changed,
        "before_nusd": result.before_nusd,
        "after_nusd": result.after_nusd,
        "pruned_days": [day.isoformat() for day in result.pruned],
        "models": [
            {
                "provider": one.provider_name,
                "model": one.model,
                "calls": one.calls,
                "newly_priced": one.newly_priced,
                "before_nusd": one.before_nusd,
                "after_nusd": one.after_nusd,
            }
            for _, one in sorted(result.models.items())
        ],
    }


def _dollars(nusd: int) -> str:
    return f"{nusd / _NANO:,.6f}"


def _moment(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).isoformat()
