"""Files people drop on the Import page: what one is, what its rows become, and the import itself."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pandas as pd
import streamlit as st

from dashboard import data, tables, wording
from dashboard.data import Stamp
from router_core.decision import Kind, RoutingDecision
from router_core.exchange.calls import Evaluation, ImportedCall, Item, MeteredSpend
from router_core.exchange.currencies import Rate, parse_rates
from router_core.exchange.load import Progress, import_source
from router_core.exchange.preview import Preview, preview
from router_core.exchange.report import Report
from router_core.exchange.source import Source
from router_core.gateway.engine import key_path
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.prices import PriceBook, cost_nusd
from router_core.serving.hashing import read_hash_key

HOLDS: Final = {
    "calls": ("evidence", "Single requests: they count as spend, and previews may rest on them."),
    "decisions": ("evidence", "Decisions of Tierwise: they count as spend, and previews may rest on them."),
    "spend": ("spend", "Sums of many requests: they count as spend, but no preview can rest on them."),
}
"""What a file's rows are good for, in a word and in a sentence."""

ROWS: Final = 20
_SHOWN: Final = 8
_STATE: Final = "imported"
_COLUMNS: Final = (
    *("becomes", "when", "meter", "provider", "model", "input", "cached", "output", "list", "reported"),
    *("of", "account", "team", "outcome"),
)


@dataclass(frozen=True)
class Done:
    """A finished import: of which file, into which ledger, with which rejected rows."""

    file: str
    name: str
    database: str
    report: Report
    rejects: Path | None


def look(file: Any, name: str, rates: Sequence[Rate]) -> Preview:
    """Return what a dropped file is and its first rows; raises ``InputError`` where it is nothing known."""
    return preview(Source(BytesIO(file.getbuffer()), name, rates), most=ROWS)


def rates() -> tuple[Rate, ...]:
    """Ask what other currencies are worth, and return it; raises ``InputError`` where that cannot be read."""
    with st.expander("Amounts in another currency", icon=":material/currency_exchange:"):
        text = st.text_input(
            "What one unit is worth in US dollars, and from which day",
            key="rates",
            max_chars=500,
            placeholder="EUR=1.08@2026-11-20, GBP=1.27@2026-11-20",
            help="Without a rate such amounts are put aside; the rate used is told with the result.",
        )
    return parse_rates(part for part in str(text or "").split(",") if part.strip())


def becomes(items: Sequence[Item], book: PriceBook) -> pd.DataFrame:
    """Return the first rows of a file as what they become, a row an item, costs in dollars."""
    return pd.DataFrame([_row(item, book) for item in items])


def own_ledger() -> str | None:
    """Return a ledger to keep real rows in, beside the one that is shown; None where that is no file."""
    shown = data.database()
    if "://" in shown and not shown.startswith("sqlite:///"):
        return None
    path = Path(shown.removeprefix("sqlite:///"))
    return str(path.with_name(f"{path.stem}-mine.db"))


def load(file: Any, name: str, rates: Sequence[Rate], database: str, progress: Progress) -> Done:
    """Import a dropped file into a ledger, made where there is none, and sum its days.

    Raises ``InputError`` or ``LedgerError``; what was written until then stays, and importing again goes on with it.
    """
    handle, rejects = tempfile.mkstemp(prefix="tierwise-", suffix=".rejects.jsonl")
    os.close(handle)
    path = Path(rejects)
    try:
        if database == data.database():
            report = _load(data.ledger(), file, name, rates, path, progress)
        else:
            with open_ledger(database, timezone=data.ledger().zone.key) as ledger:
                report = _load(ledger, file, name, rates, path, progress)
    except BaseException:
        path.unlink()
        raise
    if not report.rejected:
        path.unlink()
    _forget()
    done = Done(file.file_id, name, database, report, path if report.rejected else None)
    st.session_state[_STATE] = done
    return done


def done(file_id: str) -> Done | None:
    """Return how this file's import ended in this tab, None where it has not been imported."""
    found = st.session_state.get(_STATE)
    return found if isinstance(found, Done) and found.file == file_id else None


def remarks(report: Report) -> list[str]:
    """Return what else a report tells: what the rows became, their days, and what had to be assumed."""
    rest = report.sentences()[1:]
    return [one for one in rest if "could not be used" not in one and " at list" not in one and "reports it" not in one]


def figures(report: Report) -> list[tuple[str, str, str]]:
    """Return the figures of a report: label, value, and what to know about it."""
    share = report.priced_share
    listed = wording.usd(report.list_cost_nusd) if report.metered else wording.UNKNOWN
    reported = wording.usd(report.reported_cost_nusd) if report.reported else wording.UNKNOWN
    left_out = f"{wording.plural(report.left_out, 'more row')} told of no model call." if report.left_out else ""
    return [
        ("Rows read", wording.count(report.rows), left_out or "Every row is in one of the figures beside."),
        ("Loaded", wording.count(report.loaded), "New rows, now in the ledger."),
        ("Already there", wording.count(report.duplicates), "Importing a file again changes nothing."),
        ("Rejected", wording.count(report.rejected), "Rows that could not be used, each with its reason."),
        ("Calls priced", wording.share(share), f"{wording.count(report.priced)} of {wording.count(report.metered)}."),
        ("At our prices", listed, "Sum of the rows loaded now, where a price is known."),
        ("As reported", reported, "Sum of what the source says they cost."),
    ]


def rejected(frame: pd.DataFrame) -> None:
    """Show rows that cannot be used, with why."""
    column = st.column_config
    tables.listed(
        frame,
        key="rejected_rows",
        columns={
            "line": column.NumberColumn("Line", format="localized", width=70, pinned=True),
            "reason": column.TextColumn("Why it cannot be used", width="large"),
            "raw": column.TextColumn("What it says", width="large"),
        },
        alt="Rows that cannot be used, with their line and the reason",
    )


def rows(frame: pd.DataFrame) -> None:
    """Show the first rows of a file as what they become."""
    column = st.column_config
    tokens: dict[str, Any] = {"format": "localized"}
    columns = {
        "becomes": column.TextColumn("Becomes", width=110, pinned=True),
        "when": column.DatetimeColumn("When (UTC)", format="D MMM YYYY, HH:mm", width=135),
        "meter": column.TextColumn("Meter", width=150),
        "provider": column.TextColumn("Provider", width=80),
        "model": column.TextColumn("Model", width=130),
        "input": column.NumberColumn("Tokens in", **tokens, help="All of them, cached ones included."),
        "cached": column.NumberColumn("cached", **tokens, help="Of them read from a cache."),
        "output": column.NumberColumn("Tokens out", **tokens, help="All of them, reasoning included."),
        "list": column.NumberColumn("At our prices", format="$%.6g", help="Empty: no price is known, or no tokens."),
        "reported": column.NumberColumn("As reported", format="$%.6g"),
        "of": column.TextColumn("Feature", width=120),
        "account": column.TextColumn("Account"),
        "team": column.TextColumn("Team"),
        "outcome": column.TextColumn("Outcome"),
    }
    tables.listed(
        frame,
        key="first_rows",
        most=_SHOWN,
        order=[name for name in columns if frame[name].notna().any() and (frame[name] != "").any()],
        columns=columns,
        alt="First rows of the file as what they become in the ledger",
    )


def _load(ledger: Ledger, file: Any, name: str, rates: Sequence[Rate], rejects: Path, progress: Progress) -> Report:
    report = import_source(
        ledger,
        Source(BytesIO(file.getbuffer()), name, rates),
        hash_key=read_hash_key(key_path(ledger)),
        rejects=rejects,
        progress=progress,
    )
    if report.decisions or report.labels:
        refresh(ledger)
    ledger.event(data.author(), "import", f"{report.title}: {report.loaded} rows of {name}")
    return report


def _forget() -> None:
    before = st.session_state.pop(_STATE, None)
    if isinstance(before, Done) and before.rejects is not None:
        before.rejects.unlink(missing_ok=True)


def book(stamp: Stamp) -> PriceBook:
    """Return the prices that rows are shown at."""
    return data.prices(stamp)


def _row(item: Item, book: PriceBook) -> dict[str, object]:
    row: dict[str, object] = dict.fromkeys(_COLUMNS)
    if isinstance(item, ImportedCall):
        usage, cached = item.usage, item.cached is not None
        price = book.find(
            item.provider_name,
            item.request_model,
            item.started_at_ms,
            usage.input_tokens if usage else 0,
            item.processing,
        )
        row |= {
            "when": pd.Timestamp(item.started_at_ms, unit="ms"),
            "becomes": "cached answer" if cached else "request" if item.kind == Kind.ANSWER else "overhead call",
            "provider": item.provider_name,
            "model": item.request_model,
            "list": None if price is None or usage is None or cached else _usd(cost_nusd(price, usage)),
            "reported": _usd(item.reported_cost_nusd),
            "of": item.feature,
            "team": item.team,
            "outcome": item.status.name.lower(),
        }
    elif isinstance(item, MeteredSpend):
        usage = item.usage
        row |= {
            "when": pd.Timestamp(item.starts_at_ms, unit="ms"),
            "becomes": "spend",
            "meter": item.meter.replace("_", " "),
            "provider": item.provider_name,
            "model": item.model,
            "list": _usd(item.list_cost_nusd),
            "reported": _usd(item.reported_cost_nusd),
            "account": item.account,
        }
    elif isinstance(item, RoutingDecision):
        usage = None
        row |= {
            "when": pd.Timestamp(item.decided_at_ms, unit="ms"),
            "becomes": "decision",
            "model": item.attempts[-1].model if item.attempts else "",
            "list": _usd(item.cost_nusd),
            "of": item.feature,
            "team": item.team,
            "outcome": item.status.name.lower(),
        }
    else:
        assert isinstance(item, Evaluation)
        usage = None
        row |= {
            "when": pd.Timestamp(item.at_ms, unit="ms"),
            "becomes": "judgement",
            "of": item.quality.name,
            "outcome": f"{item.quality.value:.2f}",
        }
    if usage is not None:
        row |= {"input": usage.input_tokens, "output": usage.output_tokens, "cached": usage.cache_read_input_tokens}
    return row


def _usd(nusd: int | None) -> float | None:
    return None if nusd is None else nusd / wording.NANO
