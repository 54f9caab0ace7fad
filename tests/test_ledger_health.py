"""Health tells the truth: bytes as the disk has them, spooled decisions counted, lag named, events newest first."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from router_core.demo import fill
from router_core.ledger.health import events, freshness, storage
from router_core.ledger.lines import encode
from router_core.ledger.pages import decisions
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger
from router_core.ledger.writer import default_spool

NOW_MS = 1_795_000_000_000


def test_bytes_are_those_on_the_disk_and_spooled_decisions_are_counted(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        fill(ledger, decisions=50, days=1, seed=1, now_ms=NOW_MS)
        spool = default_spool(ledger)
        assert (storage(ledger).spool_bytes, storage(ledger).spooled) == (0, 0)
        spool.write_bytes(b"".join(encode(one) for one in list(decisions(ledger))[:7]))
        spool.with_name(f"{spool.name}.rejected").write_bytes(b"what is this\n")
        found = storage(ledger)
        assert found.bytes == db_path.stat().st_size
        assert found.journal_bytes == Path(f"{db_path}-wal").stat().st_size
        assert (found.spool, found.spool_bytes, found.spooled) == (spool, spool.stat().st_size, 7)
        assert found.aside_bytes == 13


def test_cells_are_behind_until_they_are_summed(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        assert (freshness(ledger).newest_ms, freshness(ledger).dirty) == (None, ())
        fill(ledger, decisions=200, days=3, seed=1, now_ms=NOW_MS)
        behind = freshness(ledger)
        assert behind.newest_ms is not None
        assert NOW_MS - 86_400_000 < behind.newest_ms <= NOW_MS
        assert behind.dirty[-1] == date(2026, 11, 18)
        assert behind.summed_until == date(2026, 11, 16)  # the day before the demo's last push, which summed it
        refresh(ledger)
        after = freshness(ledger)
        assert (after.dirty, after.summed_until) == ((), date(2026, 11, 18))


def test_events_are_read_newest_first_and_page_by_page(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        for number in range(7):
            ledger.event("somebody", "test", f"event {number}")
        first = events(ledger, size=5)
        rest = events(ledger, size=5, before=first[-1].id)
        assert [event.detail for event in first + rest] == [f"event {number}" for number in range(6, -1, -1)]
        assert {event.who for event in first} == {"somebody"}
