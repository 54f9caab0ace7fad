"""The `tierwise project` verb: what a change would save and cost in quality, before it is pushed."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.errors import InputError, NoSupportError

if TYPE_CHECKING:
    from router_core.ledger.store import Ledger
    from router_core.projection import Preview, Projection

SetOption = Annotated[
    list[str], typer.Option("--set", metavar="PATH=VALUE", help="A change, such as boundaries.COMPLEX=70; repeatable.")
]
DaysOption = Annotated[
    int | None, typer.Option("--days", min=1, help="Use the last N days; the whole log if left out.")
]


@app.command()
def project(
    settings: SetOption = [],  # noqa: B006 - typer wants a list, and nobody changes it
    days: DaysOption = None,
    fail_under: Annotated[
        float | None, typer.Option("--fail-under", help="Exit 1 where projected quality may lie below this.")
    ] = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Preview a change to the live configuration on the logged traffic, with an interval."""
    from router_core.config import set_values
    from router_core.ledger.store import open_ledger

    with open_ledger(db, create=False) as ledger:
        preview = prepared(ledger, days)
        projection = preview.at(set_values(preview.config, settings))
    if as_json:
        print_json(projection.as_json())
    else:
        print_projection(projection)
    if fail_under is not None:
        _gate(projection, fail_under)


def prepared(ledger: Ledger, days: int | None) -> Preview:
    """Prepare the last ``days`` of a ledger under its live configuration; refreshes the cells first."""
    from router_core.ledger.evidence import evidence
    from router_core.ledger.price_rows import read_prices
    from router_core.ledger.queries import latency_histograms, window
    from router_core.ledger.rollup import refresh
    from router_core.lifecycle.versions import live
    from router_core.prices import PriceBook
    from router_core.projection import Cube, Preview

    refresh(ledger)
    last: date | None = window(ledger).last_day
    if last is None:
        raise NoSupportError("this ledger holds no traffic yet; fill it with 'tierwise demo', 'run' or 'import'")
    since = None if days is None else last - timedelta(days=days - 1)
    config, book = live(ledger).config, PriceBook(read_prices(ledger))
    cube = Cube.from_evidence(evidence(ledger, since, None), config, book)
    answers = latency_histograms(ledger, ["tier"], since, None, {"kind": ["answer"]})
    return Preview(cube, config, book, latencies={str(tier): counts for (tier,), counts in answers.items()})


def _gate(projection: Projection, least: float) -> None:
    """End with exit code 1 where the interval of projected quality reaches below ``least``."""
    if not 0 <= least <= 1:
        raise InputError(f"--fail-under is a quality between 0 and 1, not {least:g}")
    quality = projection.quality
    if quality.logged is None or quality.low is None:
        note(f"quality cannot be projected, so it may be below {least:g}")
        raise typer.Exit(1)
    if quality.logged + quality.low < least:
        note(f"projected quality may be as low as {quality.logged + quality.low:.3f}, below {least:g}")
        raise typer.Exit(1)


def print_projection(projection: Projection) -> None:
    """Print a projection as a table for people."""
    from rich.console import Console
    from rich.table import Table

    from router_core.projection.result import CONTRADICTED

    table = Table(box=None, pad_edge=False)
    for name in ("", "logged", "projected", "change", "95 % interval"):
        table.add_column(name, justify="left" if not name else "right")
    cost, quality, saving = projection.cost, projection.quality, projection.saving
    table.add_row(
        "cost, $",
        *(_dollars(value) for value in (cost.logged, cost.projected, cost.change)),
        _between(_dollars(cost.low), _dollars(cost.high)),
    )
    table.add_row("saving", "", "", _percent(saving.value), _between(_percent(saving.low), _percent(saving.high)))
    table.add_row(
        "quality",
        *(_points(value) for value in (quality.logged, quality.projected, quality.change)),
        _between(_points(quality.low), _points(quality.high)),
    )
    served = (("fallbacks, %", projection.fallbacks, 100), ("p95 latency, s", projection.latency_p95_ms, 1e-3))
    for name, value, unit in served:
        if value is not None:
            logged, then, change, low, high = (
                _scaled(number, unit) for number in (value.logged, value.projected, value.change, value.low, value.high)
            )
            table.add_row(name, logged, then, change, _between(low, high))
    for name, control in projection.controls.items():
        table.add_row(
            name.replace("_", " "), "", f"$ {_dollars(control.cost.projected)}", _points(control.quality.projected), ""
        )
    console = Console(width=120)
    console.print(table)
    support = projection.support
    typer.echo(
        f"{projection.decisions:,} requests in {projection.days} days; {support.moved_share:.1%} would move, "
        f"{support.unsupported_share:.1%} of all without support ({support.colour})"
    )
    for sentence in (
        *map(str, projection.ranges),
        *projection.notes,
        *([CONTRADICTED] if projection.contradicted else []),
    ):
        note(sentence)


def _dollars(nusd: int | None) -> str:
    return "unknown" if nusd is None else f"{nusd / 1e9:,.2f}"


def _percent(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"


def _points(quality: float | None) -> str:
    return "unknown" if quality is None else f"{quality:.4f}"


def _scaled(value: float | None, unit: float) -> str:
    return "unknown" if value is None else f"{value * unit:.2f}"


def _between(low: str, high: str) -> str:
    return "" if low == high == "unknown" else f"{low} to {high}"
