"""What every test may ask for: a real ledger file of its own, and the recorded outcomes where they are present."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commands import Run
from hypothesis import settings

if TYPE_CHECKING:
    from router_core.ledger.store import Ledger

ROOT = Path(__file__).parent.parent
settings.register_profile("unhurried", deadline=None)  # a busy machine is no counterexample
settings.load_profile("unhurried")
SHARED_DATA = Path(os.environ.get("TIERWISE_SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    """A path for a ledger that does not exist yet."""
    return tmp_path / "ledger.db"


@pytest.fixture
def ledger(db_path: Path) -> Iterator[Ledger]:
    """An open ledger with nothing in it."""
    from router_core.ledger.store import open_ledger

    with open_ledger(db_path) as opened:
        yield opened


@pytest.fixture(scope="session")
def new_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger nobody has used, to be copied: making one fills it with every known price."""
    from router_core.ledger.store import open_ledger

    path = tmp_path_factory.mktemp("new") / "ledger.db"
    open_ledger(path).close()
    return path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command line, in this process; a test file may bind it to its own verb and ledger."""
    from router_core.cli import main

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        captured = capsys.readouterr()
        return int(ended.value.code or 0), captured.out, captured.err

    return run


@pytest.fixture
def recorded() -> Path:
    """The folder of recorded outcomes: real prompts that several models answered, each answer graded."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"recorded outcomes are not present at {SHARED_DATA}")
    return SHARED_DATA
