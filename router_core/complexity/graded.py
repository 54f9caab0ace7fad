"""Graded: prompts that a cheap and a strong model both answered, each answer graded; what a scorer is fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from router_core.config import data_dir, suggest
from router_core.errors import InputError
from router_core.prices import PriceBook, load_price_overrides

if TYPE_CHECKING:
    import pandas as pd

_MOST_GROUPS = 20  # more would be noise in every line


@dataclass(frozen=True)
class Graded:
    """One entry a prompt: its text, the group it is reported under, and the quality 0..1 of both answers."""

    source: str
    cheap: str
    strong: str
    prompts: tuple[str, ...]
    groups: tuple[str, ...]
    cheap_quality: NDArray[np.float64]
    strong_quality: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.prompts)

    @property
    def gains(self) -> NDArray[np.float64]:
        """Quality of the strong answer less that of the cheap one."""
        return self.strong_quality - self.cheap_quality


def read_graded(folder: str | Path, *, at_ms: int, cheap: str | None = None, strong: str | None = None) -> Graded:
    """Read ``prompts.parquet`` (prompt_id, prompt, and if there are any category) and ``responses.parquet``
    (prompt_id, model, quality 0..1, and if there are any input_tokens and output_tokens) of a folder.

    Unless named, the strong model is the one of highest mean quality; the cheap one costs least at the prices of
    ``at_ms`` (UTC epoch milliseconds), or where a price is missing has the lowest mean quality. Prompts that one of
    the two did not answer are left out. Raises ``InputError`` where files, columns or models are not as they should be.
    """
    where = Path(folder)
    if not where.is_dir():
        raise InputError("is not a folder; it should hold prompts.parquet and responses.parquet", source=str(folder))
    prompts = _table(where / "prompts.parquet", ("prompt_id", "prompt"))
    responses = _table(where / "responses.parquet", ("prompt_id", "model", "quality"))
    _check(where, prompts, responses)
    responses = responses.dropna(subset=["quality"])
    models = responses.groupby("model")["quality"].mean().sort_values(ascending=False, kind="stable")
    if len(models) < 2:
        raise InputError(
            "holds answers of fewer than two models, so there is nothing to choose between", source=str(where)
        )
    for name, option in ((cheap, "--cheap"), (strong, "--strong")):
        if name is not None and name not in models.index:
            raise InputError(
                f"{option} names {name!r}, which answered nothing here; {suggest(name, list(models.index))}"
            )
    strong = strong or str(models.index[0])
    cheap = cheap or _cheapest(responses, at_ms) or str(models.index[-1])
    if cheap == strong:
        raise InputError(
            f"{cheap!r} would be both the cheap and the strong model; name them with --cheap and --strong",
            source=str(where),
        )
    both = responses[responses["model"].isin([cheap, strong])]
    quality = both.groupby(["prompt_id", "model"])["quality"].mean().unstack("model").dropna()
    kept = prompts[prompts["prompt_id"].isin(quality.index)]
    quality = quality.loc[kept["prompt_id"]]
    return Graded(
        where.name,
        cheap,
        strong,
        tuple(kept["prompt"].tolist()),
        tuple(_groups(kept)),
        quality[cheap].to_numpy(dtype=np.float64),
        quality[strong].to_numpy(dtype=np.float64),
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


def _check(where: Path, prompts: pd.DataFrame, responses: pd.DataFrame) -> None:
    from pandas.api.types import is_numeric_dtype

    if (twice := prompts["prompt_id"].duplicated()).any():
        first = prompts["prompt_id"][twice].iloc[0]
        raise InputError(f"prompt_id {first!r} stands there twice", source=str(where / "prompts.parquet"))
    if not prompts["prompt"].map(lambda text: isinstance(text, str)).all():
        raise InputError("has prompts that are not text", source=str(where / "prompts.parquet"))
    source = str(where / "responses.parquet")
    if not is_numeric_dtype(responses["quality"]):
        raise InputError("has qualities that are not numbers", source=source)
    known = responses["quality"].dropna()
    if not known.between(0.0, 1.0).all():
        wrong = known[~known.between(0.0, 1.0)].iloc[0]
        raise InputError(f"has a quality of {wrong:g}; it must be from 0 to 1", source=source)


def _cheapest(responses: pd.DataFrame, at_ms: int) -> str | None:
    """Return the model whose mean call costs least; None where a model has no price or no tokens."""
    if not {"input_tokens", "output_tokens"} <= set(responses.columns):
        return None
    book = PriceBook(load_price_overrides(data_dir() / "prices.yaml"))
    costs = {}
    for model, sizes in responses.groupby("model")[["input_tokens", "output_tokens"]].mean().fillna(0.0).iterrows():
        price = book.find("recorded", str(model), at_ms)
        if price is None or price.input_usd_per_mtok is None or price.output_usd_per_mtok is None:
            return None
        rates = float(price.input_usd_per_mtok), float(price.output_usd_per_mtok)
        costs[str(model)] = sizes["input_tokens"] * rates[0] + sizes["output_tokens"] * rates[1]
    return min(costs, key=lambda name: costs[name])


def _groups(prompts: pd.DataFrame) -> list[str]:
    """Return the group of each prompt: what its id begins with, where that parts them; else its category."""
    ids = prompts["prompt_id"].astype(str)
    prefixes = ids.str.extract(r"^([^\W\d_][\w.]*?)[-/:]", expand=False)
    if prefixes.notna().all() and 2 <= prefixes.nunique() <= _MOST_GROUPS:
        return prefixes.tolist()
    if "category" in prompts.columns and prompts["category"].notna().all():
        categories = prompts["category"].astype(str)
        if 2 <= categories.nunique() <= _MOST_GROUPS:
            return categories.tolist()
    return [""] * len(prompts)
