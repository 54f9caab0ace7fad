"""Pages over ledgers with nothing, next to nothing, or gone, and after links full of nonsense: always a sentence."""

from __future__ import annotations

from pathlib import Path

import apps
import pytest
from apps import checked, opened, words
from decisions import a_decision

from router_core.decision import Strategy
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app
PAGES = ("quality", "explorer", "what_if", "review_queue", "health")
NONSENSE = {
    "days": "x",
    "team": "<script>",
    "feature": "none such",
    "tier": "\u202e",
    "status": "0",
    "reason": ";--",
    "before": "1",
    "after": "?",
    "draft": ";;,MEDIUM:999",
    "events_before": "-3",
    "view": "nothing",
    "requests": "-9e99",
    "models": "<i>",
    "against": "7",
}


@pytest.mark.parametrize("page", PAGES)
def test_a_new_ledger_says_what_to_do_next(page: str, empty_app: Path) -> None:
    app = opened(page)
    if page == "health":
        assert "there are no requests yet" in next(frame.value for frame in app.dataframe)["state"].tolist()
    elif page == "what_if":
        assert "made-up million requests" in words(app)
    else:
        assert "No requests yet" in words(app)


@pytest.mark.parametrize("page", PAGES)
def test_without_a_ledger_it_says_how_to_make_one(page: str, empty_app: Path) -> None:
    empty_app.unlink()
    assert "tierwise demo --db" in words(opened(page))


@pytest.mark.parametrize("page", [*PAGES, "tuning", "prices", "versions"])
@pytest.mark.parametrize("served", ["called", "from a cache", "unscored"])
def test_one_request_is_enough(page: str, served: str, empty_app: Path) -> None:
    changes: dict[str, dict[str, object]] = {
        "called": {},
        "from a cache": {"attempts": (), "strategy": Strategy.CACHE_EXACT},
        "unscored": {"score": None, "team": "", "feature": "", "config_version": 77},
    }
    decision = a_decision(apps.NOW_MS, **changes[served])
    with open_ledger(empty_app) as ledger:
        ledger.write_decisions([decision])
        refresh(ledger)
    assert "No requests yet" not in words(opened(page))
    if page == "explorer":
        opened(page, decision=decision.id.hex())


@pytest.mark.parametrize("page", PAGES)
def test_nonsense_in_the_link_falls_back_to_the_usual_view(page: str, demo_app: Path) -> None:
    app = opened(page, **NONSENSE)
    assert "Nothing in this view" not in words(app)
    assert page == "what_if" or "Demo data" in words(app)


@pytest.mark.parametrize("page", [*PAGES, "tuning", "prices", "versions"])
def test_a_ledger_that_vanishes_is_a_sentence(page: str, demo_app: Path) -> None:
    app = opened(page)
    demo_app.unlink()
    assert "there is no ledger" in words(checked(app.run())).lower()
