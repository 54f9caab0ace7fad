"""What every test may ask for: a real ledger file of its own, and the recorded outcomes where they are present."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parent.parent
settings.register_profile("unhurried", deadline=None)  # a busy machine is no counterexample
settings.load_profile("unhurried")
SHARED_DATA = Path(os.environ.get("TIERWISE_SHARED_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture
def db_path(tmp_path: Path) -> Path:
    """A path for a ledger that does not exist yet."""
    return tmp_path / "ledger.db"


@pytest.fixture(scope="session")
def new_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger nobody has used, to be copied: making one fills it with every known price."""
    from router_core.ledger.store import open_ledger

    path = tmp_path_factory.mktemp("new") / "ledger.db"
    open_ledger(path).close()
    return path


@pytest.fixture
def recorded() -> Path:
    """The folder of recorded outcomes: real prompts that several models answered, each answer graded."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"recorded outcomes are not present at {SHARED_DATA}")
    return SHARED_DATA
