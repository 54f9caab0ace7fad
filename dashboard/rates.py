"""Prices as frames: the models in use with today's rates, what was edited, and the history as steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import pandas as pd

from router_core.config import RoutingConfig
from router_core.prices import FIRST_KNOWN, LAYERS, Price, PriceBook, price_from_entry

NANO: Final = 1_000_000_000
RATES: Final = {
    "input": "input_usd_per_mtok",
    "output": "output_usd_per_mtok",
    "cache_read": "cache_read_usd_per_mtok",
    "cache_write": "cache_write_usd_per_mtok",
}


def in_use(book: PriceBook, config: RoutingConfig, today: date, spend: pd.DataFrame | None) -> pd.DataFrame:
    """Return a row for each model configured or called, unpriced ones first, then by spend.

    Columns: ``provider``, ``model``, the four rates, ``layer`` (empty where no price is known), ``since``, ``usd`` and
    ``attempts`` of the days in ``spend`` (lines by ``model``), and the names under which the price stands.
    """
    names = {config.price_names(name)[1]: config.price_names(name)[0] for name in config.models}
    lines: list[dict[str, Any]] = [] if spend is None else spend.to_dict("records")  # type: ignore[assignment]
    spent = {str(line["model"]): line for line in lines if line["model"]}
    at_ms = int(datetime.combine(today, time(12), UTC).timestamp() * 1000)
    rows = []
    for model in sorted({*names, *spent}):
        provider = names.get(model, "*")
        price = book.find(provider, model, at_ms)
        line = spent.get(model)
        rows.append(
            {
                "provider": provider,
                "model": model,
                **{key: _float(getattr(price, name, None)) for key, name in RATES.items()},
                "layer": price.layer if price else "",
                "since": price.effective_from if price and price.effective_from > FIRST_KNOWN else None,
                "usd": line["list_cost_nusd"] / NANO if line else 0.0,
                "attempts": int(line["attempts"]) if line else 0,
                "priced_as": (price.provider_name, price.model) if price else (provider, model),
            }
        )
    frame = pd.DataFrame(rows)
    frame["_last"] = frame["layer"] != ""
    return frame.sort_values(["_last", "usd"], ascending=[True, False]).drop(columns="_last").reset_index(drop=True)


def changed(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Return the edited rows: the names of ``before`` with the rates of ``after``."""
    keys = list(RATES)
    old, new = before[keys].astype(object), after[keys].astype(object)
    differs = ~((old == new) | (old.isna() & new.isna())).all(axis=1)
    return before.loc[differs].assign(**{key: new.loc[differs, key] for key in keys})


def as_prices(rows: pd.DataFrame, since: date, layer: str, note: str) -> list[Price]:
    """Check edited rows and return them as prices; raises ``ConfigError`` where one is negative or not a number."""
    return [
        price_from_entry(
            {
                "provider": row["priced_as"][0],
                "model": row["priced_as"][1],
                "effective_from": since.isoformat(),
                **{key: _text(row[key]) for key in RATES},
                "layer": layer,
                "source": "dashboard",
                "note": note.strip(),
            }
        )
        for row in rows.to_dict("records")
    ]


def steps(rows: Sequence[Price], today: date) -> pd.DataFrame:
    """Return the rates that held from each date on, one row a rate, of standard all-day prices; the latest goes on."""
    plain = [
        row for row in rows if row.processing == "standard" and row.min_input_tokens == 0 and row.minute_from is None
    ]
    starts = sorted({row.effective_from for row in plain})
    known = [start for start in starts if start > FIRST_KNOWN]
    first = min(known, default=today) - timedelta(days=30)
    points = []
    for start in [*starts, max(today, *starts)] if starts else []:
        held = max(
            (row for row in plain if row.effective_from <= start),
            key=lambda row: (LAYERS.index(row.layer), row.effective_from),
        )
        for key, name in RATES.items():
            rate = getattr(held, name)
            if rate is not None:
                points.append((max(start, first), key.replace("_", " "), float(rate)))
    return pd.DataFrame(points, columns=["from", "rate", "usd_per_mtok"])


def as_frame(rows: Sequence[Price], winner: Price | None = None) -> pd.DataFrame:
    """Return dated prices, newest first, as people read them; the ``winner`` prices a plain call of today."""
    return pd.DataFrame(
        {
            "holds": [["in force"] if row == winner else [] for row in reversed(rows)],
            "from": [None if row.effective_from == FIRST_KNOWN else row.effective_from for row in reversed(rows)],
            "layer": [row.layer for row in reversed(rows)],
            "processing": [_conditions(row) for row in reversed(rows)],
            **{key: [_float(getattr(row, name)) for row in reversed(rows)] for key, name in RATES.items()},
            "source": [row.source for row in reversed(rows)],
            "note": [row.note for row in reversed(rows)],
        }
    )


def _conditions(price: Price) -> str:
    parts = [price.processing]
    if price.min_input_tokens:
        parts.append(f"from {price.min_input_tokens:,} input tokens")
    if price.minute_from is not None and price.minute_to is not None:
        hours = [f"{minute // 60:02d}:{minute % 60:02d}" for minute in (price.minute_from, price.minute_to)]
        parts.append(f"{hours[0]} to {hours[1]} UTC")
    return ", ".join(parts)


def _float(value: object) -> float | None:
    return None if value is None else float(str(value))


def _text(value: object) -> str | None:
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return None
    return str(value)
