"""Health judges fairly: each trouble is seen, named and given a remedy, and quiet is not called trouble."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path

import apps
import pandas as pd
import pytest
from apps import figures, opened, words
from decisions import a_decision, an_attempt

from dashboard import condition, wording
from router_core.config import default_config, set_values
from router_core.decision import Kind, Status
from router_core.ledger.gateway_keys import GatewayKey, create_key, revoke_key
from router_core.ledger.health import Freshness, Storage
from router_core.ledger.lines import encode
from router_core.ledger.scorers import StoredScorer, save_scorer
from router_core.ledger.store import open_ledger
from router_core.ledger.writer import default_spool
from router_core.lifecycle import versions

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app
NOW = 1_800_000_000_000
DAY = 86_400_000


def test_the_demo_is_weighed_and_dated(demo_app: Path) -> None:
    app = opened("health")
    shown = figures(app)
    assert shown["Requests kept"] == "8,000"
    assert shown["Ledger"] == wording.size(demo_app.stat().st_size)
    assert shown["Waiting in the spool"] == "0"
    facts = next(frame.value for frame in app.dataframe if "remedy" in frame.value).set_index("name")
    assert facts.loc["Sums", "state"] == "every day is summed"
    assert facts.loc["Scorer", "verdict"] == ["watch"]
    named = next(caption for caption in app.caption if caption.value == f"· {demo_app.name}")
    assert named.help == str(demo_app)
    assert str(demo_app) not in words(app)
    events = next(frame.value for frame in app.dataframe if "detail" in frame.value)
    assert list(events["what"])[-1] == "push"


def test_what_waits_in_the_spool_and_what_has_no_price_is_seen(empty_app: Path) -> None:
    with open_ledger(empty_app) as ledger:
        unpriced = an_attempt(model="mystery-1", list_cost_nusd=None, price_id=None)
        ledger.write_decisions([a_decision(apps.NOW_MS, attempts=(unpriced,))])
        default_spool(ledger).write_bytes(encode(a_decision(apps.NOW_MS)) * 3)
        create_key(ledger, name="one", team="support")
        create_key(ledger, name="two", team="support")
        revoke_key(ledger, "two")
    app = opened("health")
    assert figures(app)["Waiting in the spool"] == "3"
    facts = next(frame.value for frame in app.dataframe if "remedy" in frame.value).set_index("name")
    assert facts.loc["Prices", "state"] == "1 call without a price: mystery-1"
    assert facts.loc["Writer and spool", "verdict"] == ["watch"]
    assert facts.loc["Gateway keys", "state"] == "1 key in use, 1 revoked"
    assert "3 things to look at" not in words(app) or list(facts["verdict"]).count(["watch"]) > 0


def test_the_audit_log_is_paged_by_link(empty_app: Path) -> None:
    with open_ledger(empty_app) as ledger:
        for number in range(45):
            ledger.event("me", "test", f"event {number}")

    def shown(**query: str) -> list[str]:
        app = opened("health", **query)
        return list(next(frame.value for frame in app.dataframe if "detail" in frame.value)["detail"])

    newest = shown()
    assert len(newest) == condition.EVENTS
    app = opened("health")
    app.button(key="older_events").click().run()
    older = list(next(frame.value for frame in app.dataframe if "detail" in frame.value)["detail"])
    assert not set(older) & set(newest)
    assert shown(events_before="nonsense") == newest
    assert shown(events_before="99999999999999999999") == newest


def test_the_skill_of_a_fitted_scorer_is_shown_beside_its_baselines(demo_app: Path) -> None:
    skill = {
        "beats_baselines": True,
        "skill": [
            {
                "group": "all",
                "n": 500,
                "gain": {"apgr": 0.74, "low": 0.7, "high": 0.78},
                "random": {"apgr": 0.5, "low": 0.46, "high": 0.54},
                "length": {"apgr": None, "low": None, "high": None},
            }
        ],
    }
    with open_ledger(demo_app) as ledger:
        save_scorer(ledger, "mine-1", b"", skill, at_ms=apps.NOW_MS)
        config = set_values(versions.live(ledger).config, ["classifier.scorer=mine-1"])
        versions.push(ledger, config, author="test", note="a scorer of our own")
    app = opened("health")
    table = next(frame.value for frame in app.dataframe if "apgr" in frame.value)
    assert list(table["scorer"]) == ["gain", "random"]
    facts = next(frame.value for frame in app.dataframe if "remedy" in frame.value).set_index("name")
    assert facts.loc["Scorer", "state"].startswith("mine-1, fitted")


def stored(**changes: object) -> Storage:
    return Storage(
        **{
            "bytes": 10,
            "journal_bytes": 0,
            "spool": Path("l.db.spool"),
            "spool_bytes": 0,
            "spooled": 0,
            "aside_bytes": 0,
            **changes,
        }
    )  # type: ignore[arg-type]


def test_each_trouble_has_a_remedy_and_quiet_is_good() -> None:
    assert condition.spooled(stored()).verdict == "good"
    waiting = condition.spooled(stored(spool_bytes=900, spooled=4))
    assert (waiting.verdict, waiting.state) == ("watch", "4 decisions in the spool, 900 B")
    assert condition.spooled(stored(aside_bytes=5)).verdict == "bad"
    assert condition.spooled(stored(spool=None)).verdict == "unknown"
    assert condition.spooled(stored(spool_bytes=10**9, spooled=None)).state.startswith("many decisions")

    days = tuple(date(2026, 11, number) for number in (1, 2, 3))
    assert condition.summed(Freshness(NOW, (), days[0])).verdict == "good"
    assert condition.summed(Freshness(NOW, days[:1], days[0])).verdict == "good"
    assert condition.summed(Freshness(NOW, days, None)).verdict == "watch"
    assert condition.summed(Freshness(None, (), None)).verdict == "unknown"

    assert condition.arriving(Freshness(NOW - 5 * 60_000, (), None), NOW).state == "the newest came 5 min ago"
    assert condition.arriving(Freshness(NOW - 3 * DAY, (), None), NOW).verdict == "watch"
    assert condition.arriving(Freshness(None, (), None), NOW).verdict == "unknown"


def test_scorers_are_judged_by_age_and_skill() -> None:
    plain = default_config()
    mine = set_values(plain, ["classifier.scorer=mine-1"])
    good = StoredScorer("mine-1", NOW - 2 * DAY, b"", {"beats_baselines": True})
    assert condition.scoring(plain, None, NOW).verdict == "watch"
    assert condition.scoring(mine, None, NOW).verdict == "bad"
    assert condition.scoring(mine, good, NOW).verdict == "good"
    poor = StoredScorer("mine-1", NOW, b"", {"beats_baselines": False})
    assert "no better" in condition.scoring(mine, poor, NOW).state
    old = StoredScorer("mine-1", NOW - 100 * DAY, b"", {})
    assert condition.scoring(mine, old, NOW).verdict == "watch"


@pytest.mark.parametrize(("prompts", "word"), [("none", "not kept"), ("sample", "of a sample"), ("all", "of every")])
def test_whether_prompts_are_kept_is_said(prompts: str, word: str) -> None:
    config = set_values(default_config(), [f"capture.prompts={prompts}"])
    assert word in condition.capturing(config).state


def test_keys_and_prices_without_traffic() -> None:
    assert condition.access([]).verdict == "watch"
    assert condition.access([GatewayKey("a", "t", (), 1, None)]).state == "1 key in use, 0 revoked"
    none = pd.DataFrame(columns=["model", "priced_attempts", "unpriced_attempts"])
    assert condition.pricing(none).verdict == "unknown"


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [
        (0, "just now"),
        (61_000, "1 min ago"),
        (119 * 60_000, "119 min ago"),
        (3 * 3_600_000, "3 h ago"),
        (50 * 3_600_000, "2 days ago"),
    ],
)
def test_ages_are_written_in_the_unit_that_tells(milliseconds: int, written: str) -> None:
    assert wording.ago(milliseconds) == written


@pytest.mark.parametrize(
    ("weight", "written"),
    [(0, "0 B"), (812, "812 B"), (48_400_000, "48.4 MB"), (1_200, "1.2 kB"), (3 * 10**9, "3.0 GB")],
)
def test_bytes_are_written_in_the_unit_that_tells(weight: int, written: str) -> None:
    assert wording.size(weight) == written


def test_an_endpoint_that_failed_just_now_is_seen_and_one_that_answered_since_is_not(empty_app: Path) -> None:
    now = time.time_ns() // 1_000_000
    failed = an_attempt(status=Status.RATE_LIMITED, final=False)
    other = an_attempt(kind=Kind.FAILOVER, model="gpt-4.1-mini", offset_ms=500)
    with open_ledger(empty_app) as ledger:
        ledger.write_decisions([a_decision(now - 4000, attempts=(failed, other))])
        facts = next(frame.value for frame in opened("health").dataframe if "remedy" in frame.value).set_index("name")
        assert facts.loc["Endpoints", "state"] == "left alone for 30 s: gpt-4.1-nano at openai"
        assert "gpt-4.1-nano at openai is left alone for 30 s" in words(opened("overview"))
        ledger.write_decisions([a_decision(now - 1000, attempts=(an_attempt(),))])
    apps.st.cache_data.clear()
    facts = next(frame.value for frame in opened("health").dataframe if "remedy" in frame.value).set_index("name")
    assert facts.loc["Endpoints", "verdict"] == ["good"]


@pytest.mark.parametrize(
    ("url", "name", "where"),
    [
        ("/data/a b/tierwise.db", "tierwise.db", "/data/a b/tierwise.db"),
        ("postgresql://user:secret@db.internal/routes?sslmode=require", "routes", "db.internal/routes?sslmode=require"),
        ("sqlite:///data/x.db", "x.db", "sqlite:///data/x.db"),
    ],
)
def test_a_ledger_is_called_by_its_file_or_database_and_tells_no_password(url: str, name: str, where: str) -> None:
    assert condition.place(url) == (name, where)


def test_a_ledger_is_named_as_from_the_folder_of_the_dashboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert condition.from_here(str(tmp_path / "data" / "x.db")) == "data/x.db"
    assert condition.from_here("/elsewhere/x.db") == "/elsewhere/x.db"
    assert condition.from_here("postgresql://host/x") == "postgresql://host/x"
