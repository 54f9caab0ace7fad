"""`tierwise calculate`: what a mix of models would cost, from traffic, tokens and prices alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import JsonOption, app, print_json
from router_core.errors import InputError

if TYPE_CHECKING:
    from router_core.prices import Price, PriceBook
    from router_core.projection.calculator import Bill, Traffic


@app.command()
def calculate(
    requests: Annotated[str, typer.Option(help="Requests each period.", show_default=False)],
    input_tokens: Annotated[str, typer.Option(help="Input tokens of a request.", show_default=False)],
    output_tokens: Annotated[str, typer.Option(help="Output tokens of a request.", show_default=False)],
    mix: Annotated[
        list[str], typer.Option(metavar="MODEL=SHARE", help="Share of the requests; repeatable.", show_default=False)
    ],
    per: Annotated[str, typer.Option(help="The period: day, week, month or year.")] = "month",
    baseline: Annotated[str | None, typer.Option(metavar="MODEL", help="Compare with all of it on this model.")] = None,
    cached_share: Annotated[str, typer.Option(help="Share of the input read from the provider's cache.")] = "0",
    classifier: Annotated[str | None, typer.Option(metavar="MODEL", help="Judges every request, in a token.")] = None,
    rejected: Annotated[
        list[str], typer.Option(metavar="MODEL=SHARE", help="Drafts turned down and paid in vain; repeatable.")
    ] = [],  # noqa: B006 - typer wants a list, and nobody changes it
    price: Annotated[
        list[str], typer.Option(metavar="MODEL=IN/OUT", help="US dollars per million tokens; repeatable.")
    ] = [],  # noqa: B006
    at: Annotated[str | None, typer.Option(help="UTC date whose list prices hold; today unless given.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Price a mix of models without a log; models are named MODEL or PROVIDER/MODEL."""
    from router_core.projection.calculator import Extra, Traffic, bill, split

    traffic = Traffic(
        _number("--requests", requests),
        _number("--input-tokens", input_tokens),
        _number("--output-tokens", output_tokens),
        _number("--cached-share", cached_share),
        per,
    )
    shares, drafts = _pairs("--mix", mix), _pairs("--rejected", rejected)
    extras = [Extra(f"rejected drafts of {model}", model, calls) for model, calls in drafts.items()]
    if classifier is not None:
        extras.append(Extra("classifier", classifier, output_tokens=Decimal(1)))
    names = [*shares, *drafts, *(name for name in (classifier, baseline) if name is not None)]
    prices = _prices(names, price, at, traffic)
    plan = bill(traffic, split(traffic, shares), prices, extras)
    against = None if baseline is None else bill(traffic, {baseline: traffic.requests}, prices)
    if as_json:
        print_json(_plain(plan, against))
    else:
        _print(plan, against, baseline)


def _plain(plan: Bill, against: Bill | None) -> dict[str, Any]:
    saving = None if against is None else plan.saving(against)
    return {
        "per": plan.per,
        "cost": float(plan.cost),
        "cost_by_model": {name: float(cost) for name, cost in plan.by_model.items()},
        "extras": {name: float(cost) for name, cost in plan.extras.items()},
        "baseline_cost": None if against is None else float(against.cost),
        "saving": None if saving is None else float(saving),
    }


def _print(plan: Bill, against: Bill | None, baseline: str | None) -> None:
    for name, cost in {**plan.by_model, **plan.extras}.items():
        typer.echo(f"{name:<36} ${cost:>14,.2f}")
    typer.echo(f"{'a ' + plan.per:<36} ${plan.cost:>14,.2f}")
    if against is not None:
        saving = plan.saving(against)
        typer.echo(f"{'all on ' + str(baseline):<36} ${against.cost:>14,.2f}")
        typer.echo("Nothing can be saved of nothing." if saving is None else f"Saving: {saving:.1%}")


def _prices(names: Sequence[str], given: Sequence[str], at: str | None, traffic: Traffic) -> dict[str, Price]:
    from router_core.projection.calculator import prices_at

    known = {name: _given_price(name, rates) for name, rates in _split("--price", given).items()}
    wanted = [name for name in dict.fromkeys(names) if name not in known]
    if not wanted:
        return known
    book = _book()
    found = {name: _found(book, name) for name in wanted}
    return {**known, **prices_at(book, found, _at_ms(at), int(traffic.input_tokens))}


def _book() -> PriceBook:
    from router_core.config import data_dir
    from router_core.prices import PriceBook, catalogue, load_price_overrides

    return PriceBook([*catalogue(), *load_price_overrides(data_dir() / "prices.yaml")])


def _found(book: PriceBook, name: str) -> tuple[str, str]:
    provider, slash, model = name.partition("/")
    if slash and (provider, model) in book.models():
        return provider, model
    sellers = [known for known, priced in book.models() if priced == name]
    if len(sellers) == 1:
        return sellers[0], name
    if sellers:
        raise InputError(f"{name!r} is sold by {', '.join(sellers)}; write for instance {sellers[0]}/{name}")
    raise InputError(f"no price is known for {name!r}; give one with --price {name}=IN/OUT")


def _given_price(name: str, rates: str) -> Price:
    from router_core.prices import ANY_PROVIDER, FIRST_KNOWN, Price

    sent, slash, received = rates.partition("/")
    if not slash:
        raise InputError(f"--price {name}={rates} is not MODEL=IN/OUT, such as gpt-4o=2.50/10.00")
    both = [_number("--price", text) for text in (sent, received)]
    return Price(
        None, ANY_PROVIDER, name, "manual", FIRST_KNOWN, input_usd_per_mtok=both[0], output_usd_per_mtok=both[1]
    )


def _at_ms(at: str | None) -> int:
    try:
        day = datetime.now(UTC).date() if at is None else datetime.strptime(at, "%Y-%m-%d").date()
    except ValueError:
        raise InputError(f"--at {at} is not a date such as 2026-01-31") from None
    return int(datetime.combine(day, time(12), UTC).timestamp() * 1000)


def _pairs(option: str, given: Sequence[str]) -> dict[str, Decimal]:
    return {name: _number(option, text) for name, text in _split(option, given).items()}


def _split(option: str, given: Sequence[str]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.rpartition("=")
        if not equals or not name:
            raise InputError(f"{option} {text} is not MODEL=VALUE")
        if name in found:
            raise InputError(f"{option} names {name!r} twice")
        found[name] = value
    return found


def _number(option: str, text: str) -> Decimal:
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise InputError(f"{option} is {text!r}, which is not a number") from None
    if not number.is_finite() or number < 0:
        raise InputError(f"{option} is {text}; give a number that is not negative")
    return number
