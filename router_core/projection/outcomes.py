"""Recorded outcomes: prompts that several models all answered and had graded, so that every policy's truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from router_core.complexity.graded import Graded
from router_core.config import data_dir, suggest
from router_core.errors import InputError
from router_core.prices import Price, PriceBook, catalogue, load_price_overrides

if TYPE_CHECKING:
    import pandas as pd

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SELLER = "recorded"
_ALWAYS = date(1970, 1, 1)
_ASSUMED = (0.1, 0.4, 5.0)  # dollars per million tokens in and out of a first tier without a price; factor to the next


@dataclass(frozen=True)
class Outcomes:
    """One row a prompt, one column a model, cheapest tier first: quality 0..1, tokens, and cost in nano-dollars.

    ``groups`` holds each prompt's category, empty where it has none; ``prices`` one price a model.
    """

    source: str
    models: tuple[str, ...]
    prompts: tuple[str, ...]
    groups: tuple[str, ...]
    quality: Floats
    input_tokens: Ints
    output_tokens: Ints
    cost: Ints
    prices: tuple[Price, ...]
    notes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.prompts)

    def take(self, rows: npt.NDArray[np.int64]) -> Outcomes:
        """Return some prompts, by place."""
        chosen = rows.tolist()
        return Outcomes(
            self.source,
            self.models,
            tuple(self.prompts[row] for row in chosen),
            tuple(self.groups[row] for row in chosen),
            self.quality[rows],
            self.input_tokens[rows],
            self.output_tokens[rows],
            self.cost[rows],
            self.prices,
            self.notes,
        )

    @property
    def graded(self) -> Graded:
        """The cheapest and the strongest tier's grades: what a gain scorer is fitted on."""
        cheap, strong = self.models[0], self.models[-1]
        return Graded(
            self.source, cheap, strong, self.prompts, self.groups, self.quality[:, 0].copy(), self.quality[:, -1].copy()
        )


def read_outcomes(folder: str | Path, models: Sequence[str] = (), *, at_ms: int) -> Outcomes:
    """Read ``prompts.parquet`` (prompt_id, prompt, category) and ``responses.parquet`` (prompt_id, model, quality 0..1,
    input_tokens, output_tokens) of a folder.

    ``models`` are the tiers, cheapest first; without them the cheapest model (at the prices of ``at_ms``, UTC epoch
    milliseconds) and the one of highest mean quality. Prompts that one of them did not answer are left out. Raises
    ``InputError`` where files, columns or models are not as they should be.
    """
    where = Path(folder)
    if not where.is_dir():
        raise InputError("is not a folder; it should hold prompts.parquet and responses.parquet", source=str(folder))
    prompts = _table(where / "prompts.parquet", ("prompt_id", "prompt")).drop_duplicates("prompt_id")
    responses = _table(where / "responses.parquet", ("prompt_id", "model", "quality"))
    known = responses["quality"].dropna()
    if not known.between(0.0, 1.0).all():
        raise InputError("has a quality outside 0..1", source=str(where / "responses.parquet"))
    notes: list[str] = []
    chosen = _tiers(responses, list(models), at_ms)
    wide = {
        name: _wide(responses, name, chosen)
        for name in ("quality", "input_tokens", "output_tokens")
        if name in responses
    }
    quality = wide["quality"].dropna()
    kept = prompts[prompts["prompt_id"].isin(quality.index)]
    order = kept["prompt_id"]
    left_out = len(wide["quality"]) - len(kept)
    if left_out:
        notes.append(f"{left_out:,} prompts that not all of these models answered are left out.")
    tokens = []
    for name in ("input_tokens", "output_tokens"):
        values = (
            wide[name].reindex(order).to_numpy(dtype=np.float64) if name in wide else np.full((len(kept), 1), np.nan)
        )
        values = np.broadcast_to(values, (len(kept), len(chosen)))
        tokens.append(_complete(values, name.replace("_", " "), notes))
    prices = _prices(chosen, at_ms, notes)
    rates = np.array([[_nusd(price.input_usd_per_mtok), _nusd(price.output_usd_per_mtok)] for price in prices])
    groups = kept["category"].astype(str).tolist() if "category" in kept else [""] * len(kept)
    return Outcomes(
        where.name,
        tuple(chosen),
        tuple(kept["prompt"].astype(str)),
        tuple(groups),
        quality.loc[order].to_numpy(dtype=np.float64),
        tokens[0],
        tokens[1],
        np.rint(tokens[0] * rates[:, 0] + tokens[1] * rates[:, 1]).astype(np.int64),
        tuple(prices),
        tuple(notes),
    )


def _table(path: Path, required: Sequence[str]) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    try:
        table = pd.read_parquet(path)
    except FileNotFoundError:
        raise InputError("is not there", source=str(path)) from None
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot be read as Parquet: {error}", source=str(path)) from None
    missing = [name for name in required if name not in table.columns]
    if missing:
        raise InputError(f"has no column {missing[0]!r}; it needs {', '.join(required)}", source=str(path))
    return table


def _wide(responses: pd.DataFrame, column: str, models: Sequence[str]) -> pd.DataFrame:
    asked = responses[responses["model"].isin(models)]
    return asked.groupby(["prompt_id", "model"])[column].mean().unstack("model").reindex(columns=list(models))


def _tiers(responses: pd.DataFrame, models: list[str], at_ms: int) -> list[str]:
    found = [str(name) for name in responses["model"].unique()]
    for name in models:
        if name not in found:
            raise InputError(f"--tiers names {name!r}, which answered nothing here; {suggest(name, found)}")
    if len(set(models)) < len(models):
        raise InputError("--tiers names a model twice; give each tier a model of its own")
    if models:
        if len(models) < 2:
            raise InputError("--tiers needs at least two models, cheapest first, separated by commas")
        return models
    if len(found) < 2:
        raise InputError("holds answers of fewer than two models, so there is nothing to choose between")
    mean = responses.groupby("model")["quality"].mean()
    strong = str(mean.idxmax())
    rest = [name for name in found if name != strong]
    priced = {name: price for name in rest if (price := _price(name, at_ms)) is not None}
    if len(priced) == len(rest):
        return [min(rest, key=lambda name: priced[name].output_usd_per_mtok or 0), strong]
    return [str(mean.drop(strong).idxmin()), strong]


def _price(model: str, at_ms: int) -> Price | None:
    """Return what a model cost: as written down for recorded answers, else as any provider of that name lists it."""
    written = PriceBook(load_price_overrides(data_dir() / "prices.yaml")).find(_SELLER, model, at_ms)
    if written is not None:
        return written
    listed = [price for price in catalogue() if price.model == model.lower() and price.processing == "standard"]
    usable = [price for price in listed if price.input_usd_per_mtok and price.output_usd_per_mtok]
    return max(usable, key=lambda price: price.effective_from, default=None)


def _complete(values: Floats, what: str, notes: list[str]) -> Ints:
    """Put the model's mean where a count was not recorded, and say so."""
    unknown = np.isnan(values)
    if unknown.any():
        known = (~unknown).sum(axis=0)
        mean = np.divide(np.nansum(values, axis=0), known, out=np.zeros(values.shape[1]), where=known > 0)
        values = np.where(unknown, mean, values)
        notes.append(f"{unknown.mean():.0%} of the answers have no {what} recorded; their model's mean stands in.")
    return np.rint(values).astype(np.int64)


def _prices(models: Sequence[str], at_ms: int, notes: list[str]) -> list[Price]:
    """Return one price a model, under the one seller's name; where none is known, one that makes tiers dearer."""
    found = []
    for tier, model in enumerate(models):
        price = _price(model, at_ms)
        if price is None:
            first_in, first_out, factor = _ASSUMED
            dollars = [Decimal(str(round(first * factor**tier, 6))) for first in (first_in, first_out)]
            notes.append(f"No price is known for {model}; ${dollars[0]} in and ${dollars[1]} out are assumed.")
            price = Price(
                None, _SELLER, model, "manual", _ALWAYS, input_usd_per_mtok=dollars[0], output_usd_per_mtok=dollars[1]
            )
        found.append(replace(price, id=tier + 1, provider_name=_SELLER, model=model, min_input_tokens=0))
    return found


def _nusd(dollars: object) -> float:
    return float(str(dollars or 0)) * 1000
