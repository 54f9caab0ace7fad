"""The `tierwise suggest` verb: the cheapest boundaries that are known to be safe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from router_core.cli import DEFAULT_DB, DbOption, JsonOption, app, note, print_json
from router_core.cli.project import DaysOption, prepared, print_projection
from router_core.errors import InputError

if TYPE_CHECKING:
    from router_core.config import RoutingConfig
    from router_core.projection import Preview
    from router_core.projection.optimize import FeatureSuggestion

_WHOSE = {"feature": "its own", "configuration": "the configuration's", "today": "a point below today's"}


@app.command()
def suggest(
    quality_floor: Annotated[
        list[str],
        typer.Option(
            "--quality-floor",
            metavar="[FEATURE=]QUALITY",
            help="Least quality, 0..1, of one feature or of all that have no floor of their own, in place of the "
            "configuration's; repeatable.",
        ),
    ] = [],  # noqa: B006 - typer wants a list, and nobody changes it
    days: DaysOption = None,
    db: DbOption = DEFAULT_DB,
    as_json: JsonOption = False,
) -> None:
    """Find the cheapest boundaries, feature by feature, whose quality is known to clear that feature's floor."""
    from router_core.ledger.store import open_ledger
    from router_core.projection.optimize import frontier, suggest

    asked = [_floor(text) for text in quality_floor]
    with open_ledger(db, create=False) as ledger:
        preview = prepared(ledger, days)
    found = suggest(preview, _keeping(preview, asked))
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
        typer.echo(
            f"{one.feature}: {shown}; quality {one.quality:.3f}, at least {one.quality_low:.3f} "
            f"(floor {one.floor:.3f}, {_WHOSE[one.floor_of]}); {one.why}"
        )
    print_projection(found.projection)
    if settings:
        note("To try it: tierwise project " + " ".join(f"--set {setting}" for setting in settings))


def _floor(text: str) -> tuple[str, float]:
    """Read ``FEATURE=QUALITY`` or ``QUALITY``; the name is empty where none is given."""
    feature, _, number = text.rpartition("=")
    try:
        quality = float(number)
    except ValueError:
        quality = -1.0
    if not 0 <= quality <= 1:
        raise InputError(f"--quality-floor is a quality between 0 and 1, not {number}; write 0.9 or support_chat=0.9")
    return feature, quality


def _keeping(preview: Preview, floors: list[tuple[str, float]]) -> RoutingConfig:
    """Return the live configuration with other floors; raises ``InputError`` where a feature has no traffic."""
    from router_core.config import Feature
    from router_core.config import suggest as closest

    config, names = preview.config, preview.cube.features
    for feature, quality in floors:
        if not feature:
            config = config.model_copy(update={"quality_floor": quality})
            continue
        if feature not in names:
            raise InputError(f"--quality-floor: no traffic of a feature {feature!r}; {closest(feature, names)}")
        entry = config.features.get(feature, Feature()).model_copy(update={"quality_floor": quality})
        config = config.model_copy(update={"features": {**config.features, feature: entry}})
    return config


def _plain(one: FeatureSuggestion) -> dict[str, Any]:
    return {**{name: getattr(one, name) for name in one.__dataclass_fields__}, "changed": one.changed}
