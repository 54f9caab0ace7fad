"""Metered against billed, by provider, model and day: where they differ, by how much, and the likeliest reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from router_core.errors import InputError
from router_core.exchange.currencies import Rate
from router_core.exchange.invoice import Billed, Invoice, read_invoice
from router_core.exchange.source import Source
from router_core.ledger.days import day_number
from router_core.ledger.price_rows import read_prices
from router_core.ledger.priced import providers_of, spend_by_price
from router_core.ledger.queries import spend
from router_core.ledger.store import Ledger
from router_core.prices import ANY_PROVIDER, resolve_name

TOLERANCE = 0.01
"""Differences up to this share of what was billed count as agreement."""

_Key = tuple[str, str, date]
_MANY_TOKENS = 0.005


@dataclass(frozen=True, slots=True)
class Line:
    """One provider, model and UTC day. Money in nano-dollars; ``difference_nusd`` is billed less metered.

    ``metered_nusd`` is what the ledger's calls cost at list, ``unpriced_calls`` those that have no price and so no
    part in it. Tokens are None where the invoice counts none.
    """

    provider_name: str
    model: str
    day: date
    metered_nusd: int
    billed_nusd: int
    difference_nusd: int
    metered_tokens: int
    billed_tokens: int | None
    unpriced_calls: int
    agrees: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """All lines of an invoice's days and providers, and their sums, which hold nothing of ``rejected`` lines."""

    title: str
    since: date
    until: date
    lines: tuple[Line, ...]
    metered_nusd: int
    billed_nusd: int
    rejected: int
    notes: tuple[str, ...]

    @property
    def difference_nusd(self) -> int:
        """Billed less metered."""
        return self.billed_nusd - self.metered_nusd

    def plain(self) -> dict[str, Any]:
        """Return the reconciliation as JSON has it."""
        plain = asdict(self)
        plain["difference_nusd"] = self.difference_nusd
        plain["since"], plain["until"] = self.since.isoformat(), self.until.isoformat()
        plain["lines"] = [{**line, "day": line["day"].isoformat()} for line in plain["lines"]]
        plain["notes"] = list(self.notes)
        return plain


def reconcile_file(
    ledger: Ledger, path: str | Path, *, tolerance: float = TOLERANCE, rates: Iterable[Rate] = ()
) -> Reconciliation:
    """Set a file's invoice against the ledger; raises ``InputError`` where it is not an invoice."""
    try:
        with open(path, "rb") as stream:
            invoice = read_invoice(Source(stream, str(path), rates))
    except OSError as error:
        raise InputError(f"the invoice cannot be read: {error.strerror}", source=str(path)) from None
    return reconcile(ledger, invoice, tolerance=tolerance)


def reconcile(ledger: Ledger, invoice: Invoice, *, tolerance: float = TOLERANCE) -> Reconciliation:
    """Set an invoice against what the ledger metered for its providers on its days; cells must be up to date."""
    since, until = min(line.day for line in invoice.lines), max(line.day for line in invoice.lines)
    billed = _billed(invoice.lines)
    owners = {provider for provider, _, _ in billed}
    metered = {key: sums for key, sums in _metered(ledger, since, until).items() if key[0] in owners}
    lines = tuple(
        _line(key, billed.get(key, _Billed()), metered.get(key, _Metered()), tolerance)
        for key in sorted({*billed, *metered})
    )
    return Reconciliation(
        title=invoice.title,
        since=since,
        until=until,
        lines=lines,
        metered_nusd=sum(line.metered_nusd for line in lines),
        billed_nusd=sum(line.billed_nusd for line in lines),
        rejected=len(invoice.rejected),
        notes=(*invoice.notes, *_notes(ledger, lines)),
    )


@dataclass(slots=True)
class _Billed:
    nusd: int = 0
    tokens: int | None = None
    there: bool = False


@dataclass(slots=True)
class _Metered:
    nusd: int = 0
    tokens: int = 0
    unpriced: int = 0
    there: bool = False


def _billed(lines: Iterable[Billed]) -> dict[_Key, _Billed]:
    found: defaultdict[_Key, _Billed] = defaultdict(_Billed)
    for line in lines:
        sums = found[(*_known_as(line.provider_name, line.model), line.day)]
        sums.there = True
        sums.nusd += line.billed_nusd
        if line.tokens is not None:
            sums.tokens = (sums.tokens or 0) + line.tokens
    return dict(found)


def _metered(ledger: Ledger, since: date, until: date) -> dict[_Key, _Metered]:
    """Return what the ledger metered by UTC day; its own days may begin at other hours, so neighbours are read too."""
    first, last = since - timedelta(days=1), until + timedelta(days=1)
    prices = {price.id: price for price in read_prices(ledger)}
    parts = spend_by_price(ledger, first, last)
    unnamed = {part.model for part in parts if part.model and _owner(prices.get(part.price_id)) == ""}
    providers = providers_of(ledger, sorted(unnamed))
    found: defaultdict[_Key, _Metered] = defaultdict(_Metered)
    shares = _utc_shares(ledger, first, last)
    for part in parts:
        if not part.model:
            continue
        owner = _owner(prices.get(part.price_id)) or providers.get(part.model, "")
        provider, model = _known_as(owner, part.model)
        unpriced = part.metered_attempts if not part.price_id else 0
        days = shares.get((part.day, part.model), {part.day: 1.0})
        left = (part.list_cost_nusd, part.input_tokens + part.output_tokens, unpriced)
        for position, (day, share) in enumerate(days.items()):
            last_one = position == len(days) - 1
            mine = left if last_one else tuple(round(figure * share) for figure in left)
            left = tuple(whole - part_of for whole, part_of in zip(left, mine, strict=True))  # type: ignore[assignment]
            if since <= day <= until:
                sums = found[provider, model, day]
                sums.there = True
                sums.nusd += mine[0]
                sums.tokens += mine[1]
                sums.unpriced += mine[2]
    return dict(found)


def _utc_shares(ledger: Ledger, since: date, until: date) -> dict[tuple[date, str], dict[date, float]]:
    """Return how a day's spend on a model falls on UTC days, hour by hour; empty where days are UTC days anyway."""
    if ledger.zone.key in ("UTC", "Etc/UTC"):
        return {}
    weights: defaultdict[tuple[date, str], defaultdict[date, int]] = defaultdict(lambda: defaultdict(int))
    for line in spend(ledger, ("day", "hour", "model"), since, until):
        day, hour, model = line.keys
        assert isinstance(day, date)
        at_ms = ledger.days.start_ms(day_number(day)) + int(str(hour)) * 3_600_000
        weights[day, str(model)][datetime.fromtimestamp(at_ms / 1000, UTC).date()] += (
            line.list_cost_nusd or line.attempts
        )
    return {
        key: {day: weight / max(sum(parts.values()), 1) for day, weight in parts.items()}
        for key, parts in weights.items()
    }


def _owner(price: Any) -> str:
    return "" if price is None or price.provider_name == ANY_PROVIDER else str(price.provider_name)


def _known_as(provider: str, model: str) -> tuple[str, str]:
    """Return the catalogue's names, so that a dated model and its alias meet."""
    found = resolve_name(provider, model) if model else None
    return (provider, model.lower()) if found is None else (found.provider_name, found.model)


def _line(key: _Key, billed: _Billed, metered: _Metered, tolerance: float) -> Line:
    difference = billed.nusd - metered.nusd
    agrees = abs(difference) <= tolerance * abs(billed.nusd)
    return Line(
        *key,
        metered_nusd=metered.nusd,
        billed_nusd=billed.nusd,
        difference_nusd=difference,
        metered_tokens=metered.tokens,
        billed_tokens=billed.tokens,
        unpriced_calls=metered.unpriced,
        agrees=agrees,
        reason="" if agrees else _reason(key[1], billed, metered),
    )


def _reason(model: str, billed: _Billed, metered: _Metered) -> str:
    if not metered.there:
        if not model:
            return "billed for something other than a model's tokens, such as storage or searches"
        return "none of these calls came through here; another key or program made them"
    if not billed.there:
        return "not on the invoice: not billed yet, billed by somebody else, or free"
    if metered.unpriced:
        return f"{metered.unpriced:,} calls have no price here; 'tierwise prices set' adds one"
    if billed.tokens is not None and metered.tokens:
        apart = billed.tokens / metered.tokens - 1
        if apart > _MANY_TOKENS:
            more = f"{apart:.1%} more" if apart < 1 else f"{apart + 1:,.1f} times the"
            return f"billed for {more} tokens: calls that did not come through here, or retries nobody logged"
        if apart < -_MANY_TOKENS:
            return f"billed for {-apart:.1%} fewer tokens: free or batch calls, or a day that is not complete yet"
        times = f"{billed.nusd / metered.nusd:.2f} times our price" if metered.nusd else "another price"
        return f"the same tokens at {times}: a discount, or a price that is wrong here"
    if billed.nusd > metered.nusd:
        return "calls that did not come through here, or a higher price than ours"
    return "a discount, batch prices, or a day that is not complete yet"


def _notes(ledger: Ledger, lines: Iterable[Line]) -> list[str]:
    told = []
    if ledger.zone.key not in ("UTC", "Etc/UTC"):
        told.append(f"Invoices count UTC days, this ledger those of {ledger.zone.key}; spend was moved by the hour.")
    shifted = [
        (before, after)
        for before, after in zip(sorted(lines, key=_by_model), sorted(lines, key=_by_model)[1:], strict=False)
        if (before.provider_name, before.model) == (after.provider_name, after.model)
        and after.day - before.day == timedelta(days=1)
        and not before.agrees
        and not after.agrees
        and abs(before.difference_nusd + after.difference_nusd) < 0.1 * abs(before.difference_nusd)
    ]
    if shifted:
        told.append(
            f"On {len(shifted)} pairs of days one has what the other lacks, as where days begin at different hours."
        )
    return told


def _by_model(line: Line) -> tuple[str, str, date]:
    return line.provider_name, line.model, line.day
