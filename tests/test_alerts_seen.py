"""An alert that somebody has seen stays away until its cause is another; who saw it, and when, is kept."""

from __future__ import annotations

import json
import time
from datetime import date
from typing import Any

import pytest
from decisions import DAY_MS, a_decision, an_attempt

from router_core.cli import main
from router_core.config import default_config, plain
from router_core.config.routing import build_config
from router_core.decision import new_decision_id
from router_core.ledger.alert_notices import notices, see, take, unsee
from router_core.ledger.health import events
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger
from router_core.lifecycle import versions
from router_core.lifecycle.attention import gathered, whole_days

DAY = date(2026, 3, 1)


def budgeted(ledger: Ledger, *budgets: dict[str, Any], **more: Any) -> None:
    """Push the shipped configuration with budgets."""
    config = build_config({**plain(default_config()), "budgets": list(budgets), **more})
    versions.push(ledger, config, author="finance", note="budgets")


def spent(ledger: Ledger, usd: float, team: str = "support") -> None:
    """Have a team spend so much, now."""
    now_ms = time.time_ns() // 1_000_000
    call = an_attempt(list_cost_nusd=round(usd * 1e9))
    ledger.write_decisions([a_decision(now_ms, id=new_decision_id(now_ms), team=team, attempts=(call,))])


def asked(capsys: pytest.CaptureFixture[str], ledger: Ledger, *options: str) -> list[dict[str, Any]]:
    with pytest.raises(SystemExit) as ended:
        main(["alerts", "--json", "--db", str(ledger.engine.url.database), *options])
    assert ended.value.code == 0
    return list(json.loads(capsys.readouterr().out))


def test_a_seen_alert_is_marked_with_who_and_when_and_returns_with_another_cause(
    ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    budgeted(ledger, {"scope": "team:support", "max_budget": 100})
    spent(ledger, 85)
    (near,) = asked(capsys, ledger)
    assert near["sentence"].startswith("85% of the budget of $100.00 for team support is spent")
    assert near["seen_at_ms"] is None
    (seen,) = asked(capsys, ledger, "--seen", near["id"])
    assert abs(seen["seen_at_ms"] - time.time() * 1000) < 60_000
    assert seen["seen_by"]
    assert next((one.what, one.detail) for one in events(ledger)) == ("alert seen", near["sentence"])
    spent(ledger, 2)  # the same cause, told with other figures
    (still,) = asked(capsys, ledger)
    assert (still["key"], still["seen_by"]) == (near["key"], seen["seen_by"])
    assert still["sentence"].startswith("87%")
    spent(ledger, 20)  # another threshold
    (over,) = asked(capsys, ledger)
    assert over["sentence"].startswith("The budget of $100.00 for team support is spent")
    assert over["seen_at_ms"] is None


def test_what_does_not_stand_cannot_be_seen(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["alerts", "--db", str(ledger.engine.url.database), "--seen", "nonsense"])
    assert ended.value.code == 2
    assert "no alert 'nonsense' stands now; those that do: none" in capsys.readouterr().err


def test_seeing_again_changes_nothing_and_it_can_be_taken_back(ledger: Ledger) -> None:
    assert see(ledger, "k", who="ada", sentence="S", at_ms=5)
    assert not see(ledger, "k", who="bob", sentence="S", at_ms=9)
    assert (notices(ledger)["k"].seen_by, notices(ledger)["k"].seen_at_ms) == ("ada", 5)
    assert unsee(ledger, "k", who="bob", sentence="S")
    assert not unsee(ledger, "k", who="bob", sentence="S")
    assert notices(ledger)["k"].seen_at_ms is None
    assert [(one.who, one.what) for one in events(ledger)][:2] == [("bob", "alert shown again"), ("ada", "alert seen")]


def test_only_one_sender_takes_an_alert_on_until_it_died_over_it(ledger: Ledger) -> None:
    assert take(ledger, "k", 1_000_000)
    assert not take(ledger, "k", 1_000_500)
    assert take(ledger, "k", 1_000_000 + 60_000)
    see(ledger, "k", who="ada", sentence="S", at_ms=1)
    assert not take(ledger, "k", 9_000_000)


def test_every_kind_of_alert_is_gathered_from_the_ledger(ledger: Ledger) -> None:
    budgeted(ledger, {"max_budget": 1}, {"scope": "feature:chat", "max_budget": 1e6})
    now_ms = time.time_ns() // 1_000_000
    unknown = an_attempt(list_cost_nusd=None, price_id=None, model="new-model")
    ledger.write_decisions(
        [
            *(a_decision(now_ms - back * DAY_MS) for back in range(5)),
            a_decision(now_ms - 1000, attempts=(an_attempt(list_cost_nusd=3 * 10**9),)),
            a_decision(now_ms - 1000, attempts=(unknown,)),
        ]
    )
    config = versions.live(ledger).config
    lagging = [one.kind for one in gathered(ledger, config, now_ms)]
    assert lagging == ["rollup"]
    refresh(ledger)
    found = gathered(ledger, config, now_ms)
    assert [(one.kind, one.subject) for one in found] == [("budget", "all"), ("coverage", "prices")]
    assert len({one.id for one in found}) == 2


def test_a_day_without_traffic_costs_nothing_and_the_first_is_left_out() -> None:
    days = {DAY: 5, date(2026, 3, 3): 7}
    assert whole_days(days, DAY, date(2026, 3, 2), date(2026, 3, 4)) == {date(2026, 3, 2): 0, date(2026, 3, 3): 7}
    assert whole_days(days, DAY, DAY, date(2026, 3, 4)) == {**days, date(2026, 3, 2): 0}
