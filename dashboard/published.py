"""Published savings claims, recomputed from their own inputs and worded side by side."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import pandas as pd
import streamlit as st

from dashboard import tables, wording
from router_core.projection.claims import Claim, Figures, read_claims, shipped_claims

_NAMES = {"cost": "cost", "cost_per_month": "a month", "saving": "saving"}


@st.cache_data(max_entries=2, show_spinner=False)
def claims() -> list[Claim]:
    """Return the shipped claims, recomputed."""
    return read_claims(shipped_claims())


def table(found: Sequence[Claim]) -> None:
    """Show what each claim states beside what follows from it, those that do not follow first."""
    column = st.column_config
    ordered = sorted(found, key=lambda claim: claim.follows)
    tables.show(
        pd.DataFrame(
            [
                {
                    "verdict": ["follows" if claim.follows else "does not follow"],
                    "claim": claim.id.replace("_", " "),
                    "stated": written(claim.stated),
                    "recomputed": written(claim.recomputed),
                    "source": claim.source.replace("_", " "),
                }
                for claim in ordered
            ]
        ),
        key="claims",
        columns={
            "verdict": column.MultiselectColumn(
                "Verdict",
                options=["follows", "does not follow"],
                color=["#0f9d6b33", "#d6405a33"],
                width=125,
                pinned=True,
            ),
            "claim": column.TextColumn("Claim", width=200),
            "stated": column.TextColumn("Stated", width=280),
            "recomputed": column.TextColumn("Recomputed", width=280),
            "source": column.TextColumn("Article", width=200),
        },
        file="tierwise-claims.csv",
        alt="Published claims: what each states, what follows from its own inputs, and whether they agree",
    )


def written(figures: Figures) -> str:
    """Write figures in a line: ``cost $3,036, saving 6.6%``."""
    parts = []
    for name, value in figures.items():
        if isinstance(value, Decimal):
            text = share(value) if name == "saving" else money(value)
            parts.append(f"{_NAMES.get(name, name)} {text}")
        else:
            parts += [f"{model} {money(cost)}" for model, cost in value.items()]
    return ", ".join(parts)


def share(value: Decimal) -> str:
    """Write a share with the digits it has: 0.07 is ``7%``, 0.0657 is ``6.57%``."""
    exponent = value.as_tuple().exponent
    return wording.share(float(value), digits=max(0, -exponent - 2) if isinstance(exponent, int) else 1)


def money(amount: Decimal) -> str:
    """Write dollars to the cent, and to a tenth of it where the cent would hide something."""
    cents = amount.quantize(Decimal("0.01"))
    return f"${cents:,.2f}" if cents == amount or abs(amount) >= 1 else f"${amount:,.3f}"
