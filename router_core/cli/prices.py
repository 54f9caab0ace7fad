"""The `tierwise prices` verbs: what models cost, from when, and who says so."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from router_core.ledger.store import Ledger
    from router_core.prices import Price, PriceBook

prices_app = typer.Typer(no_args_is_help=True, help="Dated prices in layers: catalogue, then contract, then manual.")
app.add_typer(prices_app, name="prices")

ProviderArgument = Annotated[str, typer.Argument(help='Provider, or "*" for any.', show_default=False)]
ModelArgument = Annotated[str, typer.Argument(help="Model, as that provider calls it.", show_default=False)]
AtOption = Annotated[str | None, typer.Option("--at", help="UTC date; today unless given.")]


@prices_app.command("list")
def list_prices(
    provider: Annotated[str, typer.Option(help="Only providers whose name contains this.")] = "",
    model: Annotated[str, typer.Option(help="Only models whose name contains this.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Every model known, not only those in use.")] = False,
    at: AtOption = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """List the prices that hold on a day: of the models in use, or of those asked for."""
    from router_core.lifecycle import versions

    day = utc_day(at)
    with _open(db) as ledger:
        book = _book(ledger)
        config = versions.live(ledger).config
    names: Iterable[tuple[str, str]] = book.models()
    if not (everything or provider or model):
        names = sorted({config.price_names(name) for name in config.models})
    found = [
        (name, price)
        for name in names
        if provider.lower() in name[0].lower() and model.lower() in name[1].lower()
        for price in _holding(book, name, day)
    ]
    if as_json:
        print_json([{"provider": name[0], "model": name[1], **plain(price)} for name, price in found])
        return
    _table([("/".join(name), *_cells(price)) for name, price in found], "model")
    for name in sorted({*names} - {name for name, _ in found}):
        if not (everything or provider or model):
            note(f"No price is known for {name[1]} at {name[0]}; add one with 'tierwise prices set'.")


@prices_app.command("set")
def set_price(
    provider: ProviderArgument,
    model: ModelArgument,
    effective_from: Annotated[str, typer.Option("--from", help="UTC date from which it holds.", show_default=False)],
    input_: Annotated[str | None, typer.Option("--input", help="US dollars per million input tokens.")] = None,
    output: Annotated[str | None, typer.Option("--output", help="US dollars per million output tokens.")] = None,
    cache_read: Annotated[str | None, typer.Option(help="US dollars per million tokens read from a cache.")] = None,
    cache_write: Annotated[str | None, typer.Option(help="US dollars per million tokens written to a cache.")] = None,
    layer: Annotated[str, typer.Option(help="contract or manual.")] = "manual",
    processing: Annotated[str, typer.Option(help="standard, batch, flex, priority or fast.")] = "standard",
    min_input_tokens: Annotated[int, typer.Option(min=0, help="For calls of at least this many input tokens.")] = 0,
    why: Annotated[str, typer.Option("--note", help="Why; kept with the price.")] = "",
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Add a dated price; older ones stay, and calls already made keep the price that priced them."""
    from router_core.ledger.price_rows import add_prices
    from router_core.ledger.store import open_ledger
    from router_core.prices import price_from_entry

    price = price_from_entry(
        {
            "provider": provider,
            "model": model,
            "effective_from": effective_from,
            "input": input_,
            "output": output,
            "cache_read": cache_read,
            "cache_write": cache_write,
            "layer": layer,
            "processing": processing,
            "min_input_tokens": min_input_tokens,
            "source": "tierwise prices set",
            "note": why,
        }
    )
    if price.layer == "catalogue":
        raise InputError("the catalogue is not written by hand; choose --layer contract or --layer manual")
    with open_ledger(db) as ledger:
        add_prices(ledger, [price])
        ledger.event("command line", "price", f"{provider} {model} from {price.effective_from}, {price.layer}")
        book = _book(ledger)
    winner = book.find(provider, model, _midday(price.effective_from), min_input_tokens, processing)
    wins = winner is not None and winner.layer == price.layer and winner.effective_from == price.effective_from
    if as_json:
        print_json({"added": plain(price), "wins": wins, "winner": None if winner is None else plain(winner)})
    elif wins:
        typer.echo(f"{model} at {provider} costs {_rates(price)} from {price.effective_from} ({price.layer}).")
    elif winner is not None:
        typer.echo(
            f"Added, but the {winner.layer} price from {winner.effective_from} stands above it: {_rates(winner)}."
        )


@prices_app.command()
def history(
    provider: ProviderArgument,
    model: ModelArgument,
    at: AtOption = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """List every price a model ever had, and mark those that hold on a day."""
    day = utc_day(at)
    with _open(db) as ledger:
        book = _book(ledger)
    rows = book.history(provider, model)
    if not rows:
        raise InputError(f"no price is known for {model!r} at {provider!r}; add one with 'tierwise prices set'")
    holding = {price.id for price in _holding(book, (provider, model), day, {price.processing for price in rows})}
    if as_json:
        print_json([{**plain(price), "holds": price.id in holding} for price in rows])
        return
    _table([("*" if price.id in holding else "", *_cells(price)) for price in rows], "")
    note(f"* holds on {day} (UTC).")


def _open(db: str) -> Ledger:
    from router_core.ledger.store import open_ledger

    return open_ledger(db, create=False)


def _book(ledger: Ledger) -> PriceBook:
    from router_core.ledger.price_rows import read_prices
    from router_core.prices import PriceBook

    return PriceBook(read_prices(ledger))


def _holding(
    book: PriceBook, name: tuple[str, str], day: date, processings: Iterable[str] = ("standard",)
) -> list[Price]:
    """List the prices that hold at any hour of a day, for a call of any size."""
    rows = book.history(*name)
    start = _midday(day) - 12 * 3_600_000
    minutes = {0, *(edge for price in rows for edge in (price.minute_from, price.minute_to) if edge is not None)}
    sizes = {0, *(price.min_input_tokens for price in rows)}
    found = [
        book.find(*name, start + minute * 60_000, size, processing)
        for processing in sorted(processings)
        for size in sorted(sizes)
        for minute in sorted(minutes)
    ]
    return list(dict.fromkeys(price for price in found if price is not None))


def utc_day(text: str | None, option: str = "--at") -> date:
    """Return the UTC date of an option, today where it is not given."""
    if text is None:
        return datetime.now(UTC).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InputError(f"{option} {text!r} is not a date; write for instance 2026-01-31") from None


def _midday(day: date) -> int:
    return round(datetime.combine(day, time(12), UTC).timestamp()) * 1000


def plain(price: Price) -> dict[str, Any]:
    """Return a price as JSON has it."""
    from router_core.prices import FIRST_KNOWN

    return {
        "id": price.id,
        "priced_as": f"{price.provider_name}/{price.model}",
        "layer": price.layer,
        "effective_from": None if price.effective_from == FIRST_KNOWN else price.effective_from.isoformat(),
        "processing": price.processing,
        "min_input_tokens": price.min_input_tokens,
        "utc_minutes": None if price.minute_from is None else [price.minute_from, price.minute_to],
        **{name: number(getattr(price, f"{name}_usd_per_mtok")) for name in ("input", "output")},
        **{name: number(getattr(price, f"{name}_usd_per_mtok")) for name in ("cache_read", "cache_write")},
        "source": price.source,
        "note": price.note,
    }


def number(rate: Any) -> str | None:
    """Return a rate in digits; None where it is unknown."""
    return None if rate is None else format(rate, "f")


def _rates(price: Price) -> str:
    usd_in, usd_out = number(price.input_usd_per_mtok) or "?", number(price.output_usd_per_mtok) or "?"
    return f"{usd_in} in, {usd_out} out per million tokens"


_HEADINGS = ("in", "out", "read", "write", "from", "layer", "when")


def _cells(price: Price) -> tuple[str, ...]:
    from router_core.prices import FIRST_KNOWN, shown_calls

    start = "always" if price.effective_from == FIRST_KNOWN else price.effective_from.isoformat()
    usd = (
        price.input_usd_per_mtok,
        price.output_usd_per_mtok,
        price.cache_read_usd_per_mtok,
        price.cache_write_usd_per_mtok,
    )
    return (*(number(rate) or "–" for rate in usd), start, price.layer, shown_calls(price))


def _table(rows: list[tuple[str, ...]], first: str) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column(first, no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right" if heading in _HEADINGS[:4] else "left", no_wrap=heading != "when")
    for row in rows:
        table.add_row(*row)
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    note("US dollars per million tokens: input, output, read from a cache, written to one.")
