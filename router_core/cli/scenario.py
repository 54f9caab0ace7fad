"""The `tierwise scenario` verbs: what-ifs saved by name, listed, and compared side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.cli.project import DaysOption, SetOption, prepared
from router_core.errors import InputError

if TYPE_CHECKING:
    from router_core.projection.whatif import WhatIf

scenario_app = typer.Typer(no_args_is_help=True, help="What-ifs by name: save, list, compare, remove.")
app.add_typer(scenario_app, name="scenario")

NamesArgument = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Scenarios; all if left out.")]
_EMPTY: list[str] = []


@scenario_app.command()
def save(
    name: Annotated[str, typer.Argument(help="What to call it.", show_default=False)],
    settings: SetOption = _EMPTY,
    prices_at: Annotated[
        str | None, typer.Option("--prices-at", metavar="DATE", help="Price all calls as on a day.")
    ] = None,
    price: Annotated[
        list[str], typer.Option(metavar="MODEL=IN/OUT|PERCENT", help="Dollars per million tokens, or -20%; repeatable.")
    ] = _EMPTY,
    swap: Annotated[
        list[str],
        typer.Option(metavar="TIER=MODEL[*RATIO]", help="Another first model; RATIO of output tokens if known."),
    ] = _EMPTY,
    grow: Annotated[list[str], typer.Option(metavar="[FEATURE=]PERCENT", help="More or less traffic.")] = _EMPTY,
    cache_ttl: Annotated[list[str], typer.Option(metavar="[FEATURE=]SECONDS", help="Keep answers so long.")] = _EMPTY,
    batch: Annotated[list[str], typer.Option(metavar="[FEATURE=]PERCENT", help="Calls that go by batch.")] = _EMPTY,
    compress: Annotated[
        list[str], typer.Option(metavar="[FEATURE=]PERCENT", help="Share of the input left by compression.")
    ] = _EMPTY,
    calls: Annotated[
        list[str], typer.Option(metavar="classifier|escalation=PERCENT", help="Such calls, of as many as now.")
    ] = _EMPTY,
    why: Annotated[str, typer.Option("--note", help="What it is about; kept with it.")] = "",
    db: DbOption = DEFAULT_DB,
) -> None:
    """Save a scenario; what is left out is as the log has it. An older one of that name is replaced."""
    from router_core.cli.config import login
    from router_core.config import set_values
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import scenarios, versions
    from router_core.projection.scenario import build_scenario

    built = build_scenario(
        {
            "name": name,
            "note": why,
            "settings": settings,
            "prices_at": prices_at,
            "prices": {model: _price(text) for model, text in _pairs("--price", price).items()},
            "swaps": {tier: _swap(text) for tier, text in _pairs("--swap", swap).items()},
            "growth": {feature: _percent("--grow", text) for feature, text in _by_feature("--grow", grow).items()},
            "cache_ttl": _by_feature("--cache-ttl", cache_ttl),
            "batch": {feature: _percent("--batch", text) for feature, text in _by_feature("--batch", batch).items()},
            "compress": {
                one: _percent("--compress", text) for one, text in _by_feature("--compress", compress).items()
            },
            "calls": {kind: _percent("--calls", text) for kind, text in _pairs("--calls", calls).items()},
        }
    )
    with open_ledger(db, create=False) as ledger:
        set_values(versions.live(ledger).config, settings)  # refused now rather than when it is compared
        scenarios.save(ledger, built, author=login())
    note(f"Scenario {name!r} is saved; see it with: tierwise scenario compare {name!r}")


@scenario_app.command("list")
def list_scenarios(db: DbOption = DEFAULT_DB, as_json: JsonOption = False) -> None:
    """List the saved scenarios."""
    from datetime import UTC, datetime

    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import scenarios

    with open_ledger(db, create=False) as ledger:
        found = scenarios.saved(ledger)
    if as_json:
        print_json(
            [
                {
                    **one.scenario.model_dump(mode="json", exclude_defaults=True),
                    "author": one.author,
                    "created_at_ms": one.created_at_ms,
                }
                for one in found
            ]
        )
        return
    for one in found:
        when = datetime.fromtimestamp(one.created_at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
        typer.echo(f"{one.scenario.name}  {when}  {one.author}  {one.scenario.note}".rstrip())
    if not found:
        note("No scenario is saved yet.")


@scenario_app.command()
def compare(
    names: NamesArgument = None, days: DaysOption = None, db: DbOption = DEFAULT_DB, as_json: JsonOption = False
) -> None:
    """Set scenarios side by side, each against the log as it was, with what each assumes."""
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import scenarios

    with open_ledger(db, create=False) as ledger:
        chosen = scenarios.named(ledger, names or ())
        found = scenarios.compare(ledger, prepared(ledger, days), chosen)
    if as_json:
        print_json([one.as_json() for one in found])
    else:
        _print(found)


@scenario_app.command()
def remove(
    name: Annotated[str, typer.Argument(help="The scenario to forget.", show_default=False)], db: DbOption = DEFAULT_DB
) -> None:
    """Forget a scenario."""
    from router_core.cli.config import login
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle import scenarios

    with open_ledger(db, create=False) as ledger:
        scenarios.remove(ledger, name, author=login())


def _print(found: Sequence[WhatIf]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for column in ("scenario", "requests", "cost, $", "saving", "95 % interval", "quality", "95 % interval "):
        table.add_column(column.rstrip(), justify="left" if column == "scenario" else "right")
    first = found[0].projection
    table.add_row("as logged", "", f"{first.cost.logged / 1e9:,.2f}", "", "", _quality(first.quality.logged), "")
    for one in found:
        cost, saving, quality = one.projection.cost, one.projection.saving, one.projection.quality
        ends = [
            None if end is None or quality.logged is None else quality.logged + end
            for end in (quality.low, quality.high)
        ]
        table.add_row(
            one.scenario.name,
            f"{one.projection.decisions:,}",
            "unknown" if cost.projected is None else f"{cost.projected / 1e9:,.2f}",
            _share(saving.value),
            _between(_share(saving.low), _share(saving.high)),
            _quality(quality.projected),
            _between(_quality(ends[0]), _quality(ends[1])),
        )
    Console(width=130).print(table)
    for one in found:
        typer.echo(f"\n{one.scenario.name}" + (f": {one.scenario.note}" if one.scenario.note else ""))
        for sentence in (*one.assumptions, *map(str, one.projection.ranges), *one.projection.notes):
            typer.echo(f"  {sentence}")


def _share(share: float | None) -> str:
    return "unknown" if share is None else f"{share:.1%}"


def _quality(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def _between(low: str, high: str) -> str:
    return "" if low == high == "unknown" else f"{low} to {high}"


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise InputError(f"{option} {text} is not NAME=VALUE")
        if name in found:
            raise InputError(f"{option} names {name!r} twice")
        found[name] = value
    return found


def _by_feature(option: str, given: Sequence[str]) -> dict[str, str]:
    from router_core.projection.scenario import EVERY

    return _pairs(option, [text if "=" in text else f"{EVERY}={text}" for text in given])


def _percent(option: str, text: str) -> float:
    try:
        return float(text.rstrip().removesuffix("%")) / 100
    except ValueError:
        raise InputError(f"{option} has {text!r}, which is not a percentage such as 20%") from None


def _price(text: str) -> dict[str, Any]:
    sent, slash, received = text.partition("/")
    if not slash:
        return {"change": _percent("--price", text)}
    rates = {name: rate.strip() for name, rate in (("input", sent), ("output", received)) if rate.strip()}
    for rate in rates.values():
        try:
            float(rate)
        except ValueError:
            raise InputError(
                f"--price has {text!r}, which is not IN/OUT such as 2.50/10 or a change such as -20%"
            ) from None
    return rates


def _swap(text: str) -> dict[str, Any]:
    model, star, ratio = text.rpartition("*")
    return {"model": model, "verbosity": ratio} if star else {"model": text}
