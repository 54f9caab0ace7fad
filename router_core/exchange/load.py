"""An import from file to ledger: read, assembled, priced and written in batches, with what is bad put aside."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import TextIO

from router_core.decision import QualitySource, RoutingDecision
from router_core.errors import InputError
from router_core.exchange.assemble import Assembler, Made, id_tail
from router_core.exchange.calls import Evaluation, ImportedCall, Item, MeteredSpend, Quality, Rejected
from router_core.exchange.format import NOT_A_CALL
from router_core.exchange.report import Report
from router_core.exchange.sniff import sniff
from router_core.exchange.source import Source
from router_core.ledger.days import id_floor
from router_core.ledger.labels import Label, add_labels, kept_labels
from router_core.ledger.metered import Metered, write_metered
from router_core.ledger.pages import by_tail, held
from router_core.ledger.price_rows import read_prices
from router_core.ledger.store import Ledger
from router_core.prices import PriceBook, cost_nusd

Progress = Callable[[int, int | None], None]
"""Called with the bytes read so far and the size of the file, None where that is not known."""

_DECISIONS_AT_ONCE = 5_000
_BUCKETS_AT_ONCE = 5_000
_EVALUATIONS_AT_ONCE = 50_000
_JUDGED_WITHIN_MS = 7 * 86_400_000


def import_file(
    ledger: Ledger,
    path: str | Path,
    format: str = "auto",
    *,
    prices: PriceBook | None = None,
    hash_key: bytes | None = None,
    scores: Sequence[str] = (),
    rejects: Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Import a file, "-" being standard input; importing it again changes nothing.

    ``scores`` names the scores that are the answer's quality (the first one met, unless given). Rows that cannot be
    used go to ``rejects``, by default the file's name with ``.rejects.jsonl``. Raises ``InputError`` where the file
    cannot be read or is of no known format, and ``LedgerError`` where the ledger fails; what was written stays.
    """
    with ExitStack() as stack:
        if str(path) == "-":
            source = Source(sys.stdin.buffer, "standard input")
            aside = Path("stdin.rejects.jsonl")
        else:
            try:
                source = Source(stack.enter_context(open(path, "rb")), str(path))
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
    began = time.perf_counter()
    found = sniff(source, format)
    report = Report(found.title, found.holds, notes=source.notes)
    with ExitStack() as stack:
        aside = _Aside(rejects, report, stack)
        load = _Load(ledger, prices or PriceBook(read_prices(ledger)), hash_key, scores, report, aside)
        for item in found.read(source):
            load.take(item)
            if progress is not None and not report.rows % 1000:
                progress(source.position, source.size)
        load.finish()
    left_out = source.notes[NOT_A_CALL]
    report.rows += left_out
    report.left_out += left_out
    if progress is not None:
        progress(source.position, source.size)
    report.seconds = time.perf_counter() - began
    return report


class _Aside:
    """Where rejected rows go: a file made with the first of them."""

    def __init__(self, path: Path | None, report: Report, stack: ExitStack) -> None:
        self._path = path
        self._report = report
        self._stack = stack
        self._file: TextIO | None = None

    def take(self, rejected: Rejected) -> None:
        self._report.reject(rejected)
        if self._path is None:
            return
        if self._file is None:
            try:
                self._file = self._stack.enter_context(self._path.open("w", encoding="utf-8"))
            except OSError as error:
                raise InputError(
                    f"rows that cannot be used would be put aside here, but it cannot be written: {error.strerror}",
                    source=str(self._path),
                ) from None
            self._report.rejects_file = str(self._path)
        line = {"line": rejected.line, "reason": rejected.reason, "raw": rejected.raw}
        self._file.write(json.dumps(line, ensure_ascii=True) + "\n")


class _Load:
    """What has been read and not yet written."""

    def __init__(
        self,
        ledger: Ledger,
        prices: PriceBook,
        hash_key: bytes | None,
        scores: Sequence[str],
        report: Report,
        aside: _Aside,
    ) -> None:
        self._ledger = ledger
        self._prices = prices
        self._report = report
        self._aside = aside
        self._assembler = Assembler(prices, hash_key)
        self._scores = _Scores(scores, report)
        self._made: list[Made] = []
        self._buckets: list[Metered] = []
        self._seen: Counter[tuple[object, ...]] = Counter()
        self._evaluations: list[Evaluation] = []

    def take(self, item: Item) -> None:
        """Take one item, and write where enough have come together."""
        if isinstance(item, ImportedCall):
            self._report.rows += 1
            self._made.extend(self._assembler.add(item))
        elif isinstance(item, Rejected):
            self._aside.take(item)
        elif isinstance(item, MeteredSpend):
            self._report.rows += 1
            self._buckets.append(self._bucket(item))
        elif isinstance(item, RoutingDecision):
            self._report.rows += 1
            self._made.append(Made(self._assembler.adopted(item), ()))
        else:
            self._report.rows += 1
            self._evaluations.append(item)
        if len(self._made) >= _DECISIONS_AT_ONCE:
            self._write_decisions()
        if len(self._buckets) >= _BUCKETS_AT_ONCE:
            self._write_buckets()
        if len(self._evaluations) >= _EVALUATIONS_AT_ONCE:
            self._write_evaluations()

    def finish(self) -> None:
        """Write the rest."""
        self._made.extend(self._assembler.rest())
        self._write_decisions()
        self._write_buckets()
        self._write_evaluations()

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
            self._count(made)
        self._label(
            [
                _label(made.decision.id, call.source, call.started_at_ms + call.latency_ms, quality)
                for made in batch
                for call in made.calls
                for quality in self._scores.chosen(call.qualities)
            ]
        )

    def _count(self, made: Made) -> None:
        report, decision = self._report, made.decision
        report.loaded += max(len(made.calls), 1)
        report.decisions += 1
        report.requests += 1
        report.at(decision.decided_at_ms, decision.decided_at_ms)
        for attempt in decision.attempts:
            report.calls += 1
            if attempt.list_cost_nusd is not None:
                report.list_cost_nusd += attempt.list_cost_nusd
            if attempt.reported_cost_nusd is not None:
                report.reported += 1
                report.reported_cost_nusd += attempt.reported_cost_nusd
            usage = attempt.usage
            if usage is not None:
                report.metered += 1
                report.priced += attempt.list_cost_nusd is not None
                report.input_tokens += usage.input_tokens
                report.output_tokens += usage.output_tokens
                report.cache_read_input_tokens += usage.cache_read_input_tokens
                report.cache_write_input_tokens += usage.cache_write_input_tokens
                report.reasoning_output_tokens += usage.reasoning_output_tokens

    def _label(self, labels: list[Label]) -> int:
        """Keep labels that are not kept yet; return how many."""
        if not labels:
            return 0
        there = kept_labels(self._ledger, list({label.decision_id for label in labels}))
        new = {
            key: label
            for label in labels
            if (key := (label.decision_id, label.note, round(label.quality * 1e6) / 1e6)) not in there
        }
        add_labels(self._ledger, list(new.values()))
        self._report.labels += len(new)
        return len(new)

    def _bucket(self, item: MeteredSpend) -> Metered:
        name = (
            item.source,
            item.starts_at_ms,
            item.ends_at_ms,
            item.provider_name,
            item.model,
            item.meter,
            item.account,
        )
        self._seen[name] += 1  # a report may have several rows of one name; the second stays the second
        digest = sha256(json.dumps([*name, self._seen[name]]).encode()).digest()[:16]
        usage = item.usage
        return Metered(
            row_hash=digest,
            source=item.source,
            day=item.day,
            starts_at_ms=item.starts_at_ms,
            ends_at_ms=item.ends_at_ms,
            provider_name=item.provider_name,
            model=item.model,
            meter=item.meter,
            account=item.account,
            requests=item.requests,
            input_tokens=usage.input_tokens if usage is not None else None,
            output_tokens=usage.output_tokens if usage is not None else None,
            cache_read_input_tokens=usage.cache_read_input_tokens if usage is not None else None,
            cache_write_input_tokens=usage.cache_write_input_tokens if usage is not None else None,
            reasoning_output_tokens=usage.reasoning_output_tokens if usage is not None else None,
            list_cost_nusd=self._list_cost(item),
            reported_cost_nusd=item.reported_cost_nusd,
        )

    def _list_cost(self, item: MeteredSpend) -> int | None:
        if item.list_cost_nusd is not None or not item.priceable or item.usage is None:
            return item.list_cost_nusd
        # The tokens are those of many calls, so they do not tell which long-context price holds; the report does.
        price = self._prices.find(
            item.provider_name, item.model, item.starts_at_ms, item.call_input_tokens, item.processing
        )
        return cost_nusd(price, item.usage) if price is not None else None

    def _write_buckets(self) -> None:
        report, batch = self._report, self._buckets
        self._buckets = []
        written = write_metered(self._ledger, batch)
        report.loaded += len(written.kept)
        report.changed += written.changed
        report.duplicates += written.unchanged
        for row in written.kept:
            report.at(row.starts_at_ms, row.ends_at_ms)
            report.requests += row.requests or 0
            report.calls += 1
            if row.input_tokens is not None:
                report.metered += 1
                report.priced += row.list_cost_nusd is not None
                report.input_tokens += row.input_tokens
                report.output_tokens += row.output_tokens or 0
                report.cache_read_input_tokens += row.cache_read_input_tokens or 0
                report.cache_write_input_tokens += row.cache_write_input_tokens or 0
                report.reasoning_output_tokens += row.reasoning_output_tokens or 0
            report.list_cost_nusd += row.list_cost_nusd or 0
            if row.reported_cost_nusd is not None:
                report.reported += 1
                report.reported_cost_nusd += row.reported_cost_nusd

    def _write_evaluations(self) -> None:
        batch, self._evaluations = self._evaluations, []
        if not batch:
            return
        self._write_decisions()  # what they judge may just have been read
        tails = {name: id_tail(one.source, name) for one in batch for name in one.request_ids}
        first = id_floor(min(one.at_ms for one in batch) - _JUDGED_WITHIN_MS)
        last = id_floor(max(one.at_ms for one in batch) + 1000)
        found = by_tail(self._ledger, tails.values(), first, last)
        labels = []
        for one in batch:
            key = next((found[tails[name]] for name in one.request_ids if tails[name] in found), None)
            if key is None:
                reason = "the ledger holds no request that this judges; import its spans first"
                self._report.rows -= 1
                self._aside.take(Rejected(one.line, reason, one.raw))
            elif not self._scores.chosen((one.quality,)):
                self._report.left_out += 1
            else:
                labels.append(_label(key, one.source, one.at_ms, one.quality))
        new = self._label(labels)
        self._report.loaded += new
        self._report.duplicates += len(labels) - new


class _Scores:
    """Which scores are the answer's quality: those named, or else the first name met; feedback always is."""

    def __init__(self, names: Sequence[str], report: Report) -> None:
        self._names = set(names)
        self._given = bool(names)
        self._report = report

    def chosen(self, qualities: Sequence[Quality]) -> list[Quality]:
        """Return those that count."""
        kept = []
        for quality in qualities:
            if not self._given and not self._names and quality.source != QualitySource.FEEDBACK:
                self._names.add(quality.name)
            if quality.name in self._names or (quality.source == QualitySource.FEEDBACK and not self._given):
                kept.append(quality)
            else:
                self._report.notes[
                    f"scores named {quality.name!r} were left out; --score chooses which are quality"
                ] += 1
        return kept


def _label(decision_id: bytes, source: str, at_ms: int, quality: Quality) -> Label:
    return Label(decision_id, quality.value, quality.source, at_ms, None, source, f"{source} score {quality.name}")
