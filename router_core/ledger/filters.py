"""Dimensions of cells as people name them: their columns, the conditions they make, and the keys they print."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from datetime import date
from enum import IntEnum

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from router_core.decision import Kind, QualitySource, Reason, Status, Strategy
from router_core.errors import InputError
from router_core.ledger.days import date_of, day_number

Key = str | date | int

_NAMED = ("team", "feature", "tier", "model", "scorer", "needed_tier", "why", "stage")
_CODED: dict[str, type[IntEnum]] = {
    "status": Status,
    "kind": Kind,
    "reason": Reason,
    "strategy": Strategy,
    "source": QualitySource,
}
_KINDS = {"needed_tier": "tier"}  # dimensions whose names are those of another one


def column(dimension: str) -> str:
    """Return the column a dimension stands in."""
    return f"{dimension}_id" if dimension in _NAMED else dimension


def check(by: Sequence[str], allowed: Sequence[str]) -> None:
    """Raise ``InputError`` where a dimension is unknown here or named twice."""
    for place, name in enumerate(by):
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(allowed)}"
            raise InputError(f"{name!r} is not something these figures are kept by; {hint}")
        if name in by[:place]:
            raise InputError(f"{name!r} is asked for twice")


def condition(
    connection: Connection, since: date | None, until: date | None, where: Mapping[str, Collection[str]]
) -> str:
    """Return the WHERE clause for days from ``since`` to ``until``, both included, and the names chosen by dimension.

    Nothing but integers gets into it. A name nobody ever used matches nothing; a code that does not exist raises
    ``InputError``.
    """
    parts = []
    if since is not None:
        parts.append(f"day >= {day_number(since)}")
    if until is not None:
        parts.append(f"day <= {day_number(until)}")
    for dimension, chosen in where.items():
        if dimension in _CODED:
            numbers = [_code(dimension, name) for name in chosen]
        elif dimension == "hour":
            numbers = [int(hour) for hour in chosen]
        else:
            look = sa.text("SELECT id FROM dimension WHERE kind = :kind AND name IN :names")
            found = connection.execute(
                look.bindparams(sa.bindparam("names", expanding=True)),
                {"kind": _KINDS.get(dimension, dimension), "names": list(chosen)},
            )
            numbers = [*found.scalars(), *([0] if dimension == "model" and "" in chosen else [])]
        parts.append(f"{column(dimension)} IN ({', '.join(map(str, numbers)) or 'NULL'})")
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def labels(connection: Connection, dimension: str) -> Mapping[int, Key]:
    """Return what the numbers of a dimension are printed as; model 0 is the absence of any call."""
    if dimension in _CODED:
        return {code.value: code.name.lower() for code in _CODED[dimension]}
    if dimension == "day":
        return _Dates()
    if dimension == "hour":
        return {hour: hour for hour in range(24)}
    kind = _KINDS.get(dimension, dimension)
    rows = connection.execute(sa.text("SELECT id, name FROM dimension WHERE kind = :kind"), {"kind": kind})
    return {0: "", **{row.id: row.name for row in rows}}


class _Dates(dict[int, Key]):
    def __missing__(self, day: int) -> Key:
        found = self[day] = date_of(day)
        return found


def _code(dimension: str, name: str) -> int:
    codes = {code.name.lower(): code.value for code in _CODED[dimension]}
    if name not in codes:
        raise InputError(f"there is no {dimension} {name!r}; choose from {', '.join(codes)}")
    return codes[name]
