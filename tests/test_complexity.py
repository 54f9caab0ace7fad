"""Every request gets a score on the percentile scale; the first stage that is sure wins, and the rest are not asked."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompts import PromptMaker

from router_core.complexity.classify import Classifier
from router_core.complexity.excerpt import excerpt
from router_core.complexity.reference import Reference
from router_core.complexity.score import Score
from router_core.complexity.scorer import Scorer, percentile_cuts
from router_core.complexity.tfidf import GainHead
from router_core.config import RoutingConfig, build_config, default_config
from router_core.decision import Request
from router_core.errors import ConfigError, InputError
from tests.conftest import ROOT

PROVE = {"when": {"keywords": ["prove"]}, "score": 85}


def config(*rules: dict[str, Any], **classifier: Any) -> RoutingConfig:
    shipped = default_config().model_dump(mode="json")
    return build_config({**shipped, "rules": list(rules), "classifier": classifier})


def scorer(value: float = 0.3) -> Scorer:
    """Return a fitted scorer that knows one word and sees the same gain in every text."""
    ends = np.array([0.0, np.log(0.5 + value) - np.log(0.5 - value)])
    head = GainHead(["known"], np.array([], dtype=np.int64), np.array([[1.0, 0.0, 0.0]]), np.zeros((2, 8)), ends)
    return Scorer(head, [mark / 200 + 0.0001 for mark in range(1, 101)], "gain-1")


def words(known: int, unknown: int) -> Request:
    return Request("known " * known + "other " * unknown)


def test_a_rule_that_sets_a_score_is_certain_and_the_scorer_is_not_asked() -> None:
    found = Classifier(config(PROVE), scorer()).classify(Request("Prove it"))
    assert found == Score(85, "rules", 1.0, "gain-1", rule="rules.0")


def test_a_rule_that_names_a_tier_carries_it_and_scores_at_its_boundary() -> None:
    rules = (PROVE, {"when": {"keywords": ["contract"]}, "tier": "COMPLEX"})
    found = Classifier(config(*rules)).classify(Request("this contract"))
    assert (found.rule_tier, found.value, found.rule) == ("COMPLEX", 75, "rules.1")


def test_what_no_rule_knows_is_judged_by_the_fitted_scorer() -> None:
    found = Classifier(config(PROVE), scorer()).classify(words(9, 1))
    assert found == Score(59, "embedding", 0.9, "gain-1")


def test_without_a_fitted_scorer_the_reference_judges_and_is_sure_enough_for_the_shipped_gate() -> None:
    found = Classifier(config()).classify(Request("Why is the sky blue?"))
    assert (found.stage, found.scorer, found.confidence) == ("reference", "reference-1", 0.5)
    assert not found.uncertain


def test_a_stage_below_the_gate_is_uncertain_where_nobody_is_left_to_ask() -> None:
    assert Classifier(config(), scorer()).classify(words(4, 6)).uncertain
    assert not Classifier(config(), scorer()).classify(words(5, 5)).uncertain
    assert not Classifier(config(confidence=0.4), scorer()).classify(words(4, 6)).uncertain
    assert Classifier(config(), scorer()).classify(Request("")).uncertain


def test_a_later_stage_is_asked_only_where_the_ones_before_were_not_sure() -> None:
    asked = []

    def judge(request: Request) -> Score:
        asked.append(request.text)
        return Score(90, "judge", 0.8, "gain-1")

    settings = config(PROVE, stages=["rules", "embedding", "judge"])
    classifier = Classifier(settings, scorer(), {"judge": judge})
    assert classifier.classify(Request("known a known")).stage == "embedding"
    assert classifier.classify(Request("prove b")).stage == "rules"
    assert classifier.classify(Request("c")) == Score(90, "judge", 0.8, "gain-1")
    assert asked == ["c"]


def test_of_several_unsure_stages_the_surest_answer_stands() -> None:
    def judge(request: Request) -> Score | None:
        return None if request.text == "pass" else Score(90, "judge", 0.3, "gain-1")

    classifier = Classifier(config(stages=["embedding", "judge"]), scorer(), {"judge": judge})
    for known, stage in ((2, "judge"), (4, "embedding")):
        found = classifier.classify(words(known, 10 - known))
        assert (found.stage, found.uncertain) == (stage, True)
    assert classifier.classify(Request("pass")).stage == "embedding"


def test_stages_are_asked_in_the_order_of_the_configuration() -> None:
    classifier = Classifier(config(PROVE, stages=["embedding", "rules"]), scorer())
    assert classifier.classify(Request("prove known")).stage == "embedding"
    assert classifier.classify(Request("now prove that")).stage == "rules"


def test_with_rules_alone_the_reference_answers_last() -> None:
    settings = config(PROVE, stages=["rules"])
    assert Classifier(settings).classify(Request("Show it")).stage == "reference"


def test_rules_that_cannot_be_compiled_are_refused() -> None:
    with pytest.raises(ConfigError, match="empty"):
        Classifier(config({"when": {"keywords": [""]}, "score": 1}))


def test_no_more_than_the_beginning_and_the_end_of_a_prompt_is_read() -> None:
    assert excerpt("a" * 2_000) == "a" * 2_000
    assert excerpt("a" * 1_500 + "b" * 501) == "a" * 1_500 + "\n" + "b" * 500
    assert len(excerpt("x" * 10_000_000)) == 2_001


def test_ten_megabytes_are_scored_in_no_more_time_than_a_page() -> None:
    classifier = Classifier(default_config())
    page, book = "All work and no play. " * 100, "All work and no play. " * 480_000
    classifier.classify(Request(page))
    took = []
    for text in (page, book):
        began = time.thread_time()
        for _ in range(50):
            found = classifier.classify(Request(text))
        took.append(time.thread_time() - began)
    assert found == classifier.classify(Request(book))
    assert 0 <= found.value <= 100
    assert took[1] < 20 * took[0]


@given(st.text() | st.text(alphabet=st.characters(categories=["Cs", "Nd", "Cc", "So"])))
def test_any_text_at_all_has_a_score(text: str) -> None:
    found = SHIPPED.classify(Request(text))
    assert 0 <= found.value <= 100
    assert found == SHIPPED.classify(Request(text))


SHIPPED = Classifier(default_config())


def test_the_shipped_scale_is_made_of_the_shipped_prompts() -> None:
    rows = [json.loads(line) for line in (ROOT / "data" / "reference_prompts.jsonl").read_text().splitlines()]
    head = Reference()
    raw = [head.raw(excerpt(row["prompt"]), len(row["prompt"]))[0] for row in rows]
    assert Scorer.reference().cuts == pytest.approx(percentile_cuts(raw), abs=1e-4)


def test_the_reference_tells_small_talk_from_work_and_says_why() -> None:
    reference = Scorer.reference()
    chat = reference.score("hi, thanks!")
    work = reference.score(
        "Compare two designs for a rate limiter step by step, justify the trade-offs, and implement the better one."
    )
    assert chat < 20 < 70 < work
    assert Reference().signs("Prove it step by step") == ["mathematics", "several steps"]


def test_a_scale_can_be_mapped_to_other_traffic_without_grades() -> None:
    texts = PromptMaker(3).many(600)
    mapped = Scorer.reference().rescaled(texts)
    for mark in (30, 50, 70, 90):
        assert sum(mapped.score(text) >= mark for text in texts) == pytest.approx(6 * (100 - mark), abs=12)
    assert mapped.version == Scorer.reference().rescaled(texts).version != "reference-1"
    order = sorted(texts, key=Scorer.reference().raw)
    assert [mapped.score(text) for text in order] == sorted(mapped.score(text) for text in texts)


def test_a_scale_of_a_handful_of_prompts_is_refused() -> None:
    with pytest.raises(InputError, match="at least 100 prompts, and there are 3"):
        Scorer.reference().rescaled(["a", "b", "c"])


def test_a_mapped_reference_reads_back_from_its_artefact() -> None:
    texts = PromptMaker(3).many(200, longest=200)
    mapped = Scorer.reference().rescaled(texts)
    again = Scorer.from_bytes(mapped.to_bytes())
    assert (again.version, again.cuts, again.stage) == (mapped.version, mapped.cuts, "reference")
    assert [again.judge(text) for text in texts] == [mapped.judge(text) for text in texts]


@pytest.mark.parametrize("artefact", [b"", b"not a zip", b"PK\x03\x04 cut short", b"\x93NUMPY"])
def test_what_is_not_an_artefact_is_refused(artefact: bytes) -> None:
    with pytest.raises(InputError, match="not a scorer artefact"):
        Scorer.from_bytes(artefact)


def test_an_artefact_cut_short_or_of_another_kind_is_refused() -> None:
    whole = Scorer.reference().to_bytes()
    with pytest.raises(InputError):
        Scorer.from_bytes(whole[: len(whole) // 2])
    other = scorer()
    other.head.kind, other.version = "centroids", "gain-x"
    with pytest.raises(InputError, match="'gain-x' was made by another version of Tierwise"):
        Scorer.from_bytes(other.to_bytes())


def test_routing_loads_no_fitting_library() -> None:
    code = (
        "import sys\n"
        "import router_core.complexity.classify, router_core.policy\n"
        "from router_core.config import default_config\n"
        "from router_core.decision import Request\n"
        "router_core.complexity.classify.Classifier(default_config()).classify(Request('Why?'))\n"
        "heavy = {'pandas', 'sklearn', 'scipy', 'streamlit', 'pyarrow', 'sqlalchemy', 'genai_prices'}\n"
        "loaded = sorted(heavy & set(sys.modules))\n"
        "import psutil\n"
        "print(loaded, psutil.Process().memory_info().rss // 2**20)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, megabytes = run.stdout.rsplit(" ", 1)
    assert loaded == "[]"
    assert int(megabytes) <= 130
