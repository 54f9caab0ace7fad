"""Judgements that come with a log become quality labels of its decisions, each kept once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from router_core.decision import QualitySource
from router_core.exchange.assemble import Made, id_tail
from router_core.exchange.calls import Evaluation, Quality, Rejected
from router_core.exchange.rejects import Aside
from router_core.exchange.report import Report
from router_core.ledger.days import id_floor
from router_core.ledger.labels import Label, add_labels, kept_labels
from router_core.ledger.pages import by_tail
from router_core.ledger.store import Ledger

_JUDGED_WITHIN_MS = 7 * 86_400_000
_MILLION = 1_000_000


class Judgements:
    """Attaches judgements. ``names`` are the scores that are the answer's quality; without any it is the first met.

    A person's feedback always counts, unless other names were given.
    """

    def __init__(self, ledger: Ledger, names: Sequence[str], report: Report) -> None:
        self._ledger = ledger
        self._names = set(names)
        self._given = bool(names)
        self._report = report

    def of_calls(self, batch: Iterable[Made]) -> None:
        """Attach the judgements that came with calls, whose decisions are kept by now."""
        self._keep(
            [
                _label(made.decision.id, call.source, call.started_at_ms + call.latency_ms, quality)
                for made in batch
                for call in made.calls
                for quality in self._chosen(call.qualities)
            ]
        )

    def of_evaluations(self, batch: Sequence[Evaluation], aside: Aside) -> None:
        """Attach judgements that were logged apart; one of a request that the ledger does not hold is put aside."""
        if not batch:
            return
        tails = {name: id_tail(one.source, name) for one in batch for name in one.request_ids}
        first = id_floor(min(one.at_ms for one in batch) - _JUDGED_WITHIN_MS)
        last = id_floor(max(one.at_ms for one in batch) + 1000)
        found = by_tail(self._ledger, tails.values(), first, last)
        labels = []
        for one in batch:
            key = next((found[tails[name]] for name in one.request_ids if tails[name] in found), None)
            if key is None:
                reason = "the ledger holds no request that this judges; import its spans first"
                aside.take(Rejected(one.line, reason, one.raw))
                continue
            self._report.rows += 1
            chosen = self._chosen((one.quality,))
            labels += [_label(key, one.source, one.at_ms, quality) for quality in chosen]
            self._report.left_out += not chosen
        new = self._keep(labels)
        self._report.loaded += new
        self._report.duplicates += len(labels) - new

    def _chosen(self, qualities: Sequence[Quality]) -> list[Quality]:
        kept = []
        for quality in qualities:
            feedback = quality.source == QualitySource.FEEDBACK
            if not self._names and not feedback:
                self._names.add(quality.name)
            if quality.name in self._names or (feedback and not self._given):
                kept.append(quality)
            else:
                self._report.notes[
                    f"scores named {quality.name!r} were left out; --score chooses which are quality"
                ] += 1
        return kept

    def _keep(self, labels: Sequence[Label]) -> int:
        """Keep labels that are not kept yet; return how many."""
        if not labels:
            return 0
        there = kept_labels(self._ledger, list({label.decision_id for label in labels}))
        new: dict[tuple[bytes, str, float], Label] = {}
        for label in labels:
            key = (label.decision_id, label.note, round(label.quality * _MILLION) / _MILLION)
            if key not in there:
                new[key] = label
        add_labels(self._ledger, list(new.values()))
        self._report.labels += len(new)
        return len(new)


def _label(decision_id: bytes, source: str, at_ms: int, quality: Quality) -> Label:
    return Label(decision_id, quality.value, quality.source, at_ms, None, source, f"{source} score {quality.name}")
