"""`tierwise claims`: published savings claims beside what their own inputs give."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from router_core.cli import JsonOption, app, print_json

if TYPE_CHECKING:
    from router_core.projection.claims import Claim, Figures

_PERIODS = {"cost_per_month": " a month"}


@app.command()
def claims(
    file: Annotated[
        Path | None, typer.Argument(help="Claims in YAML, in the form of data/claims.yaml; those shipped if left out.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Recompute published savings claims from the inputs they state."""
    from router_core.projection.claims import read_claims, shipped_claims

    found = read_claims(file or shipped_claims())
    if as_json:
        print_json([claim.as_json() for claim in found])
    else:
        _print(found)


def _print(found: list[Claim]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("claim", "source", "stated", "recomputed", "verdict", box=None, pad_edge=False)
    for claim in found:
        verdict = "follows" if claim.follows else "does not follow"
        table.add_row(claim.id, claim.source, _shown(claim.stated), _shown(claim.recomputed), verdict)
    Console(width=150).print(table)
    wrong = sum(not claim.follows for claim in found)
    typer.echo(f"{len(found) - wrong} of {len(found)} claims follow from their own inputs; {wrong} do not.")


def _shown(figures: Figures) -> str:
    parts = []
    for name, value in figures.items():
        if isinstance(value, Decimal):
            parts.append(f"saving {_percent(value)}" if name == "saving" else _dollars(value) + _PERIODS.get(name, ""))
        else:
            parts += [f"{model} {_dollars(cost)}" for model, cost in value.items()]
    return ", ".join(parts)


def _percent(share: Decimal) -> str:
    return f"{share * 100:.1f} %".replace(".0 %", " %")


def _dollars(cost: Decimal) -> str:
    """Show cents, and tenths of a cent where there are some."""
    tenths = round(abs(cost), 3)
    text = f"{tenths:,.2f}" if tenths == round(tenths, 2) else f"{tenths:,.3f}"
    return f"-${text}" if cost < 0 else f"${text}"
