"""Published savings claims, recomputed from the inputs they state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from router_core.config import data_dir
from router_core.errors import InputError, TierwiseError
from router_core.prices import ANY_PROVIDER, FIRST_KNOWN, Price
from router_core.projection.calculator import Bill, Traffic, bill, split

Figures = Mapping[str, Decimal | Mapping[str, Decimal]]

_JUDGED_BY_HAND = ("recomputed", "follows")  # stand in the file for people and tests; nothing here reads them
_SHARE_DIGITS = Decimal("0.0001")
_MONEY_DIGITS = Decimal("0.000001")


@dataclass(frozen=True, slots=True)
class Claim:
    """One claim: figures as ``stated`` and as ``recomputed`` from its own inputs, under the same keys.

    ``cost``, ``cost_per_month`` and ``cost_by_model`` are US dollars, ``saving`` a share of the baseline's cost.
    ``follows`` says whether every stated figure is the recomputed one, rounded as it was stated.
    """

    id: str
    source: str
    stated: Figures
    recomputed: Figures
    follows: bool

    def as_json(self) -> dict[str, Any]:
        """Return the claim under the keys of the file it came from."""
        return {
            "id": self.id,
            "source": self.source,
            "stated": _plain(self.stated),
            "recomputed": _plain(self.recomputed),
            "follows": self.follows,
        }


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Rates(_Strict):
    input: Decimal | None = None
    output: Decimal | None = None
    cache_read: Decimal | None = None


class _Traffic(_Strict):
    requests: Decimal
    per: str
    input_tokens: Decimal
    output_tokens: Decimal = Decimal(0)
    cached_share: Decimal = Decimal(0)


class _Stated(_Strict):
    cost: Decimal | None = None
    saving: Decimal | None = None
    cost_per_month: Decimal | None = None
    cost_by_model: dict[str, Decimal] | None = None


class _Case(_Strict):
    id: str
    source: str
    traffic: _Traffic
    stated: _Stated
    baseline: str | None = None
    mix: dict[str, Decimal] | None = None
    requests_by_model: dict[str, Decimal] | None = None
    prices: dict[str, _Rates] = {}


class _File(_Strict):
    claims: list[_Case]
    prices: dict[str, _Rates] = {}
    sources: dict[str, str] = {}


def shipped_claims() -> Path:
    """Return the file of claims that comes with Tierwise."""
    return data_dir() / "claims.yaml"


def read_claims(path: str | Path) -> list[Claim]:
    """Recompute every claim of a file; raises ``InputError`` where the file, or a claim in it, cannot be used."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"the claims cannot be read: {reason}", source=str(path)) from None
    try:
        return parse_claims(text)
    except InputError as error:
        raise InputError(str(error), source=str(path)) from None


def parse_claims(text: str) -> list[Claim]:
    """Recompute the claims of a YAML text; numbers keep every decimal. Raises ``InputError``."""
    file = _parsed(text)
    bills: dict[str, Bill] = {}
    claims = []
    for case in file.claims:
        if case.id in bills:
            raise InputError(f"the claim {case.id!r} stands in it twice; give each its own id")
        if case.source not in file.sources:
            raise InputError(f"the claim {case.id!r} names the source {case.source!r}, which is not listed")
        if case.baseline is not None and case.baseline not in bills:
            raise InputError(f"the claim {case.id!r} is set against {case.baseline!r}, which does not stand before it")
        try:
            own = bills[case.id] = _bill(case, file.prices)
            stated = {name: value for name, value in case.stated if value is not None}
            found = _figures(stated, own, None if case.baseline is None else bills[case.baseline])
        except TierwiseError as error:
            raise InputError(f"the claim {case.id!r} cannot be recomputed: {error}") from None
        rounded = {name: _rounded(name, value) for name, value in found.items()}
        claims.append(Claim(case.id, case.source, stated, rounded, _follows(stated, found)))
    return claims


def _parsed(text: str) -> _File:
    try:
        # BaseLoader leaves every number as the text that was written, so 0.70 is exact and states two digits.
        data = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"this is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(data, dict) or not isinstance(data.get("claims"), list):
        raise InputError("a file of claims is a mapping with a list under the key 'claims'")
    for case in data["claims"]:
        for name in _JUDGED_BY_HAND if isinstance(case, dict) else ():
            case.pop(name, None)
    try:
        return _File.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{where}: {first['msg'][:1].lower()}{first['msg'][1:]}") from None


def _bill(case: _Case, common: Mapping[str, _Rates]) -> Bill:
    given = case.traffic
    traffic = Traffic(given.requests, given.input_tokens, given.output_tokens, given.cached_share, given.per)
    if (case.mix is None) == (case.requests_by_model is None):
        raise InputError("it needs either 'mix' or 'requests_by_model'")
    requests = split(traffic, case.mix) if case.mix is not None else case.requests_by_model or {}
    return bill(traffic, requests, {name: _price(name, rates) for name, rates in {**common, **case.prices}.items()})


def _price(name: str, rates: _Rates) -> Price:
    return Price(
        None,
        ANY_PROVIDER,
        name,
        "manual",
        FIRST_KNOWN,
        input_usd_per_mtok=rates.input,
        output_usd_per_mtok=rates.output,
        cache_read_usd_per_mtok=rates.cache_read,
    )


def _figures(wanted: Iterable[str], own: Bill, baseline: Bill | None) -> dict[str, Decimal | Mapping[str, Decimal]]:
    found: dict[str, Decimal | Mapping[str, Decimal]] = {}
    for name in wanted:
        if name == "saving":
            share = None if baseline is None else own.saving(baseline)
            if share is None:
                raise InputError("a saving needs a baseline that costs something")
            found[name] = share
        elif name == "cost":
            found[name] = own.cost
        elif name == "cost_per_month":
            found[name] = own.cost_per_month
        else:
            found[name] = own.by_model
    return found


def _follows(stated: Figures, found: Figures) -> bool:
    for name, said in stated.items():
        true = found[name]
        if isinstance(said, Mapping) or isinstance(true, Mapping):
            if not (isinstance(said, Mapping) and isinstance(true, Mapping)):
                return False
            if said.keys() != true.keys() or not all(_agrees(said[key], true[key]) for key in said):
                return False
        elif not _agrees(said, true):
            return False
    return True


def _agrees(said: Decimal, true: Decimal) -> bool:
    """Say whether a figure is the true one rounded, either way at a half, to the digits it was stated with."""
    exponent = said.as_tuple().exponent
    unit = Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
    return abs(said - true) * 2 <= unit


def _rounded(name: str, value: Decimal | Mapping[str, Decimal]) -> Decimal | Mapping[str, Decimal]:
    if isinstance(value, Mapping):
        return {key: inner.quantize(_MONEY_DIGITS) for key, inner in value.items()}
    return value.quantize(_SHARE_DIGITS if name == "saving" else _MONEY_DIGITS)


def _plain(figures: Figures) -> dict[str, Any]:
    return {
        name: {key: float(inner) for key, inner in value.items()} if isinstance(value, Mapping) else float(value)
        for name, value in figures.items()
    }
