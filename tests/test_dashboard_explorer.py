"""The Explorer finds decisions, pages through them by links that can be sent, and explains each one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import apps
import pytest
from apps import checked, figures, opened, rows, words
from decisions import a_decision, an_attempt
from streamlit.testing.v1 import AppTest

from dashboard import decisions, wording
from router_core.config import default_config, set_values
from router_core.decision import Kind, QualitySource, Reason, Status
from router_core.ledger.explorer import Search, find
from router_core.ledger.record import read_record
from router_core.ledger.store import open_ledger

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app


def listed(app: AppTest) -> list[str]:
    return list(next(frame.value for frame in app.dataframe if "latency" in frame.value)["id"])


def asked(app: AppTest, name: str) -> str:
    value = app.query_params[name]
    return value if isinstance(value, str) else str(value[0])


def test_it_lists_the_newest_and_turns_pages_both_ways(demo_app: Path) -> None:
    app = opened("explorer", days="90d")
    newest = [str(row[0]) for row in rows(demo_app, "SELECT HEX(id) FROM decision ORDER BY id DESC LIMIT 40")]
    written = [decisions.written(bytes.fromhex(key)) for key in newest]
    assert listed(app) == written[:20]
    assert app.button(key="newer").disabled
    checked(app.button(key="older").click().run())
    assert listed(app) == written[20:]
    assert asked(app, "before") == written[19]
    checked(app.button(key="newer").click().run())
    assert listed(app) == written[:20]
    assert "before" not in app.query_params


def test_a_link_opens_the_same_page_of_the_same_search(demo_app: Path) -> None:
    with open_ledger(demo_app) as ledger:
        wanted = Search(feature="support_chat", tier="MEDIUM", status="ok")
        first = find(ledger, wanted)
        second = find(ledger, wanted, before=first.lines[-1].id)
    query = {"feature": "support_chat", "tier": "MEDIUM", "status": "ok", "days": "90d"}
    app = opened("explorer", **query, before=decisions.written(first.lines[-1].id))
    assert listed(app) == [decisions.written(line.id) for line in second.lines]
    ((count,),) = rows(
        demo_app,
        "SELECT COUNT(*) FROM decision WHERE status = 0 "
        "AND feature_id = (SELECT id FROM dimension WHERE kind = 'feature' AND name = 'support_chat') "
        "AND tier_id = (SELECT id FROM dimension WHERE kind = 'tier' AND name = 'MEDIUM')",
    )
    assert f"{wording.count(count)} requests match" in words(app)


def test_another_search_starts_at_its_newest(demo_app: Path) -> None:
    app = opened("explorer")
    checked(app.button(key="older").click().run())
    checked(app.selectbox(key="tier").set_value("REASONING").run())
    assert "before" not in app.query_params
    with open_ledger(demo_app) as ledger:
        assert listed(app)[0] == decisions.written(find(ledger, Search(tier="REASONING")).lines[0].id)


def test_it_finds_a_decision_by_how_its_id_begins(demo_app: Path) -> None:
    ((key,),) = rows(demo_app, "SELECT LOWER(HEX(id)) FROM decision ORDER BY id LIMIT 1")
    app = opened("explorer", id=str(key)[:14], days="7d")
    assert listed(app)[0].replace("-", "").startswith(str(key)[:14])
    app = opened("explorer", id="not hexadecimal")
    assert "No decision's id begins with 'not hexadecimal'" in words(app)


def test_one_decision_is_told_with_its_calls_and_the_prices_that_priced_them(demo_app: Path) -> None:
    ((key,),) = rows(demo_app, "SELECT HEX(id) FROM decision WHERE escalations > 0 ORDER BY id DESC LIMIT 1")
    with open_ledger(demo_app) as ledger:
        record = read_record(ledger, bytes.fromhex(str(key)))
    decision = record.decision
    app = opened("explorer", decision=decisions.written(decision.id))
    assert figures(app)["Cost"] == wording.usd(decision.cost_nusd)
    calls = next(frame.value for frame in app.dataframe if "kind" in frame.value)
    assert list(calls["model"]) == [call.model for call in decision.attempts]
    assert "escalation" in list(calls["kind"])
    assert calls["usd"].sum() == pytest.approx((decision.cost_nusd or 0) / 1e9)
    prices = next(frame.value for frame in app.dataframe if "layer" in frame.value)
    assert len(prices) == len(record.prices) > 0
    for number, call in enumerate(decision.attempts, start=1):
        if call.price_id is not None and call.usage is not None and call.list_cost_nusd:
            row = prices[prices["calls"].map(lambda calls, number=number: str(number) in calls.split(", "))].iloc[0]
            assert row["model"] == call.model
            cached = call.usage.cache_read_input_tokens
            cost = (call.usage.input_tokens - cached) * row["input"] + call.usage.output_tokens * row["output"]
            assert cost + cached * row["cache_read"] == pytest.approx(call.list_cost_nusd / 1e3, rel=1e-3)
    assert f"Sent to **{decision.tier}** by {decisions.WHY[decision.reason]}" in words(app)


def test_stepping_goes_through_the_matches_and_back_to_the_list(demo_app: Path) -> None:
    with open_ledger(demo_app) as ledger:
        lines = find(ledger, Search(tier="COMPLEX")).lines
    app = opened("explorer", tier="COMPLEX", decision=decisions.written(lines[1].id))
    checked(app.button(key="older_one").click().run())
    assert asked(app, "decision") == decisions.written(lines[2].id)
    checked(app.button(key="newer_one").click().run())
    checked(app.button(key="newer_one").click().run())
    assert asked(app, "decision") == decisions.written(lines[0].id)
    assert app.button(key="newer_one").disabled
    checked(app.button(key="back").click().run())
    assert listed(app)[0] == decisions.written(lines[0].id)


def test_the_draft_says_where_it_would_send_the_same_score(demo_app: Path) -> None:
    with open_ledger(demo_app) as ledger:
        line = next(one for one in find(ledger, Search(tier="MEDIUM", reason="policy")).lines if one.score)
    moved = opened("explorer", decision=decisions.written(line.id), draft=f",MEDIUM:{(line.score or 0) + 1}")
    assert "Under your draft: **SIMPLE**" in words(moved)
    plain = opened("explorer", decision=decisions.written(line.id))
    assert "Move a boundary in Tuning" in words(plain)


@pytest.mark.parametrize(
    ("reason", "changes", "tier"),
    [
        (Reason.POLICY, [], "SIMPLE"),
        (Reason.EXPLORE, [], "SIMPLE"),
        (Reason.POLICY, ["boundaries.MEDIUM=30"], "MEDIUM"),
        (Reason.UNCERTAIN, [], "MEDIUM"),
        (Reason.RULE, ["boundaries.MEDIUM=30"], "SIMPLE"),
        (Reason.STICKY, [], "SIMPLE"),
        (Reason.POLICY, ["features.chat.pin=REASONING"], "REASONING"),
        (Reason.PIN, [], "SIMPLE"),
    ],
)
def test_the_same_request_under_another_configuration(reason: Reason, changes: list[str], tier: str) -> None:
    config = set_values(default_config(), changes)
    assert decisions.routed_by(a_decision(reason=reason), config)[0] == tier


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"stage": "rules", "score": 85}, ["85, which decided", "was not asked", "was not asked"]),
        (
            {
                "stage": "embedding",
                "score": 62,
                "attempts": (an_attempt(kind=Kind.EMBEDDING, final=False), an_attempt()),
            },
            ["no rule matched", "62, which decided", "was not asked"],
        ),
        (
            {"stage": "judge", "score": 55, "attempts": (an_attempt(kind=Kind.CLASSIFIER, final=False), an_attempt())},
            ["no rule matched", "was asked, and was not sure enough", "55, which decided"],
        ),
        (
            {
                "stage": "reference",
                "score": 40,
                "reason": Reason.UNCERTAIN,
                "attempts": (an_attempt(kind=Kind.CLASSIFIER, status=Status.TIMEOUT, usage=None), an_attempt()),
            },
            [
                "no rule matched",
                "40 by the reference, which stands in for a fitted scorer, the surest, though none was sure",
                "was asked, and did not answer",
            ],
        ),
        ({"stage": "", "score": None}, []),
    ],
)
def test_each_stage_says_what_it_made_of_the_request(changes: dict[str, Any], said: list[str]) -> None:
    config = set_values(default_config(), ["classifier.stages=[rules, embedding, judge]"])
    found = decisions.stages(a_decision(**changes), config)
    assert [sentence for _, sentence in found] == said
    assert [name for name, _ in found] == ["rules", "embedding", "judge"][: len(said)]


def test_what_was_expected_of_the_answer_is_shown_beside_what_came(empty_app: Path) -> None:
    made = replace(
        a_decision(apps.NOW_MS), stage="embedding", expected_output_tokens=240, attempts=(an_attempt(price_id=None),)
    )
    bare = a_decision(apps.NOW_MS, attempts=(an_attempt(price_id=None),))
    with open_ledger(empty_app) as ledger:
        ledger.write_decisions([made, bare])
    app = opened("explorer", decision=decisions.written(made.id), draft=",MEDIUM:20")
    assert figures(app)["Expected answer"] == "240 tokens"
    said = words(app)
    assert "Score by stage: **rules** no rule matched → **embedding** 37, which decided." in said
    assert "Under your draft: **MEDIUM** (score 37)." in said  # a score is sent anew whoever gave it
    assert figures(opened("explorer", decision=decisions.written(bare.id)))["Expected answer"] == wording.UNKNOWN


def test_what_was_not_scored_cannot_be_rerouted() -> None:
    tier, why = decisions.routed_by(a_decision(score=None), default_config())
    assert tier is None
    assert "not scored" in why
    gone, _ = decisions.routed_by(replace(a_decision(reason=Reason.RULE), tier="GONE"), default_config())
    assert gone is None


def test_calls_without_usage_or_price_are_unknown_not_zero(empty_app: Path) -> None:
    calls = (
        an_attempt(usage=None, list_cost_nusd=None, price_id=None, final=False),
        an_attempt(list_cost_nusd=None, price_id=None),
    )
    decision = a_decision(apps.NOW_MS, attempts=calls, quality=0.75, quality_source=QualitySource.FEEDBACK)
    with open_ledger(empty_app) as ledger:
        ledger.write_decisions([decision])
    app = opened("explorer", decision=decision.id.hex())
    assert figures(app)["Cost"] == "–"
    assert "No price is known for these calls" in words(app)
    frame = decisions.calls(decision)
    assert frame["usd"].isna().all()
    assert frame["input"].isna().tolist() == [True, False]


@pytest.mark.parametrize("link", ["01a2093b", "'; DROP TABLE decision; --", "f" * 32])
def test_a_link_to_no_decision_is_a_sentence(link: str, demo_app: Path) -> None:
    app = opened("explorer", decision=link)
    assert "no decision" in words(app)
    checked(app.button[0].click().run())
    assert listed(app)


def test_nonsense_in_the_link_is_ignored(demo_app: Path) -> None:
    app = opened("explorer", before="<b>", after="1", tier="no tier", status="fine", reason="because", days="-1")
    assert len(listed(app)) == 20
