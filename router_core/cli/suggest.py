"""The `tierwise suggest` verb: the cheapest boundaries that are known to be safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.cli.project import DaysOption, prepared, print_projection
from router_core.errors import InputError

if TYPE_CHECKING:
    from router_core.projection.optimize import FeatureSuggestion


@app.command()
def suggest(
    quality_floor: Annotated[
        float | None,
        typer.Option("--quality-floor", help="Least quality, 0..1; that of the configuration if left out."),
    ] = None,
    days: DaysOption = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Find the cheapest boundaries, feature by feature, whose quality is known to clear the floor."""
    from router_core.ledger.store import open_ledger
    from router_core.projection.optimize import frontier, suggest

    if quality_floor is not None and not 0 <= quality_floor <= 1:
        raise InputError(f"--quality-floor is a quality between 0 and 1, not {quality_floor:g}")
    with open_ledger(db, create=False) as ledger:
        preview = prepared(ledger, days)
    found = suggest(preview, quality_floor)
    settings = [
        f"features.{one.feature}.boundaries.{tier}={start}"
        for one in found.features
        for tier, start in one.suggested.items()
        if start != one.live[tier]
    ]
    if as_json:
        print_json(
            {
                "features": [_plain(one) for one in found.features],
                "settings": settings,
                "projection": found.projection.as_json(),
                "frontier": [
                    {
                        "cost_change_nusd": round(point.cost_change),
                        "quality_change": point.quality_change,
                        "boundaries": point.boundaries,
                    }
                    for point in frontier(preview)
                ],
            }
        )
        return
    for one in found.features:
        shown = ", ".join(
            f"{tier} {one.live[tier]} -> {start}" if start != one.live[tier] else f"{tier} {start}"
            for tier, start in list(one.suggested.items())[1:]
        )
        typer.echo(f"{one.feature}: {shown}; quality {one.quality:.3f}, at least {one.quality_low:.3f}; {one.why}")
    print_projection(found.projection)
    if settings:
        note("To try it: tierwise project " + " ".join(f"--set {setting}" for setting in settings))


def _plain(one: FeatureSuggestion) -> dict[str, Any]:
    return {**{name: getattr(one, name) for name in one.__dataclass_fields__}, "changed": one.changed}
