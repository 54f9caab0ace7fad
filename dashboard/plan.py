"""A routing plan without a log: what is known of the traffic, who serves how much of it, and what that costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

import pandas as pd

from router_core.config import RoutingConfig
from router_core.errors import InputError
from router_core.prices import FIRST_KNOWN, Price, PriceBook
from router_core.projection.calculator import Bill, Extra, Traffic, bill, split

MONTH_DAYS: Final = 30
CLASSIFIER: Final = "classifier"
DRAFTS: Final = "drafts turned down"
_LEAST: Final = 0.01
_ANSWERS: Final = ("answer", "escalation", "failover")


@dataclass(frozen=True)
class Start:
    """Where the calculator starts: requests a month, tokens of one, and the share of each model, whole per cents."""

    requests: int
    input_tokens: int
    output_tokens: int
    cached: int
    shares: Mapping[str, int]


def from_config(config: RoutingConfig) -> Start:
    """Return a start that knows no traffic: a million plain requests, mostly for the cheaper tiers."""
    first = list(dict.fromkeys(seller(config, tier.models[0]) for tier in config.tiers))
    weights = [2 ** (len(first) - place) for place in range(len(first))]
    return Start(1_000_000, 500, 200, 0, _per_cent(dict(zip(first, weights, strict=True))))


def from_log(lines: pd.DataFrame, days: int, config: RoutingConfig) -> Start | None:
    """Return a start like the log's traffic, from spend lines by ``model`` and ``kind``; None where nothing answered.

    Tokens are means of the calls that answered, shares those of the requests each model answered.
    """
    rows = lines[lines["kind"].isin(_ANSWERS)]
    metered = int((rows["priced_attempts"] + rows["unpriced_attempts"]).sum())
    answered = rows[(rows["model"] != "") & (rows["decisions"] > 0)]
    if not metered or answered.empty:
        return None
    sent = int(rows["input_tokens"].sum())
    by_model = answered.groupby("model")["decisions"].sum().nlargest(6)
    by_model = by_model[by_model >= _LEAST * by_model.sum()]  # fail-overs are for the bill's small print
    sellers = {entry.name or name: seller(config, name) for name, entry in config.models.items()}
    known = {sellers[str(name)]: int(count) for name, count in by_model.items() if str(name) in sellers}
    if not known:
        return None
    return Start(
        requests=round(int(lines["decisions"].sum()) / days * MONTH_DAYS),
        input_tokens=round(sent / metered),
        output_tokens=round(int(rows["output_tokens"].sum()) / metered),
        cached=round(100 * int(rows["cache_read_input_tokens"].sum()) / sent) if sent else 0,
        shares=_per_cent(known),
    )


def seller(config: RoutingConfig, model: str) -> str:
    """Return how a configured model is named in a plan: ``provider/model``, as it is priced."""
    return "/".join(config.price_names(model))


def sold(book: PriceBook, config: RoutingConfig) -> list[str]:
    """Return every model that the configured providers sell, as ``provider/model``, configured ones first."""
    configured = [seller(config, name) for name in config.models]
    providers = {name.partition("/")[0] for name in configured}
    others = sorted(f"{provider}/{model}" for provider, model in book.models() if provider in providers)
    return list(dict.fromkeys([*configured, *others]))


def price(book: PriceBook, name: str, at_ms: int, input_tokens: int) -> Price | None:
    """Return the price of a ``provider/model`` at a time, None where none is known."""
    provider, _, model = name.partition("/")
    return book.find(provider, model, at_ms, input_tokens)


def unknown(name: str) -> Price:
    """Return a price of which no rate is known."""
    provider, _, model = name.partition("/")
    return Price(None, provider, model, "manual", FIRST_KNOWN)


def with_rates(known: Price, sent: float | None, received: float | None) -> Price:
    """Return a price at other rates, US dollars per million tokens; cached input follows where it had a rate."""
    plain = replace(
        known,
        input_usd_per_mtok=None if sent is None else Decimal(str(sent)),
        output_usd_per_mtok=None if received is None else Decimal(str(received)),
    )
    before = known.input_usd_per_mtok
    if plain.input_usd_per_mtok == before or not before or known.cache_read_usd_per_mtok is None:
        return plain
    ratio = known.cache_read_usd_per_mtok / before
    read = None if plain.input_usd_per_mtok is None else plain.input_usd_per_mtok * ratio
    return replace(plain, cache_read_usd_per_mtok=read)


def cost(
    traffic: Traffic,
    weights: Mapping[str, float],
    prices: Mapping[str, Price],
    *,
    classifier: str = "",
    drafts: tuple[str, float] | None = None,
) -> Bill:
    """Price a plan; weights need not sum to anything. ``drafts`` are a model and the share of requests it fails.

    Raises ``InputError`` where no model has any weight, and ``UnpricedModelError`` where a price is missing.
    """
    extras = []
    if classifier:
        extras.append(Extra(CLASSIFIER, classifier, output_tokens=Decimal(1)))
    if drafts is not None and drafts[1] > 0:
        extras.append(Extra(DRAFTS, drafts[0], calls=Decimal(str(drafts[1]))))
    return bill(traffic, split(traffic, shares(weights)), prices, extras)


def shares(weights: Mapping[str, float]) -> dict[str, Decimal]:
    """Return weights as shares that sum to exactly one; raises ``InputError`` where they are all zero."""
    given = {name: Decimal(str(weight)) for name, weight in weights.items() if weight > 0}
    total = sum(given.values(), Decimal(0))
    if not total:
        raise InputError("give at least one model a share of the requests")
    rounded = {name: (weight / total).quantize(Decimal("0.000001")) for name, weight in given.items()}
    largest = max(rounded, key=lambda name: rounded[name])
    rounded[largest] += 1 - sum(rounded.values(), Decimal(0))
    return rounded


def lines(found: Bill, against: Bill, names: Sequence[str]) -> pd.DataFrame:
    """Return the parts of both bills: ``plan``, ``part`` and ``usd``, models in the order of ``names``, extras last."""
    rows = []
    for title, one in (("this plan", found), ("all on one", against)):
        for name in [*names, *(model for model in one.by_model if model not in names)]:
            if name in one.by_model:
                rows.append({"plan": title, "part": short(name), "usd": float(one.by_model[name])})
        rows += [{"plan": title, "part": name, "usd": float(amount)} for name, amount in one.extras.items()]
    return pd.DataFrame(rows, columns=["plan", "part", "usd"])


def short(name: str) -> str:
    """Return a model's name without who sells it."""
    return name.partition("/")[2] or name


def _per_cent(counts: Mapping[str, int]) -> dict[str, int]:
    total = sum(counts.values())
    return {name: max(1, round(100 * count / total)) for name, count in counts.items()}
