"""What a newer list of prices would change: old beside new, what looks wrong, and who says otherwise."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from router_core.errors import InputError
from router_core.prices.book import PriceBook
from router_core.prices.lists import PriceList
from router_core.prices.price import ANY_PROVIDER, FIRST_KNOWN, Price, shown_calls
from router_core.prices.quotes import Name

RATES = ("input", "output", "cache_read", "cache_write")
"""The rates of a price, by the names people read."""

_DOUBLE = 2
_HIGHEST, _LOWEST = Decimal(1000), Decimal("0.0005")  # US dollars per million tokens that any model was ever sold for
_UNITS = {Decimal(1000): "a thousand", Decimal(1_000_000): "a million"}

When = tuple[str, int, int | None, int | None]
"""Which calls a row is for: processing, min_input_tokens, minute_from, minute_to."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Another list that prices a model differently than the one asked; ours are from it unless ``independent``."""

    title: str
    rows: tuple[Price, ...]
    independent: bool


@dataclass(frozen=True, slots=True)
class Change:
    """What a list would change for one model.

    ``old`` are the catalogue's rows that hold on the day, at every size, hour and processing; ``new`` are the rows to
    append. ``marks`` say what looks wrong, each a few words. ``above`` are contract and manual rows, which win whatever
    the catalogue says. ``used`` models are configured or stand in the log.
    """

    provider_name: str
    model: str
    old: tuple[Price, ...]
    new: tuple[Price, ...]
    marks: tuple[str, ...]
    disagreeing: tuple[Disagreement, ...]
    above: tuple[Price, ...]
    used: bool

    @property
    def name(self) -> str:
        """The model with its provider, as a person may type it."""
        return f"{self.provider_name}/{self.model}"

    @property
    def suspicious(self) -> bool:
        """Whether a person has to look before it is taken."""
        return bool(self.marks) or any(other.independent for other in self.disagreeing)


def changes(
    book: PriceBook, offered: PriceList, on: date, *, others: Sequence[PriceList] = (), used: Collection[Name] = ()
) -> list[Change]:
    """Return what a list would change, models in use first; nothing is changed by asking.

    Rows of a list that is not dated start ``on`` that UTC date, and so do those that correct what holds then. Rows of a
    dated list that are newer than ours keep their own dates; what held before is never rewritten.
    """
    resolved = (book.resolved(*one) for one in used)
    in_use = {*used, *((one.provider_name, one.model) for one in resolved if one is not None)}
    found = []
    for name, rows in offered.rows.items():
        history = book.rows(*name)
        mine = [row for row in history if row.layer == "catalogue"]
        if not mine and book.resolved(*name) not in (None, (*name, True)) and name not in in_use:
            continue  # another name of a model that is priced already
        new = _new(mine, rows, on, dated=offered.dated)
        if not new:
            continue
        before = state(mine, on)
        marks = _marks(before, new, offered.dated)
        if name in offered.twice:
            marks.append("the list itself names two prices")
        above = [row for row in (*history, *book.rows(ANY_PROVIDER, name[1])) if row.layer != "catalogue"]
        found.append(
            Change(
                *name,
                tuple(before.values()),
                tuple(new),
                tuple(dict.fromkeys(marks)),
                tuple(_disagreeing(before, new, others, on)),
                tuple(state(above, on).values()),
                name in in_use,
            )
        )
    return sorted(found, key=lambda change: (not change.used, not change.old, change.name))


def chosen(found: Sequence[Change], wanted: str, *, even_suspicious: bool = False) -> list[Change]:
    """Return the changes a person accepts: "all" that are not suspicious, or models by name, separated by commas.

    Raises ``InputError`` where a name is none of a change.
    """
    if wanted.strip() == "all":
        return [change for change in found if even_suspicious or not change.suspicious]
    picked: dict[str, Change] = {}
    for name in filter(None, (part.strip() for part in wanted.split(","))):
        named = [change for change in found if name in (change.name, change.model)]
        if not named:
            near = difflib.get_close_matches(name, {known for one in found for known in (one.name, one.model)}, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "look at the list without --accept"
            raise InputError(f"no change of {name!r} is on offer; {hint}")
        picked |= {change.name: change for change in named}
    return list(picked.values())


def state(rows: Sequence[Price], on: date) -> dict[When, Price]:
    """Return the rows of one model and layer that hold on a UTC date; a later row takes the place of what it covers."""
    held = sorted((row for row in rows if row.effective_from <= on), key=lambda row: row.effective_from)
    found: dict[When, Price] = {}
    for row in held:
        for when, older in list(found.items()):
            if when == _when(row) or (older.effective_from < row.effective_from and _covers(row, older)):
                del found[when]
        found[_when(row)] = row
    return dict(sorted(found.items(), key=lambda one: (one[0][0] != "standard", one[0][:2], one[0][2] or -1)))


def ended(old: Sequence[Price], new: Sequence[Price]) -> list[Price]:
    """Return the rows that would hold for no call any more, without another that is for the same calls."""
    told = {_when(row) for row in new}
    return [row for row in old if _when(row) not in told and any(_covers(one, row) for one in new)]


def differing(old: Price, new: Price) -> tuple[str, ...]:
    """Return the rates that both rows name and in which they differ."""
    pairs = [(rate, _rate(old, rate), _rate(new, rate)) for rate in RATES]
    return tuple(rate for rate, a, b in pairs if a is not None and b is not None and a != b)


def _new(mine: Sequence[Price], rows: Sequence[Price], on: date, *, dated: bool) -> list[Price]:
    """Return the rows that make ours say what the list says, from ``on``, and from later dates the list knows of."""
    if not mine:
        return list(rows) if dated else [replace(row, effective_from=on) for row in rows]
    if not dated:  # such lists do not say whether "above 200k" has that very size in it
        sizes = {row.min_input_tokens + off: row.min_input_tokens for row in mine for off in (-1, 1, 0)}
        rows = [replace(row, min_input_tokens=sizes.get(row.min_input_tokens, row.min_input_tokens)) for row in rows]
    new: list[Price] = []
    for processing in dict.fromkeys(row.processing for row in rows):
        ours = [row for row in mine if row.processing == processing]
        theirs = [row for row in rows if row.processing == processing]
        latest = max((row.effective_from for row in ours), default=FIRST_KNOWN)
        later = [row for row in theirs if row.effective_from > latest]
        known, told = state([*ours, *later], on), state(theirs, on)
        if not _same(known, told, whole=dated):
            later = [row for row in later if row.effective_from > on]
            later += [replace(row, effective_from=on) for row in _needed(known, told, whole=dated)]
        new += later
    return new


def _needed(known: Mapping[When, Price], told: Mapping[When, Price], *, whole: bool) -> list[Price]:
    """Return the rows that differ from ours, and those that would otherwise be covered by them."""
    if whole and known.keys() - told.keys():
        return list(told.values())
    news = [row for when, row in told.items() if not _same(known, {when: row}, whole=False)]
    return [row for row in told.values() if row in news or any(_covers(newer, row) for newer in news)]


def _same(known: Mapping[When, Price], told: Mapping[When, Price], *, whole: bool) -> bool:
    if whole:
        return {when: _usd(row) for when, row in known.items()} == {when: _usd(row) for when, row in told.items()}
    for when, row in told.items():
        old = known.get(when)
        if old is None or differing(old, row):
            return False
        if any(_rate(old, rate) is None and _rate(row, rate) for rate in RATES):
            return False
    return True


def _marks(before: Mapping[When, Price], new: Sequence[Price], whole: bool) -> list[str]:
    marks: list[str] = []
    for row in new:
        old = before.get(_when(row))
        for rate in RATES:
            marks += _look_at(rate, old, _rate(row, rate))
        for rate in ("cache_read", "cache_write"):
            if old is not None and _rate(old, rate) is not None and _rate(row, rate) is None:
                marks.append(f"names no {_words(rate)} any more, so such tokens would cost as much as other input")
        read, plain = row.cache_read_usd_per_mtok, row.input_usd_per_mtok
        if read is not None and plain is not None and read > plain:
            marks.append("tokens read from a cache would cost more than others")
        write = row.cache_write_usd_per_mtok
        if write and plain is not None and write < plain and (old is None or old.cache_write_usd_per_mtok != write):
            marks.append("tokens written to a cache would cost less than others")
    if not whole:
        ends = ended(tuple(before.values()), new)
        marks += [
            f"would end the price for {shown_calls(row) or 'all other calls'}, of which the list says nothing"
            for row in ends
        ]
    return marks


def _look_at(rate: str, row: Price | None, new: Decimal | None) -> list[str]:
    words = _words(rate)
    old = None if row is None else _rate(row, rate)
    if new is None:
        return []
    if not new:
        # Embeddings have no output, and a provider new to us may write to its cache for nothing.
        was = _rate(row, "input") if row is not None and old is None and rate.startswith("cache") else old
        return [f"{words} would be free"] if was or (row is None and rate == "input") else []
    if old:
        times = max(new / old, old / new)
        for unit, name in _UNITS.items():
            if abs(times / unit - 1) < Decimal("0.05"):
                return [f"{words} is off by {name}, which looks like another unit"]
        if times > _DOUBLE:
            shown = format(times.quantize(Decimal("0.1")), "f")
            return [f"{words} would be {shown} times {'higher' if new > old else 'lower'}"]
    elif not _LOWEST <= new <= _HIGHEST:
        return [f"{words} of {format(new, 'f')} US dollars per million tokens looks like another unit"]
    return []


def _disagreeing(
    before: Mapping[When, Price], new: Sequence[Price], others: Sequence[PriceList], on: date
) -> list[Disagreement]:
    told = state(new, max(on, *(row.effective_from for row in new)))
    found = []
    for other in others:
        theirs = state(other.rows.get((new[0].provider_name, new[0].model), ()), on)
        rows = [row for when, row in theirs.items() if when in told and differing(row, told[when])]
        if rows:
            ours = {row.source for row in before.values()} == {row.source for row in rows}
            found.append(Disagreement(other.title, tuple(rows), independent=not ours))
    return found


def _when(row: Price) -> When:
    return row.processing, row.min_input_tokens, row.minute_from, row.minute_to


def _covers(newer: Price, older: Price) -> bool:
    """Say whether a row that starts later leaves no call to an older one."""
    hours = newer.minute_from is None or _when(newer)[2:] == _when(older)[2:]
    return newer.processing == older.processing and hours and newer.min_input_tokens <= older.min_input_tokens


def _rate(row: Price, rate: str) -> Decimal | None:
    found: Decimal | None = getattr(row, f"{rate}_usd_per_mtok")
    return found


def _usd(row: Price) -> tuple[Decimal | None, ...]:
    return tuple(_rate(row, rate) for rate in RATES)


def _words(rate: str) -> str:
    return rate.replace("_", " ")
