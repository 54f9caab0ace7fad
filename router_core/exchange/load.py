"""An import from file to ledger: read, assembled, priced and written in batches, with what is bad put aside."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from router_core.decision import RoutingDecision
from router_core.errors import InputError
from router_core.exchange import bulk
from router_core.exchange.assemble import Assembler, Made
from router_core.exchange.calls import Evaluation, ImportedCall, Item, MeteredSpend, Rejected
from router_core.exchange.columns import Columns
from router_core.exchange.currencies import Rate
from router_core.exchange.format import NOT_A_CALL
from router_core.exchange.judgements import Judgements
from router_core.exchange.metering import Metering
from router_core.exchange.rejects import Aside
from router_core.exchange.report import Report
from router_core.exchange.sniff import sniff
from router_core.exchange.source import Source
from router_core.ledger.pages import held
from router_core.ledger.price_rows import read_prices
from router_core.ledger.store import Ledger
from router_core.prices import PriceBook

Progress = Callable[[int, int | None], None]
"""Called with the bytes read so far and the size of the file, None where that is not known."""

_DECISIONS_AT_ONCE = 5_000
_EVALUATIONS_AT_ONCE = 50_000
_ITEMS_A_STEP = 1_000


def import_file(
    ledger: Ledger,
    path: str | Path,
    format: str = "auto",
    *,
    prices: PriceBook | None = None,
    hash_key: bytes | None = None,
    scores: Sequence[str] = (),
    rates: Sequence[Rate] = (),
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import a file, "-" being standard input; importing it again changes nothing.

    ``scores`` names the scores that are the answer's quality (the first one met, unless given), ``rates`` what other
    currencies are worth. Rows that cannot be
    used go to ``rejects``, by default the file's name with ``.rejects.jsonl``. Raises ``InputError`` where the file
    cannot be read, is of no known format or would be mixed with simulated traffic, and ``LedgerError`` where the ledger
    fails; what was written stays.
    """
    with ExitStack() as stack:
        if str(path) == "-":
            source = Source(sys.stdin.buffer, "standard input", rates)
            aside = Path("stdin.rejects.jsonl")
        else:
            try:
                source = Source(stack.enter_context(open(path, "rb")), str(path), rates)
            except OSError as error:
                raise InputError(f"the file cannot be read: {error.strerror}", source=str(path)) from None
            aside = Path(f"{path}.rejects.jsonl")
        return import_source(
            ledger,
            source,
            format,
            prices=prices,
            hash_key=hash_key,
            scores=scores,
            rejects=rejects or aside,
            progress=progress,
        )


def import_source(
    ledger: Ledger,
    source: Source,
    format: str = "auto",
    *,
    prices: PriceBook | None = None,
    hash_key: bytes | None = None,
    scores: Sequence[str] = (),
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import what a source holds, as ``import_file`` does; without ``rejects`` bad rows are only reported."""
    found = sniff(source, format)
    report = Report(found.title, found.holds, notes=source.notes)

    def watched() -> Iterator[Item | Columns]:
        for number, item in enumerate(found.read(source)):
            yield item
            if progress is not None and (isinstance(item, Columns) or number % _ITEMS_A_STEP == 0):
                progress(source.position, source.size)

    import_items(
        ledger, watched(), report, source.name, prices=prices, hash_key=hash_key, scores=scores, rejects=rejects
    )
    if progress is not None:
        progress(source.position, source.size)
    return report


def import_items(
    ledger: Ledger,
    items: Iterable[Item | Columns],
    report: Report,
    name: str,
    *,
    prices: PriceBook | None = None,
    hash_key: bytes | None = None,
    scores: Sequence[str] = (),
    rejects: Path | None = None,
    until_ms: int | None = None,
) -> int:
    """Load items as they come, and account for them in ``report``, whose notes are those of their reader.

    With ``until_ms`` the log goes on after that time (UTC epoch milliseconds): calls that others may join yet are left
    for later, and in no figure; returns how many. ``name`` is how sentences call the source. Raises ``InputError``
    where the ledger holds simulated traffic, which real rows are not mixed with.
    """
    began = time.perf_counter()
    if ledger.meta("demo") == "1":
        raise InputError(
            "this ledger holds simulated traffic, and real rows are not mixed with it; give a ledger of your own, such "
            "as --db data/mine.db",
            source=name,
        )
    with Aside(rejects, report) as aside:
        load = _Load(ledger, prices or PriceBook(read_prices(ledger)), hash_key, scores, report, aside)
        for item in items:
            load.take(item)
        left = load.finish(until_ms)
    report.left_out += report.notes[NOT_A_CALL]
    report.rows += report.notes[NOT_A_CALL] - left
    report.seconds = time.perf_counter() - began
    return left


class _Load:
    """What has been read and not yet written."""

    def __init__(
        self,
        ledger: Ledger,
        prices: PriceBook,
        hash_key: bytes | None,
        scores: Sequence[str],
        report: Report,
        aside: Aside,
    ) -> None:
        self._ledger = ledger
        self._prices = prices
        self._report = report
        self._aside = aside
        self._assembler = Assembler(prices, hash_key)
        self._judgements = Judgements(ledger, scores, report)
        self._metering = Metering(ledger, prices, report)
        self._made: list[Made] = []
        self._evaluations: list[Evaluation] = []

    def take(self, item: Item | Columns) -> None:
        """Take one item, and write where enough have come together."""
        if isinstance(item, ImportedCall):
            self._report.rows += 1
            self._made.extend(self._assembler.add(item))
        elif isinstance(item, Columns):
            self._take_columns(item)
        elif isinstance(item, Rejected):
            self._aside.take(item)
        elif isinstance(item, MeteredSpend):
            self._metering.take(item)
        elif isinstance(item, RoutingDecision):
            self._report.rows += 1
            self._made.append(Made(self._assembler.adopted(item), ()))
        else:
            self._evaluations.append(item)
        if len(self._made) >= _DECISIONS_AT_ONCE:
            self._write_decisions()
        if len(self._evaluations) >= _EVALUATIONS_AT_ONCE:
            self._write_evaluations()

    def finish(self, until_ms: int | None) -> int:
        """Write the rest, but what others may join where the log goes on; returns how many calls that leaves."""
        self._made.extend(self._assembler.rest(until_ms))
        self._write_decisions()
        self._write_evaluations()
        self._metering.write()
        return self._assembler.waiting

    def _take_columns(self, columns: Columns) -> None:
        joining = self._joining(columns)
        if joining.any():
            for row in np.flatnonzero(joining).tolist():
                self.take(columns.call(row))
            columns = columns.taken(~joining)
        self._report.rows += len(columns)
        ids = bulk.decision_ids(columns)
        there = held(self._ledger, ids)
        first = {key: row for row, key in reversed(list(enumerate(ids)))}
        if there or len(first) < len(ids):
            new = np.array([first[key] == row and key not in there for row, key in enumerate(ids)], np.bool_)
            self._report.duplicates += int((~new).sum())
            columns = columns.taken(new)
            ids = [key for key, kept in zip(ids, new.tolist(), strict=True) if kept]
        if not ids:
            return
        priced = bulk.price(columns, self._prices)
        self._ledger.write_rows(*bulk.rows_of(columns, ids, priced, self._ledger, self._assembler))
        bulk.count(columns, priced, self._report)

    def _joining(self, columns: Columns) -> np.typing.NDArray[np.bool_]:
        if not self._assembler.waits or not columns.maybe.any():
            return np.zeros(len(columns), np.bool_)
        is_open = [self._assembler.is_open(name) for name in columns.conversation.values]
        return columns.maybe & np.array(is_open, np.bool_)[columns.conversation.numbers]

    def _write_decisions(self) -> None:
        report, batch = self._report, self._made
        self._made = []
        there = held(self._ledger, [made.decision.id for made in batch])
        new: dict[bytes, Made] = {}
        for made in batch:
            if made.decision.id in there or made.decision.id in new:
                report.duplicates += max(len(made.calls), 1)
            else:
                new[made.decision.id] = made
        self._ledger.write_decisions([made.decision for made in new.values()])
        for made in new.values():
            report.add(made.decision, rows=max(len(made.calls), 1))
        self._judgements.of_calls(batch)

    def _write_evaluations(self) -> None:
        batch, self._evaluations = self._evaluations, []
        if batch:
            self._write_decisions()  # what they judge may just have been read
            self._judgements.of_evaluations(batch, self._aside)
