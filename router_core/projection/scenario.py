"""Scenario: several what-ifs under one name, freely combined; a value that is written down and read back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from router_core.errors import InputError

EVERY = "*"
"""In place of a feature's name: every feature that is not named."""

SideCall = Literal["classifier", "escalation"]

_Rate = Annotated[float, Field(ge=0, le=1_000_000)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class NewPrice(_Part):
    """Another price of one model: US dollars per million tokens, or ``change``, -0.2 for a fifth less, of what it is.

    Rates that are not given stay, those of cached input in step with input.
    """

    input: _Rate | None = None
    output: _Rate | None = None
    change: float | None = Field(default=None, ge=-1, le=100)

    @model_validator(mode="after")
    def _says_something(self) -> NewPrice:
        if (self.change is None) == (self.input is None and self.output is None):
            raise ValueError("a new price is either 'input' and 'output', or a 'change' of what it is")
        return self


class Swap(_Part):
    """Another model in a tier's first place; ``verbosity`` is how many output tokens it takes for one of the old one's,
    None where nobody knows."""

    model: str = Field(min_length=1)
    verbosity: float | None = Field(default=None, gt=0, le=100)


class Scenario(_Part):
    """What is taken to be different; anything left out is as the log has it.

    ``settings`` are changes of the configuration (boundaries, pins, exploration), each ``PATH=VALUE``. ``prices_at``
    prices all calls at that day's prices; ``prices`` gives models others still. ``swaps`` are by tier. ``growth`` (0.2
    is a fifth more, -1 nothing left), ``cache_ttl`` (seconds; 0 is no cache) and ``batch`` (share of calls, 0..1) are
    by feature, ``EVERY`` standing for those not named, and so is ``compress``, the share of the input that is left.
    ``calls`` says how many calls of a kind are made for one of today's: to judge complexity (another classifier), or
    after a draft was turned down (another threshold of the cascade; 0 is no cascade).
    """

    name: str = Field(min_length=1, max_length=80)
    note: str = ""
    settings: tuple[str, ...] = ()
    prices_at: date | None = None
    prices: Mapping[str, NewPrice] = Field(default_factory=dict)
    swaps: Mapping[str, Swap] = Field(default_factory=dict)
    growth: Mapping[str, float] = Field(default_factory=dict)
    cache_ttl: Mapping[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    batch: Mapping[str, Annotated[float, Field(ge=0, le=1)]] = Field(default_factory=dict)
    compress: Mapping[str, Annotated[float, Field(gt=0, le=1)]] = Field(default_factory=dict)
    calls: Mapping[SideCall, Annotated[float, Field(ge=0, le=10)]] = Field(default_factory=dict)

    @field_validator("growth")
    @classmethod
    def _not_below_nothing(cls, growth: Mapping[str, float]) -> Mapping[str, float]:
        for feature, share in growth.items():
            if share < -1:
                raise ValueError(
                    f"traffic of {_shown(feature)} cannot shrink by {-share:.0%}: less than nothing is left; "
                    "give -100 % or more"
                )
        return growth

    @property
    def plain(self) -> bool:
        """Whether nothing differs but the configuration."""
        parts = (self.prices_at, self.prices, self.swaps, self.growth, self.cache_ttl, self.batch, self.compress)
        return not (any(parts) or self.calls)

    def of(self, feature: str, values: Mapping[str, Any], otherwise: Any) -> Any:
        """Return what one of the mappings by feature says of a feature."""
        return values.get(feature, values.get(EVERY, otherwise))


def build_scenario(data: Mapping[str, Any]) -> Scenario:
    """Validate plain data; raises ``InputError`` with what is wrong and where."""
    try:
        return Scenario.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        path = ".".join(str(part) for part in first["loc"])
        inner = first.get("ctx", {}).get("error") if first["type"] == "value_error" else None
        text = str(inner) if inner is not None else f"{path}: {first['msg'][:1].lower()}{first['msg'][1:]}"
        given = first.get("input")
        shown = f" (it is {given!r})" if inner is None and isinstance(given, str | int | float) else ""
        raise InputError(f"{text}{shown}") from None


def _shown(feature: str) -> str:
    return "every feature" if feature == EVERY else repr(feature)
