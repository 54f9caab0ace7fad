"""What tests of the command line share: how a command is run, and how its JSON is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Run = Callable[..., tuple[int, str, str]]
"""Runs `tierwise` with some arguments; returns its exit code, standard output and standard error."""


def asked(result: tuple[int, str, str]) -> Any:
    """Return what a command that went well printed as JSON."""
    code, out, err = result
    assert code == 0, err
    return json.loads(out)
