"""Files of replays, JSON lines: the requests a trial wants answered again, and what came of them."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from router_core.errors import InputError, UsageError
from router_core.lifecycle.trials import HeldTrial, Replay
from router_core.usage import Usage

_TOKENS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens")


def write_wanted(one: HeldTrial, path: str | Path) -> None:
    """Write the requests of a trial, one a line, with the tier and model to answer them and blanks to fill in.

    Raises ``InputError`` where the file cannot be written.
    """
    lines = []
    for chosen in one.trial.chosen:
        provider, model = one.target.price_names(one.target.tier(chosen.new).models[0])
        row = {
            "trial": one.number,
            "id": chosen.id,
            "feature": chosen.feature,
            "score": chosen.score,
            "logged_tier": chosen.old,
            "tier": chosen.new,
            "provider": provider,
            "model": model,
            "quality_target": None,
            "quality_logged": None,
            "input_tokens": None,
            "output_tokens": None,
        }
        lines.append(json.dumps(row, ensure_ascii=False))
    try:
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", source=str(path)) from None


def read_replays(path: str | Path) -> list[Replay]:
    """Read graded replays: ``id``, ``quality_target``, and if known ``quality_logged`` and tokens or ``cost_usd``.

    A line without ``quality_target`` was not replayed, and is passed over. Raises ``InputError`` with the line.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"cannot be read: {reason}", source=str(path)) from None
    replays: list[Replay] = []
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            replay = _replay(_object(line))
        except (InputError, UsageError) as error:
            raise InputError(str(error), source=str(path), line=number) from None
        if replay is None:
            continue
        if replay.id in seen:
            message = f"request {replay.id} is answered already on line {seen[replay.id]}"
            raise InputError(message, source=str(path), line=number)
        seen[replay.id] = number
        replays.append(replay)
    if not replays:
        raise InputError("no line of it has a quality_target, so nothing was replayed yet", source=str(path))
    return replays


def _object(line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        raise InputError("this is not JSON") from None
    if not isinstance(row, dict):
        raise InputError("this is not a JSON object")
    return row


def _replay(row: Mapping[str, Any]) -> Replay | None:
    quality = _share(row, "quality_target")
    if quality is None:
        return None
    key = row.get("id", row.get("decision_id"))
    try:
        identity = uuid.UUID(str(key)).hex
    except ValueError:
        raise InputError(f"'id' is {key!r}, which is not the id of a request") from None
    tokens = {name: int(value) for name in _TOKENS if (value := _number(row, name)) is not None}
    if ("input_tokens" in tokens) != ("output_tokens" in tokens):
        raise InputError("give both 'input_tokens' and 'output_tokens', or neither")
    cost = _number(row, "cost_usd")
    return Replay(
        identity,
        quality,
        _share(row, "quality_logged"),
        Usage(**tokens) if tokens else None,
        None if cost is None else round(cost * 1e9),
    )


def _share(row: Mapping[str, Any], name: str) -> float | None:
    value = _number(row, name)
    if value is not None and value > 1:
        raise InputError(f"{name} is {value:g}; it must be from 0 to 1")
    return value


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None:
        return None
    if isinstance(value, bool):
        value = float(value)
    if not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise InputError(f"{name} is {value!r}, which is not a number from 0 up")
    return float(value)
