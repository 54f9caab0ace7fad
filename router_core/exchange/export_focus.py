"""Spend as FOCUS cost and usage: one row a day, team, feature, tier, model and meter."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from router_core.config import RoutingConfig
from router_core.errors import InputError
from router_core.exchange.focus_columns import COLUMNS
from router_core.exchange.meters import METERS, Meter, Tokens, apportion, unit_prices
from router_core.exchange.outlet import Outlet, Statement, agree, usd
from router_core.ledger.days import day_number
from router_core.ledger.price_rows import read_prices
from router_core.ledger.priced import PricedLine, providers_of, spend_by_price
from router_core.ledger.queries import SpendLine, spend
from router_core.ledger.store import Ledger
from router_core.prices import ANY_PROVIDER, FIRST_KNOWN, Price, PriceBook

_BY = ("day", "team", "feature", "tier", "model")
_NAMES = {
    "openai": "OpenAI",
    "anthropic": "Anthropic",
    "google": "Google",
    "azure": "Microsoft",
    "aws": "Amazon Web Services",
    "deepseek": "DeepSeek",
    "mistral": "Mistral AI",
    "openrouter": "OpenRouter",
    "x-ai": "xAI",
    "groq": "Groq",
    "cohere": "Cohere",
}
_MILLION = Decimal(1_000_000)


def export_focus(
    ledger: Ledger,
    path: str | Path,
    *,
    since: date | None = None,
    until: date | None = None,
    version: str = "1.2",
    account: str = "tierwise",
    config: RoutingConfig | None = None,
) -> Statement:
    """Write spend at list price as FOCUS; ``account`` is the billing account, ``config`` tells the baseline model.

    Version 1.2 carries the columns of 1.4 beside its own. A row whose calls have no known price has no cost either.
    Raises ``InputError`` where the version is unknown or the file cannot be written, ``LedgerError`` where the total
    does not hold.
    """
    if version not in COLUMNS:
        raise InputError(f"FOCUS {version} is not written here; choose {' or '.join(COLUMNS)}")
    columns = COLUMNS[version]
    lines = spend(ledger, _BY, since, until)
    whole = spend(ledger, (), since, until)
    writer = _Rows(ledger, lines, spend_by_price(ledger, since, until), account, config)
    rows = total = 0
    with Outlet(path) as outlet:
        outlet.write(_line(columns))
        for line in lines:
            for nusd, row in writer.of(line):
                total += nusd or 0
                rows += 1
                outlet.write(_line([row.get(name, "") for name in columns]))
        agree(total, whole[0].list_cost_nusd if whole else 0)
        return outlet.statement(
            f"FOCUS {version}",
            rows=rows,
            list_cost_nusd=total,
            unpriced_calls=sum(line.unpriced_attempts for line in lines),
            since=since,
            until=until,
        )


class _Rows:
    """Makes FOCUS rows of spend lines."""

    def __init__(
        self,
        ledger: Ledger,
        lines: Sequence[SpendLine],
        priced: Sequence[PricedLine],
        account: str,
        config: RoutingConfig | None,
    ) -> None:
        self._days = ledger.days
        self._account = account
        known = read_prices(ledger)
        self._prices = {price.id: price for price in known}
        self._book = PriceBook(known)
        self._baseline = config.price_names(config.baseline_model) if config and config.baseline_model else None
        self._priced: defaultdict[tuple[Any, ...], list[PricedLine]] = defaultdict(list)
        for part in priced:
            if part.metered_attempts or part.list_cost_nusd:
                self._priced[part.day, part.feature, part.tier, part.model].append(part)
        self._teams: defaultdict[tuple[Any, ...], int] = defaultdict(int)
        for line in lines:
            day, _, *rest = line.keys
            self._teams[day, *rest] += bool(line.input_tokens or line.output_tokens or line.list_cost_nusd)
        unnamed = {part.model for part in priced if part.model and not self._provider(part.price_id)}
        self._providers = providers_of(ledger, sorted(unnamed))

    def _provider(self, price_id: int | None) -> str:
        """Return whose price a row is, "" where it tells of no provider."""
        price = self._prices.get(price_id)
        return "" if price is None or price.provider_name == ANY_PROVIDER else price.provider_name

    def of(self, line: SpendLine) -> Iterator[tuple[int | None, dict[str, str]]]:
        """Yield (cost in nano-dollars, row) of a line: its meters, under each price that priced them."""
        day, _, feature, tier, model = line.keys
        parts = sorted(self._priced[day, feature, tier, model], key=lambda part: -part.list_cost_nusd)
        common = self._common(line)
        if self._teams[day, feature, tier, model] == 1 and parts:
            for part in parts:
                yield from self._part(part, part.attempts, self._prices.get(part.price_id), model, common)
        elif line.input_tokens or line.output_tokens or line.list_cost_nusd:
            # Several teams share these prices, so each one's tokens stand under the price that priced most of them.
            price = self._prices.get(parts[0].price_id) if parts else None
            yield from self._part(line, line.attempts, price if line.priced_attempts else None, model, common)

    def _part(
        self, figures: PricedLine | SpendLine, calls: int, price: Price | None, model: Any, common: Mapping[str, str]
    ) -> Iterator[tuple[int | None, dict[str, str]]]:
        tokens = Tokens(
            figures.input_tokens,
            figures.output_tokens,
            figures.cache_read_input_tokens,
            figures.cache_write_input_tokens,
        ).by_meter()
        units = unit_prices(price)
        weights = [count * (unit or Decimal(0)) for count, unit in zip(tokens, units, strict=True)]
        costs = apportion(figures.list_cost_nusd, weights)
        baseline = self._baseline_units(common["ChargePeriodStart"])
        for meter, count, unit, cost, strong in zip(METERS, tokens, units, costs, baseline, strict=True):
            if count or cost:
                nusd = None if price is None and not figures.list_cost_nusd else cost
                row = self._meter(meter, count, unit, nusd, price, str(model))
                row["x_Requests"] = str(calls)
                row["x_BaselineCost"] = "" if strong is None else _plain(count * strong / _MILLION)
                yield nusd, {**common, **row}

    def _common(self, line: SpendLine) -> dict[str, str]:
        day, team, feature, tier, _ = line.keys
        assert isinstance(day, date)
        month = day.replace(day=1)
        following = (month + timedelta(days=32)).replace(day=1)
        return {
            "BillingAccountId": self._account,
            "BillingAccountName": self._account,
            "BillingAccountType": "Organization",
            "BillingCurrency": "USD",
            "BillingPeriodStart": self._instant(month),
            "BillingPeriodEnd": self._instant(following),
            "ChargeCategory": "Usage",
            "ChargeFrequency": "Usage-Based",
            "ChargePeriodStart": self._instant(day),
            "ChargePeriodEnd": self._instant(day + timedelta(days=1)),
            "ConsumedUnit": "Tokens",
            "PricingUnit": "1000000 Tokens",
            "PricingCurrency": "USD",
            "ServiceCategory": "AI and Machine Learning",
            "ServiceSubcategory": "Generative AI",
            "SubAccountId": f"team-{_slug(str(team))}" if team else "",
            "SubAccountName": str(team),
            "SubAccountType": "Team" if team else "",
            "Tags": json.dumps({"tier": tier, "feature": feature}, ensure_ascii=False),
            "x_Tier": str(tier),
            "x_UnpricedRequests": str(line.unpriced_attempts),
        }

    def _meter(
        self, meter: Meter, count: int, unit: Decimal | None, nusd: int | None, price: Price | None, model: str
    ) -> dict[str, str]:
        provider = self._provider(price.id if price is not None else None) or self._providers.get(model, "")
        shown = _NAMES.get(provider, provider) or "Unknown"
        cost = "" if nusd is None else usd(nusd)
        each = "" if unit is None or nusd is None else _plain(unit)
        sku = f"{provider}/{model}/{meter.slug}"
        start = "" if price is None else "always" if price.effective_from == FIRST_KNOWN else str(price.effective_from)
        details = {
            "x_ModelDeveloper": _NAMES.get(model.partition("/")[0], shown) if "/" in model else shown,
            "x_ModelId": model,
            "x_TokenDirection": meter.direction,
            **({"x_TokenCacheAction": meter.cache_action} if meter.cache_action else {}),
        }
        return {
            "BilledCost": cost,
            "ChargeDescription": f"{model} {meter.name}",
            "ConsumedQuantity": f"{count}.0",
            "ContractedCost": cost,
            "ContractedUnitPrice": each,
            "HostProviderName": shown,
            "EffectiveCost": cost,
            "InvoiceIssuerName": shown,
            "ListCost": cost,
            "ListUnitPrice": each,
            "PricingCategory": "Standard" if price is None or price.minute_from is None else "Dynamic",
            "PricingCurrencyContractedUnitPrice": each,
            "PricingCurrencyEffectiveCost": cost,
            "PricingCurrencyListUnitPrice": each,
            "PricingQuantity": _plain(Decimal(count) / _MILLION),
            "ServiceProviderName": shown,
            "ProviderName": shown,
            "PublisherName": shown,
            "ServiceName": f"{shown} API",
            "SkuId": sku,
            "SkuMeter": meter.name,
            # FOCUS: what has no price has no details of one either.
            "SkuPriceDetails": json.dumps(details, ensure_ascii=False) if start else "",
            "SkuPriceId": f"{sku}@{start}" if start else "",
            "x_PriceSource": "" if price is None else price.layer,
        }

    def _baseline_units(self, starts: str) -> tuple[Decimal | None, ...]:
        """Return what the baseline model costs on a day, by meter."""
        if self._baseline is None:
            return unit_prices(None)
        at_ms = round(datetime.fromisoformat(starts).timestamp() * 1000)
        return unit_prices(self._book.find(*self._baseline, at_ms))

    def _instant(self, day: date) -> str:
        at = datetime.fromtimestamp(self._days.start_ms(day_number(day)) / 1000, UTC)
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def _slug(name: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in name.lower()).split())


def _plain(number: Decimal) -> str:
    text = format(number.normalize(), "f")
    return text if text != "-0" else "0"


def _line(values: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode()
