"""What pushes promised beside what came of them: as frames for figure and table, and as words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import data, tables, wording
from dashboard.data import Stamp
from router_core.lifecycle.track_record import Compared, PushOutcome, share_held, track_record

KEPT: Final = {True: "kept", False: "not kept", None: "not known yet"}
_PILLS: Final = ["#0f9d6b33", "#d6405a33", "#64748b2b"]


@st.cache_data(max_entries=2, show_spinner="Setting promises against what came")
def record(stamp: Stamp) -> list[PushOutcome]:
    """Return what came of every push that promised something, oldest first."""
    return track_record(data.ledger())


def kept(found: Sequence[PushOutcome]) -> str:
    """Write how many promises held: ``7 of 8``; a dash where none can be judged yet."""
    held, judged = share_held(found)
    return f"{held} of {judged}" if judged else wording.UNKNOWN


def points(found: Sequence[PushOutcome], figure: str) -> pd.DataFrame:
    """Return one figure, ``saving`` or ``quality``, of every push: promised and realised, each with its interval."""
    rows = [{"name": f"v{one.version}", **getattr(one, figure).as_json()} for one in found]
    numbers = ["promised", "promised_low", "promised_high", "realised", "realised_low", "realised_high"]
    return pd.DataFrame(rows, columns=["name", *numbers, "held"]).astype(dict.fromkeys(numbers, float))


def table(found: Sequence[PushOutcome]) -> None:
    """Show every push with its two promises, what came, and whether they held, newest first."""
    column = st.column_config
    frame = pd.DataFrame([_row(one) for one in reversed(found)])
    pills: dict[str, Any] = {"options": list(KEPT.values()), "color": _PILLS, "width": 105}
    tables.show(
        frame,
        key="promises",
        columns={
            "version": column.TextColumn("Version", pinned=True, width=70),
            "requests": column.NumberColumn("Requests since", format="localized", width=105),
            "saving": column.TextColumn("Saving promised", width=150),
            "saved": column.TextColumn("came", width=150),
            "saving_kept": column.MultiselectColumn("Held", **pills),
            "quality_promised": column.TextColumn("Quality promised", width=165),
            "quality_came": column.TextColumn("came", width=165),
            "quality_kept": column.MultiselectColumn("Held", **pills),
        },
        file="tierwise-promises.csv",
        alt="Pushes with what they promised of saving and quality, what came, and whether it held, newest first",
    )


def of(found: Sequence[PushOutcome], version: int) -> PushOutcome | None:
    """Return what came of one version, None where it promised nothing."""
    return next((one for one in found if one.version == version), None)


def _row(one: PushOutcome) -> dict[str, Any]:
    return {
        "version": f"v{one.version}",
        "requests": one.decisions,
        "saving": promised(one.saving, "share"),
        "saved": came(one.saving, "share"),
        "saving_kept": [KEPT[one.saving.held]],
        "quality_promised": promised(one.quality, "points"),
        "quality_came": came(one.quality, "points"),
        "quality_kept": [KEPT[one.quality.held]],
    }


def promised(one: Compared, unit: str) -> str:
    """Write what was promised with its interval: ``4.6% (4.3 to 4.8%)``."""
    return _written(one.promised, one.promised_low, one.promised_high, unit)


def came(one: Compared, unit: str) -> str:
    """Write what came with its interval."""
    return _written(one.realised, one.realised_low, one.realised_high, unit)


def _written(value: float | None, low: float | None, high: float | None, unit: str) -> str:
    write = wording.share if unit == "share" else wording.points
    mark = "%" if unit == "share" else " pp"
    text = write(value)
    if low is None or high is None:
        return text
    ends = f"{write(low).removesuffix(mark)} to {write(high)}"
    return f"{text} ({ends})" if value is not None else ends
