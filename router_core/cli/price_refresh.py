"""The `tierwise prices refresh` verb: what a newer list of prices would change, and which of it to take."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, note, print_json
from router_core.cli.prices import number, plain, prices_app, utc_day

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from router_core.prices import Price
    from router_core.prices.lists import PriceList
    from router_core.prices.refresh import Change


@prices_app.command()
def refresh(
    sources: Annotated[
        list[str] | None,
        typer.Argument(help="installed, or LiteLLM's or models.dev's prices as a file or URL; more are compared with."),
    ] = None,
    accept: Annotated[
        str | None, typer.Option(metavar="all|MODEL,...", help="Append these; by default nothing changes.")
    ] = None,
    even_suspicious: Annotated[bool, typer.Option("--even-suspicious", help="Let all mean all.")] = False,
    effective_from: Annotated[
        str | None,
        typer.Option("--from", help="UTC date from which prices hold that carry no date; today unless given."),
    ] = None,
    model: Annotated[str, typer.Option(help="Only models whose name contains this.")] = "",
    new: Annotated[bool, typer.Option("--new", help="Also models nobody uses and no price is known of.")] = False,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Compare the prices with a newer list, and append those accepted; older ones and your own stay."""
    from router_core.ledger.price_rows import accept_changes
    from router_core.ledger.rollup import refresh as sum_new_rows
    from router_core.ledger.store import open_ledger
    from router_core.lifecycle.price_changes import price_changes, read_lists
    from router_core.prices.refresh import chosen

    on = utc_day(effective_from, "--from")
    offered, others = read_lists(sources or [])
    with open_ledger(db, create=False) as ledger:
        sum_new_rows(ledger)
        found = [one for one in price_changes(ledger, offered, on, others) if model.lower() in one.name.lower()]
        shown = [one for one in found if new or one.old or one.used]
        accepted = []
        if accept is not None:
            accepted = chosen(shown if accept.strip() == "all" else found, accept, even_suspicious=even_suspicious)
        added = accept_changes(ledger, accepted, "command line") if accepted else 0
    if as_json:
        print_json(_report(offered, found, shown, accepted, added))
        return
    if shown:
        _table(shown)
    _words(offered, found, shown)
    if accept is not None:
        what = f"{_counted(added, 'price')} of {_counted(len(accepted), 'model')}"
        typer.echo(f"{what} appended; calls already made keep theirs.")


def _words(offered: PriceList, found: Sequence[Change], shown: Sequence[Change]) -> None:
    changed = sum(bool(one.old) for one in shown)
    typer.echo(f"{offered.title}: {_counted(changed, 'change')}, {len(shown) - changed:,} new.")
    wary = sum(one.suspicious for one in shown)
    if wary:
        note(f"{_counted(wary, 'model')} marked ! or disputed: --accept all leaves them out; accept them by name.")
    if len(found) > len(shown):
        rest = _counted(len(found) - len(shown), "model")
        note(f"{rest} more are not priced here and not in use; --new shows them.")
    for why, entries in sorted(offered.left_out.items()):
        note(f"{_counted(entries, 'entry', 'entries')} left out: {why}.")


def _table(shown: Sequence[Change]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("", "model", "calls", "old", "new", "from", "look at"):
        table.add_column(heading, no_wrap=heading not in ("look at", "calls"))
    for change in shown:
        for first, cells in enumerate(_lines(change)):
            mark = "!" if change.suspicious and not first else ""
            table.add_row(mark, "" if first else change.name, *cells)
    Console(width=None if sys.stdout.isatty() else 240).print(table)
    note("US dollars per million tokens: input / output / read from a cache / written to one.")


def _lines(change: Change) -> Iterator[tuple[str, str, str, str, str]]:
    from router_core.prices import FIRST_KNOWN, shown_calls
    from router_core.prices.refresh import ended

    remarks = [*change.marks]
    remarks += [f"{other.title} says {_usd(other.rows[0])}" for other in change.disagreeing]
    remarks += [f"the {row.layer} price {_usd(row)} stands above" for row in change.above]
    old = {_calls(row): row for row in change.old}
    for row in change.new:
        before = old.get(_calls(row))
        start = "always" if row.effective_from == FIRST_KNOWN else row.effective_from.isoformat()
        yield shown_calls(row), "–" if before is None else _usd(before), _usd(row), start, "; ".join(remarks)
        remarks = []
    for row in ended(change.old, change.new):
        yield shown_calls(row), _usd(row), "ends", "", ""


def _calls(row: Price) -> tuple[Any, ...]:
    return row.processing, row.min_input_tokens, row.minute_from, row.minute_to


def _usd(row: Price) -> str:
    usd = (row.input_usd_per_mtok, row.output_usd_per_mtok, row.cache_read_usd_per_mtok, row.cache_write_usd_per_mtok)
    return " / ".join(number(rate) or "–" for rate in usd)


def _report(
    offered: PriceList, found: Sequence[Change], shown: Sequence[Change], accepted: Sequence[Change], added: int
) -> dict[str, Any]:
    names = {change.name for change in accepted}
    return {
        "source": offered.title,
        "left_out": dict(offered.left_out),
        "not_shown": len(found) - len(shown),
        "added": added,
        "changes": [
            {
                "provider": change.provider_name,
                "model": change.model,
                "used": change.used,
                "suspicious": change.suspicious,
                "marks": list(change.marks),
                "old": [plain(row) for row in change.old],
                "new": [plain(row) for row in change.new],
                "disagreeing": [
                    {"source": other.title, "prices": [plain(row) for row in other.rows]}
                    for other in change.disagreeing
                ],
                "above": [plain(row) for row in change.above],
                "accepted": change.name in names,
            }
            for change in shown
        ],
    }


def _counted(number: int, what: str, many: str = "") -> str:
    return f"{number:,} {what if number == 1 else many or what + 's'}"
