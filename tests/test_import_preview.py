"""A look at a file before it is imported, and the reading ahead that long logs are read with."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Iterator

import pytest
from imports import as_csv, as_lines, spend_log
from test_import_reports import cost, page

from router_core.errors import InputError
from router_core.exchange.ahead import ahead
from router_core.exchange.calls import ImportedCall, MeteredSpend
from router_core.exchange.preview import Preview, preview
from router_core.exchange.source import Source


def look(text: str) -> Preview:
    return preview(Source(io.BytesIO(text.encode()), "a file"), most=5)


@pytest.mark.parametrize("write", [as_csv, as_lines])
def test_the_first_calls_are_shown_and_what_is_wrong_with_others(write: type) -> None:
    rows = [spend_log(1, spend="lots"), *(spend_log(number) for number in range(2, 100))]
    seen = look(write(rows))  # type: ignore[arg-type]
    assert (seen.name, seen.holds, len(seen.items)) == ("litellm", "calls", 5)
    assert [one.request_id for one in seen.items if isinstance(one, ImportedCall)] == [f"req-{n}" for n in range(2, 7)]
    assert [one.reason for one in seen.rejected] == ["spend is 'lots', not a number"]


def test_a_report_is_seen_to_be_spend() -> None:
    seen = look(page(cost(1.0)))
    assert (seen.title, seen.holds) == ("OpenAI costs (JSON)", "spend")
    assert isinstance(seen.items[0], MeteredSpend)


def test_what_cannot_be_imported_cannot_be_previewed() -> None:
    with pytest.raises(InputError, match="the file is empty"):
        look("")


def numbers(stop: int) -> Iterator[int]:
    yield from range(stop)
    raise ValueError("beyond")


def test_reading_ahead_gives_the_same_and_raises_the_same() -> None:
    found: list[int] = []
    with pytest.raises(ValueError, match="beyond"):
        found.extend(ahead(numbers(50)))
    assert found == list(range(50))


def test_whoever_stops_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    items = ahead(iter(range(10**9)))
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    items.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_no_more_is_made_ahead_than_can_be_held() -> None:
    made = []

    def slow() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    items = ahead(slow())
    next(items)
    time.sleep(0.2)
    assert len(made) <= 5
    items.close()  # type: ignore[attr-defined]
