"""Prompts are kept where the configuration asks for it, for as long as it says, and nowhere else."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from gateways import gateway, write_config
from upstream import upstream

from router_core.ledger.capture import Capture, kept_prompts, sweep_prompts
from router_core.ledger.record import read_record
from router_core.ledger.store import open_ledger

DAY_MS = 86_400_000


@pytest.mark.parametrize(("prompts", "kept"), [("none", 0), ("all", 40), ("sample", range(1, 15))])
def test_a_gateway_keeps_the_prompts_it_is_told_to(
    tmp_path: Path, db_path: Path, prompts: str, kept: int | range
) -> None:
    with upstream() as url:
        settings = f"{{prompts: {prompts}, retention_days: 3}}"
        config = write_config(tmp_path / "c.yaml", url, {"cheap": "ok", "strong": "ok"}, capture=settings)
        with gateway(db_path, config, UP_KEY="k") as served:
            before = time.time_ns() // 1_000_000
            ids = [
                served.client()
                .chat.completions.with_raw_response.create(
                    model="auto", messages=[{"role": "user", "content": f"how much is {number}?\0"}]
                )
                .headers["x-tierwise-decision"]
                for number in range(40)
            ]
    with open_ledger(db_path) as ledger:
        texts = [read_record(ledger, bytes.fromhex(one.replace("-", ""))).prompt for one in ids]
        found = [(number, text) for number, text in enumerate(texts) if text is not None]
        assert len(found) == kept if isinstance(kept, int) else len(found) in kept
        assert all(text.startswith(f"how much is {number}?") for number, text in found)
        assert sweep_prompts(ledger, at_ms=before + 3 * DAY_MS - 1) == 0
        assert sweep_prompts(ledger, at_ms=before + 4 * DAY_MS) == len(found)


def test_what_waits_is_written_at_the_end_and_the_same_twice_is_kept_once(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        capture, now = Capture(ledger), time.time_ns() // 1_000_000
        for _ in range(2):
            capture.keep(b"1" * 16, "a lone \ud83d", now, 1)
        capture.close()
        assert kept_prompts(ledger, [b"1" * 16], at_ms=now) == {b"1" * 16: "a lone ?"}
        assert sweep_prompts(ledger, at_ms=now + DAY_MS - 1) == 0
        assert sweep_prompts(ledger, at_ms=now + DAY_MS) == 1
