"""A name has one number in a ledger, whoever asks for it first."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from router_core.ledger.store import open_ledger

_PROGRAM = """
import sys
from router_core.ledger.store import open_ledger
with open_ledger(sys.argv[1]) as ledger:
    print([ledger.dimension_id("model", f"model-{number}") for number in range(60)])
"""


def test_a_name_keeps_its_number_and_kinds_do_not_mix(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        chat = ledger.dimension_id("feature", "chat")
        assert ledger.dimension_id("feature", "chat") == chat
        assert ledger.dimension_id("team", "chat") != chat
        assert ledger.dimension_names("feature") == {chat: "chat"}
    with open_ledger(db_path) as ledger:
        assert ledger.dimension_id("feature", "chat") == chat


def test_an_unknown_kind_is_refused(db_path: Path) -> None:
    with open_ledger(db_path) as ledger, pytest.raises(ValueError, match="not a kind of name"):
        ledger.dimension_id("colour", "red")


def test_threads_that_ask_together_get_the_same_numbers(db_path: Path) -> None:
    with open_ledger(db_path) as ledger, ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: [ledger.dimension_id("model", f"model-{number}") for number in range(40)], range(8))
        )
    assert all(answer == answers[0] for answer in answers)
    assert len(set(answers[0])) == 40


def test_processes_that_ask_together_get_the_same_numbers(db_path: Path) -> None:
    open_ledger(db_path).close()
    running = [
        subprocess.Popen([sys.executable, "-c", _PROGRAM, str(db_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = {process.communicate(timeout=60)[0] for process in running}
    assert len(said) == 1
    assert [process.returncode for process in running] == [0, 0]
