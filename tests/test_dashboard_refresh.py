"""A newer price list is looked at, its effect on spend is seen, and only what is ticked is taken."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import apps
from apps import checked, opened, words
from price_lists import litellm

from dashboard import refreshing
from router_core.ledger.price_rows import read_prices
from router_core.ledger.store import open_ledger
from router_core.prices import PriceBook
from router_core.prices.refresh import Change

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app
TODAY = date(2026, 11, 18)
USD = 1e-6


def listed(**models: tuple[float, float]) -> bytes:
    """A list as LiteLLM has it, from US dollars per million tokens."""
    return litellm(
        **{
            name: {"input_cost_per_token": sent * USD, "output_cost_per_token": received * USD}
            for name, (sent, received) in models.items()
        }
    )


def found(**models: tuple[float, float]) -> list[Change]:
    answer = refreshing._compared(("map.json", listed(**models)), TODAY)
    assert not isinstance(answer, str), answer
    return answer[1]


def test_only_what_is_ticked_is_taken_and_what_looks_wrong_is_not_ticked(demo_app: Path) -> None:
    changes = found(**{"gpt-4.1": (2.2, 8.8), "gpt-4.1-nano": (100.0, 400.0)})
    assert [one.suspicious for one in changes] == [True, True]
    with open_ledger(demo_app) as ledger:
        before = read_prices(ledger)
    app = opened("prices")
    app.session_state["refresh_found"] = ("LiteLLM", changes)
    checked(app.run())
    assert "2 of them to be looked at first" in words(app)
    assert app.button(key="refresh_take").disabled
    row = next(place for place, one in enumerate(changes) if one.model == "gpt-4.1")
    ticks = {"edited_rows": {row: {"take": True}}, "added_rows": [], "deleted_rows": []}
    app.session_state["refresh_table_0"] = ticks
    checked(app.run())
    assert "Had they held from" in words(app)
    app.session_state["refresh_table_0"] = ticks
    checked(app.button(key="refresh_take").click().run())
    with open_ledger(demo_app) as ledger:
        after = read_prices(ledger)
    assert after[: len(before)] == before
    assert {price.model for price in after[len(before) :]} == {"gpt-4.1"}
    now = PriceBook(after).find("openai", "gpt-4.1", 1_800_000_000_000)
    assert now is not None
    assert now.input_usd_per_mtok == Decimal("2.2")


def test_a_file_that_is_no_list_is_refused_in_a_sentence(demo_app: Path) -> None:
    opened("prices")
    for content in (b"{", b"[]", b'{"a": 1}', b"\xff\xfe"):
        answer = refreshing._compared(("map.json", content), TODAY)
        assert isinstance(answer, str)
        assert answer.endswith(".")


def test_a_list_that_says_what_is_known_changes_nothing(demo_app: Path) -> None:
    app = opened("prices")
    checked(app.button(key="refresh_compare").click().run())
    title, changes = app.session_state["refresh_found"]
    assert title
    assert changes == []
    assert "nothing to take" in words(app)
