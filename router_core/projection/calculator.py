"""What a routing plan costs from traffic, tokens, mix and prices alone, in exact decimal arithmetic, without a log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, localcontext

from router_core.errors import InputError, UnpricedModelError
from router_core.prices import Price, PriceBook

_DIGITS = 60  # more than any product of requests, tokens and prices has, so that nothing is ever rounded
_MILLION = Decimal(1_000_000)
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}


@dataclass(frozen=True, slots=True)
class Traffic:
    """``requests`` in each period ``per`` (day, week, month, year, or any other word), and tokens of one request.

    ``cached_share`` of the input tokens, 0..1, is read from the provider's cache. Raises ``InputError`` where a count
    is negative.
    """

    requests: Decimal
    input_tokens: Decimal
    output_tokens: Decimal
    cached_share: Decimal = Decimal(0)
    per: str = "month"

    def __post_init__(self) -> None:
        for name in ("requests", "input_tokens", "output_tokens"):
            value = getattr(self, name)
            if not value.is_finite() or value < 0:
                raise InputError(f"{name} is {value}; give a number that is not negative")
        _check_share("cached_share", self.cached_share)


@dataclass(frozen=True, slots=True)
class Extra:
    """Calls made beside the answers: a classifier, or drafts that a cascade's check turns down.

    ``calls`` of ``model`` are made for each request on average; tokens that are left out are the request's own.
    """

    name: str
    model: str
    calls: Decimal = Decimal(1)
    input_tokens: Decimal | None = None
    output_tokens: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Bill:
    """What a plan costs in US dollars each period, exactly: its answers by model, and its extras by name."""

    per: str
    by_model: Mapping[str, Decimal]
    extras: Mapping[str, Decimal]

    @property
    def cost(self) -> Decimal:
        """All of it."""
        with localcontext(prec=_DIGITS):
            return sum([*self.by_model.values(), *self.extras.values()], Decimal(0))

    @property
    def cost_per_month(self) -> Decimal:
        """All of it in 30 days; raises ``InputError`` where the period has no length."""
        days = _DAYS.get(self.per)
        if days is None:
            raise InputError(f"a {self.per} has no fixed length; the periods that do are {', '.join(_DAYS)}")
        with localcontext(prec=_DIGITS):
            return self.cost * _DAYS["month"] / days

    def saving(self, baseline: Bill) -> Decimal | None:
        """Return the share of the baseline's cost that is saved, negative where this costs more.

        None where the baseline costs nothing. Raises ``InputError`` where the two are of different periods.
        """
        if self.per != baseline.per:
            raise InputError(f"costs each {self.per} cannot be compared with costs each {baseline.per}")
        if not baseline.cost:
            return None
        with localcontext(prec=_DIGITS):
            return (baseline.cost - self.cost) / baseline.cost


def bill(
    traffic: Traffic, requests: Mapping[str, Decimal], prices: Mapping[str, Price], extras: Sequence[Extra] = ()
) -> Bill:
    """Price a plan that gives each model so many of the traffic's ``requests``.

    Raises ``InputError`` where these are not all of them, and ``UnpricedModelError`` where a price is missing.
    """
    with localcontext(prec=_DIGITS):
        for model, count in requests.items():
            if not count.is_finite() or count < 0:
                raise InputError(f"{model!r} is given {count} requests; give a number that is not negative")
        given = sum(requests.values(), Decimal(0))
        if given != traffic.requests:
            raise InputError(f"the models are given {given:f} requests, but there are {traffic.requests:f}")
        by_model = {
            model: count * _call(traffic, prices, model, traffic.input_tokens, traffic.output_tokens)
            for model, count in requests.items()
        }
        added: dict[str, Decimal] = {}
        for extra in extras:
            if not extra.calls.is_finite() or extra.calls < 0:
                raise InputError(f"{extra.name!r} makes {extra.calls} calls a request, which cannot be negative")
            sent = traffic.input_tokens if extra.input_tokens is None else extra.input_tokens
            received = traffic.output_tokens if extra.output_tokens is None else extra.output_tokens
            each = _call(traffic, prices, extra.model, sent, received)
            added[extra.name] = added.get(extra.name, Decimal(0)) + traffic.requests * extra.calls * each
    return Bill(traffic.per, by_model, added)


def split(traffic: Traffic, mix: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Return the requests of each model under a mix of shares; raises ``InputError`` where they do not sum to 1."""
    for model, share in mix.items():
        _check_share(f"the share of {model!r}", share)
    with localcontext(prec=_DIGITS):
        total = sum(mix.values(), Decimal(0))
        if total != 1:
            raise InputError(f"the shares of the models sum to {total:f}, not to 1")
        return {model: traffic.requests * share for model, share in mix.items()}


def prices_at(
    book: PriceBook, models: Mapping[str, tuple[str, str]], at_ms: int, input_tokens: int = 0
) -> dict[str, Price]:
    """Look prices up in a book: ``models`` gives (provider, its name there) by the name the plan uses.

    Raises ``UnpricedModelError`` where none is known at ``at_ms`` (UTC epoch milliseconds).
    """
    found = {}
    for name, (provider, model) in models.items():
        price = book.find(provider, model, at_ms, input_tokens)
        if price is None:
            raise UnpricedModelError(provider, model)
        found[name] = price
    return found


def _call(traffic: Traffic, prices: Mapping[str, Price], model: str, sent: Decimal, received: Decimal) -> Decimal:
    """Return the cost of one call in US dollars."""
    if model not in prices:
        raise InputError(f"no price is given for {model!r}")
    price = prices[model]
    cached = sent * traffic.cached_share
    read = price.input_usd_per_mtok if price.cache_read_usd_per_mtok is None else price.cache_read_usd_per_mtok
    total = Decimal(0)
    rated = ((sent - cached, price.input_usd_per_mtok), (cached, read), (received, price.output_usd_per_mtok))
    for tokens, rate in rated:
        if tokens:
            if rate is None:
                raise UnpricedModelError(price.provider_name, price.model)
            total += tokens * rate / _MILLION
    return total


def _check_share(what: str, share: Decimal) -> None:
    if not share.is_finite() or not 0 <= share <= 1:
        raise InputError(f"{what} is {share}; it must be from 0 to 1")
