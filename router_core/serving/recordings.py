"""Files of prompts and of recorded outcomes, JSON lines or Parquet: a bad row is named, and the others are read."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from router_core.errors import InputError, UsageError
from router_core.serving.providers import Outcomes, Recorded
from router_core.serving.requests import AUTO, LABELS, check_body
from router_core.usage import Usage

_BATCH = 4096
_PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class OutcomeTable:
    """Recorded outcomes, the rows that could not be used, and how many answers had no output tokens recorded.

    Output tokens that were not recorded are counted as none, and those outcomes are marked as estimated.
    """

    outcomes: Outcomes
    rejected: tuple[InputError, ...]
    without_output: int


def read_prompts(path: str | Path) -> Iterator[dict[str, Any] | InputError]:
    """Return the chat request of each row, or what is wrong with that row.

    A row has ``prompt`` (text) or ``messages``, and may have ``prompt_id``, ``model`` and the labels of requests:
    feature, team, conversation, user_tier, expected_format, language. Raises ``InputError`` where the file cannot be
    read at all.
    """
    for number, row in _rows(Path(path)):
        if isinstance(row, InputError):
            yield row
            continue
        try:
            yield _request(row)
        except InputError as error:
            yield InputError(str(error), source=str(path), line=number)


def read_outcomes(path: str | Path) -> OutcomeTable:
    """Read a table of prompt_id (or prompt, the exact text), model, quality, input_tokens, output_tokens, answer.

    Only the prompt and the model are required. Raises ``InputError`` where the file cannot be read at all, or holds
    no outcome.
    """
    kept: list[tuple[str, str, Recorded]] = []
    rejected: list[InputError] = []
    without_output = 0
    for number, row in _rows(Path(path)):
        if isinstance(row, InputError):
            rejected.append(row)
            continue
        try:
            outcome = _outcome(row)
        except (InputError, UsageError) as error:
            rejected.append(InputError(str(error), source=str(path), line=number))
            continue
        without_output += outcome[2].estimated
        kept.append(outcome)
    if not kept:
        why = f"; for instance {rejected[0]}" if rejected else ""
        raise InputError(f"there is no usable outcome in it{why}", source=str(path))
    return OutcomeTable(Outcomes(kept), tuple(rejected), without_output)


def count_rows(path: str | Path) -> int:
    """Return how many rows a file has, for a progress bar; raises ``InputError`` where it cannot be read."""
    file = Path(path)
    if _is_parquet(file):
        return int(_parquet(file).metadata.num_rows)
    with file.open("rb") as lines:
        return sum(1 for _ in lines)


def _request(row: Mapping[str, Any]) -> dict[str, Any]:
    messages = row.get("messages")
    if messages is None:
        prompt = row.get("prompt")
        if not isinstance(prompt, str):
            raise InputError("there is neither a text 'prompt' nor a list 'messages'")
        messages = [{"role": "user", "content": prompt}]
    metadata = dict(row["metadata"]) if isinstance(row.get("metadata"), Mapping) else {}
    for name in ("prompt_id", *LABELS):
        if (value := row.get(name)) is not None:
            metadata[name] = str(value) if isinstance(value, int) else value
    return check_body({"model": row.get("model") or AUTO, "messages": messages, "metadata": metadata})


def _outcome(row: Mapping[str, Any]) -> tuple[str, str, Recorded]:
    prompt = row.get("prompt_id")
    prompt = row.get("prompt") if prompt is None else str(prompt)
    model = row.get("model")
    if not isinstance(prompt, str) or not isinstance(model, str) or not model:
        raise InputError("an outcome needs 'model', and 'prompt_id' or 'prompt'")
    quality = _number(row, "quality")
    if quality is not None and not 0.0 <= quality <= 1.0:
        raise InputError(f"quality is {quality:g}; it must be from 0 to 1")
    sent, received = _number(row, "input_tokens"), _number(row, "output_tokens")
    usage = None if sent is None else Usage(int(sent), int(received or 0))
    answer = row.get("answer")
    text = answer if isinstance(answer, str) else ""
    return prompt, model, Recorded(usage, quality, text, estimated=usage is not None and received is None)


def _number(row: Mapping[str, Any], name: str) -> float | None:
    value = row.get(name)
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{name} is {value!r}, which is not a number")
    return value


def _rows(path: Path) -> Iterator[tuple[int, Mapping[str, Any] | InputError]]:
    """Return each row with its number, counted from 1, or what is wrong with it."""
    if _is_parquet(path):
        number = 0
        for batch in _parquet(path).iter_batches(_BATCH):
            for row in batch.to_pylist():
                number += 1
                yield number, row
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = from_json(line)
            except ValueError as error:
                yield number, InputError(f"this is not JSON: {error}", source=str(path), line=number)
                continue
            if isinstance(row, dict):
                yield number, row
            else:
                yield number, InputError("this is not a JSON object", source=str(path), line=number)


def _is_parquet(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4) == _PARQUET
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", source=str(path)) from None


def _parquet(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"cannot be read as Parquet: {error}", source=str(path)) from None
