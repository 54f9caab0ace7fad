"""The review queue asks blind, keeps what is said as a person's label, and adds a round up."""

from __future__ import annotations

from pathlib import Path

import apps
import pytest
from apps import checked, figures, opened, rows, words
from decisions import a_decision
from streamlit.testing.v1 import AppTest

from dashboard import reviewing
from dashboard.reviewing import GRADES, Round, Said
from router_core.config import default_config
from router_core.decision import QualitySource
from router_core.ledger.labels import label, labels_of
from router_core.ledger.store import open_ledger

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app
TIERS = default_config().tier_names


def answer(app: AppTest, tier: str, grade: str) -> AppTest:
    checked(app.button(key=f"needs_{tier}").click().run())
    return checked(app.button(key=f"grade_{grade}").click().run())


REVIEWED = (
    "SELECT t.name, COUNT(*) FROM quality_label l JOIN decision d ON d.id = l.decision_id "
    "JOIN dimension t ON t.id = d.tier_id WHERE l.source = 4 AND l.needed_tier_id IS NOT NULL "
    "AND l.note <> 'review' GROUP BY 1"
)


def counted(found: list[tuple[object, ...]]) -> dict[str, int]:
    return {str(name): int(str(count)) for name, count in found}


def progress(app: AppTest) -> list[str]:
    """What the bars under "Reviewed so far" say."""
    texts = [bar.proto.text for bar in app.get("progress")]
    return [text for text in texts if text.partition(" ")[0] in TIERS]


def current(app: AppTest) -> Round:
    found = app.session_state["review_round"]
    assert isinstance(found, Round)
    return found


def test_both_answers_make_a_label_and_the_next_request_comes(demo_app: Path) -> None:
    app = opened("review_queue")
    (first, second, *_) = current(app).ids
    answer(app, "MEDIUM", "F")
    assert current(app).current == second
    with open_ledger(demo_app) as ledger:
        label = labels_of(ledger, first)[-1]
        decision = ledger.read_decision(first)
    assert (label.source, label.quality, label.needed_tier) == (QualitySource.PERSON, 0.75, "MEDIUM")
    assert (decision.quality, decision.quality_source) == (0.75, QualitySource.PERSON)
    assert f"You said **MEDIUM**, it had **{decision.tier}**" in words(app)
    before = counted(rows(demo_app, REVIEWED))
    app.run()
    after = {text.partition(" ")[0]: int(text.partition(" ")[2].replace(",", "")) for text in progress(app)}
    assert after == {tier: before.get(tier, 0) + (tier == decision.tier) for tier in TIERS}


def test_nothing_tells_the_tier_or_model_before_the_answer(demo_app: Path) -> None:
    app = opened("review_queue")
    with open_ledger(demo_app) as ledger:
        decision = ledger.read_decision(current(app).ids[0])
    said = "\n".join([words(app), *figures(app), *figures(app).values(), *(button.label for button in app.button)])
    for call in decision.attempts:
        assert call.model not in said
    # The tiers stand on the buttons and beside their counts, each of them just as often.
    counts = {tier: said.count(tier) for tier in TIERS}
    assert len(set(counts.values())) == 1


def test_an_answer_may_come_in_either_order_and_be_changed(demo_app: Path) -> None:
    app = opened("review_queue")
    first = current(app).ids[0]
    checked(app.button(key="grade_A").click().run())
    assert current(app).current == first
    checked(app.button(key="grade_G").click().run())
    checked(app.button(key="needs_SIMPLE").click().run())
    checked(app.button(key="undo").click().run())
    assert current(app).current == first
    answer(app, "REASONING", "A")
    with open_ledger(demo_app) as ledger:
        labels = [(one.quality, one.needed_tier) for one in labels_of(ledger, first) if one.author != "reviewer"]
        decision = ledger.read_decision(first)
    assert [one for one in labels if one[1]] == [(1.0, "SIMPLE"), (0.0, "REASONING")]
    assert decision.quality == 0.0  # the newest counts


def test_a_whole_round_by_answers_and_skips_is_added_up(demo_app: Path) -> None:
    app = opened("review_queue", days="7d")
    number = len(current(app).ids)
    assert number == len(TIERS) * reviewing.EACH
    for place in range(number):
        if place % 5 == 4:
            checked(app.button(key="skip").click().run())
        else:
            answer(app, "SIMPLE", "G")
    assert "Round done" in words(app)
    kept = number - number // 5
    assert f"{kept} labels kept" in words(app)
    ((written,),) = rows(demo_app, "SELECT COUNT(*) FROM quality_label WHERE note = 'review'")
    assert written == kept
    assert set(figures(app)) == {"Right", "Too strong", "Too cheap"}
    checked(app.button(key="again").click().run())
    with open_ledger(demo_app) as ledger:
        asked = [labels_of(ledger, key) for key in current(app).ids]
    assert not [label for labels in asked for label in labels if label.note == "review"]


def test_where_prompts_are_not_kept_it_offers_the_ids(empty_app: Path) -> None:
    from router_core.ledger.rollup import refresh

    with open_ledger(empty_app) as ledger:
        ledger.write_decisions([a_decision(apps.NOW_MS + place) for place in range(3)])
        refresh(ledger)
    app = opened("review_queue")
    assert len(current(app).ids) == 3
    assert "The text of this request was not kept" in words(app)
    assert "capture: {prompts: sample, retention_days: 30}" in [code.value for code in app.code]
    answer(app, "SIMPLE", "G")
    assert "Request 2" in words(app)


def test_captured_text_is_shown(empty_app: Path) -> None:
    import sqlalchemy as sa

    from router_core.ledger.rollup import refresh

    decision = a_decision(apps.NOW_MS)
    with open_ledger(empty_app) as ledger:
        ledger.write_decisions([decision])
        refresh(ledger)
        with ledger.writing() as connection:
            connection.execute(
                sa.text("INSERT INTO captured_prompt VALUES (:id, 99999999999999, :text)"),
                {"id": decision.id, "text": "why is the sky <b>blue</b>?"},
            )
    app = opened("review_queue")
    assert "why is the sky <b>blue</b>?" in [code.value for code in app.code]
    assert "was not kept" not in words(app)


def test_when_all_is_reviewed_it_says_so(empty_app: Path) -> None:
    from router_core.ledger.rollup import refresh

    decision = a_decision(apps.NOW_MS)
    with open_ledger(empty_app) as ledger:
        ledger.write_decisions([decision])
        label(ledger, decision.id, 1.0, QualitySource.PERSON)
        refresh(ledger)
    assert "Nothing left to review" in words(opened("review_queue"))


@pytest.mark.parametrize(
    ("needed", "assigned", "word"),
    [
        ("SIMPLE", "SIMPLE", "right"),
        ("SIMPLE", "COMPLEX", "too strong"),
        ("REASONING", "MEDIUM", "too cheap"),
        ("GONE", "MEDIUM", ""),
        (None, "MEDIUM", ""),
    ],
)
def test_what_an_answer_says_of_the_routing(needed: str | None, assigned: str, word: str) -> None:
    assert reviewing.verdict(a_decision(tier=assigned), Said(b"", needed, 1.0), TIERS) == word


def test_a_round_goes_on_and_back_without_losing_its_place() -> None:
    ids = (b"1" * 16, b"2" * 16)
    half = Round(ids).chosen(needed="SIMPLE")
    assert not half.complete
    full = half.chosen(quality=0.0)
    assert full.complete
    onward = full.onward()
    assert (onward.current, onward.said) == (ids[1], (Said(ids[0], "SIMPLE", 0.0),))
    assert onward.back() == Round(ids)
    end = onward.onward(skip=True)
    assert (end.current, len(end.labelled)) == (None, 1)
    assert end.onward() == end
    assert Round(()).current is None
    assert set(GRADES) == {0.0, 0.25, 0.5, 0.75, 1.0}
