"""A fitted scorer scores as scikit-learn would, on an honest scale, and is used only where it beats the baselines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prompts import PromptMaker
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from router_core.complexity.excerpt import excerpt
from router_core.complexity.fit import OVERALL, Fit, fit, summary
from router_core.complexity.graded import Graded, read_graded
from router_core.complexity.scorer import Scorer
from router_core.complexity.skill import apgr, compare
from router_core.complexity.tfidf import shape, tokens
from router_core.errors import InputError

AT_MS = 1_764_000_000_000


def graded(count: int, seed: int = 1, *, told_by: str = "words") -> Graded:
    """Return made-up prompts whose gain is told by their hard words, by their length, or by nothing."""
    maker = PromptMaker(seed)
    prompts = maker.many(count, shortest=50, longest=200 if told_by == "length" else 70)
    hard = set(maker.hard_words)
    if told_by == "words":
        need = np.array([min(len(hard & set(tokens(text))), 2) / 2 for text in prompts])
    elif told_by == "length":
        need = np.array([min(len(text) / 800, 1.0) for text in prompts])
    else:
        need = np.full(count, 0.5)
    rng = np.random.default_rng(seed)
    cheap = (rng.random(count) < 0.9 - 0.7 * need).astype(np.float64)
    strong = (rng.random(count) < 0.95 - 0.1 * need).astype(np.float64)
    groups = tuple("even" if index % 2 == 0 else "odd" for index in range(count))
    return Graded("made up", "small", "large", tuple(prompts), groups, cheap, strong)


@pytest.fixture(scope="module")
def told() -> Graded:
    return graded(2_400)


@pytest.fixture(scope="module")
def found(told: Graded) -> Fit:
    return fit(told, train_share=0.5)


def plain_apgr(scores: list[float], gains: list[float]) -> float:
    """Walk the share of strong calls from none to all, equal scores together, and average the gap recovered."""
    area, before, share = 0.0, 0.0, 0.0
    for score in sorted(set(scores), reverse=True):
        group = [gain for own, gain in zip(scores, gains, strict=True) if own == score]
        after = before + sum(group) / sum(gains)
        area += (before + after) / 2 * len(group) / len(gains)
        before, share = after, share + len(group) / len(gains)
    assert share == pytest.approx(1.0)
    return area


@given(
    st.lists(st.tuples(st.integers(0, 5), st.sampled_from([-1.0, 0.0, 0.5, 1.0])), min_size=1, max_size=40).filter(
        lambda pairs: sum(gain for _, gain in pairs) > 0
    )
)
def test_apgr_is_the_mean_over_shares_of_strong_calls_of_the_gap_recovered(pairs: list[tuple[int, float]]) -> None:
    scores, gains = [float(score) for score, _ in pairs], [gain for _, gain in pairs]
    assert apgr(np.array(scores), np.array(gains)) == pytest.approx(plain_apgr(scores, gains))


def test_apgr_of_no_information_is_a_half_and_reversing_a_score_mirrors_it() -> None:
    rng = np.random.default_rng(0)
    scores, gains = rng.random(500), (rng.random(500) < 0.3).astype(float)
    assert apgr(np.zeros(500), gains) == pytest.approx(0.5)
    assert apgr(scores, gains) + apgr(-scores, gains) == pytest.approx(1.0)
    assert apgr(gains, gains) == pytest.approx(1.0 - gains.mean() / 2)


def test_apgr_needs_a_gap() -> None:
    with pytest.raises(ValueError, match="not better"):
        apgr(np.array([1.0, 2.0]), np.array([1.0, -1.0]))


def test_intervals_hold_the_figure_and_the_random_one_is_where_luck_ends() -> None:
    rng = np.random.default_rng(0)
    gains = (rng.random(3_000) < 0.3).astype(float)
    found = compare({"good": gains + rng.normal(0, 1, 3_000), "bad": rng.random(3_000)}, gains)
    for name in ("good", "bad", "random"):
        skill = found.skills[name]
        assert skill.low is not None
        assert skill.apgr is not None
        assert skill.high is not None
        assert skill.low < skill.apgr < skill.high < skill.low + 0.1
    assert found.beats == {"random": True, "bad": True}
    assert not compare({"bad": rng.random(3_000), "good": gains}, gains).beats["good"]


def test_where_the_strong_model_may_not_be_better_no_skill_is_stated() -> None:
    rng = np.random.default_rng(0)
    gains = rng.choice([-1.0, 1.0], 200)
    found = compare({"one": rng.random(200), "two": rng.random(200)}, gains - gains.mean())
    assert {skill.apgr for skill in found.skills.values()} == {None}
    assert not any(found.beats.values())


def test_scores_are_those_of_scikit_learns_own_pipeline(told: Graded, found: Fit) -> None:
    def measures(texts: list[str]) -> np.ndarray:
        return np.array([shape(tokens(excerpt(text)), excerpt(text), len(text)) for text in texts])

    order = np.random.default_rng(0).permutation(len(told))
    train = [told.prompts[index] for index in order[: found.train]]
    union = FeatureUnion(
        [
            (
                "words",
                make_pipeline(
                    FunctionTransformer(lambda texts: [excerpt(text) for text in texts]),
                    TfidfVectorizer(
                        token_pattern=r"\w+|[^\w\s]", ngram_range=(1, 2), min_df=3, sublinear_tf=True, lowercase=True
                    ),
                ),
            ),
            (
                "shape",
                make_pipeline(
                    FunctionTransformer(measures), StandardScaler(), FunctionTransformer(lambda rows: 0.1 * rows)
                ),
            ),
        ]
    )
    rows = union.fit_transform(train)
    heads = []
    for quality in (told.cheap_quality, told.strong_quality):
        labels = quality[order[: found.train]]
        both = np.concatenate([np.flatnonzero(labels > 0), np.flatnonzero(labels < 1)])
        heads.append(LogisticRegression(C=found.strength, max_iter=2000).fit(rows[both], labels[both]))
    fresh = [*(told.prompts[index] for index in found.held_out), *PromptMaker(9).many(200, longest=4_000)]
    cheap, strong = (head.predict_proba(union.transform(fresh))[:, 1] for head in heads)
    ours = np.array([found.scorer.raw(text) for text in fresh])
    assert np.abs(ours - (strong - cheap)).max() < 1e-9


def test_a_scorer_finds_what_words_tell_and_says_by_how_much(found: Fit, told: Graded) -> None:
    assert found.beats_baselines
    facts = summary(found, told)
    assert facts["train"] == facts["test"] == 1_200
    assert [line["group"] for line in facts["skill"]] == [OVERALL, "even", "odd"]
    overall = facts["skill"][0]
    assert overall["n"] == 1_200
    assert overall["gain"]["low"] > overall["length"]["apgr"]
    assert overall["random"]["apgr"] == 0.5
    assert facts["sentence"].startswith("The scorer beats random, length alone and the rules: APGR 0.")
    assert facts["scorer"] == {"version": found.scorer.version, "vocabulary": found.head.vocabulary}


def test_a_scorer_that_is_no_better_than_length_alone_says_so() -> None:
    weak = fit(graded(1_200, told_by="length"), train_share=0.5)
    assert not weak.beats_baselines
    assert "no better than length alone" in weak.sentence


def test_a_scorer_that_found_nothing_says_so() -> None:
    weak = fit(graded(800, told_by="nothing"), train_share=0.5)
    assert not weak.beats_baselines
    assert "no better than a random choice" in weak.sentence


def test_where_there_is_no_gap_there_is_nothing_to_find() -> None:
    same = graded(400)
    weak = fit(
        Graded("s", "small", "large", same.prompts, same.groups, same.strong_quality, same.strong_quality),
        train_share=0.5,
    )
    assert not weak.beats_baselines
    assert weak.sentence.startswith("large is not measurably better than small on 200 held-out prompts")


def test_models_that_are_always_right_or_partly_right_can_be_fitted() -> None:
    some = graded(600)
    rng = np.random.default_rng(0)
    shades = Graded(
        "s", "small", "large", some.prompts, some.groups, some.cheap_quality * rng.random(600), np.ones(600)
    )
    assert 0 <= fit(shades, train_share=0.5).scorer.score(some.prompts[0]) <= 100


def test_a_boundary_at_70_sends_three_tenths_of_new_traffic_up(found: Fit) -> None:
    fresh = PromptMaker(55).many(2_000, shortest=50, longest=70)
    scores = np.array([found.scorer.score(text) for text in fresh])
    for mark in (30, 50, 70, 90):
        assert (scores >= mark).mean() == pytest.approx(1 - mark / 100, abs=0.03 if mark == 70 else 0.04)


def test_most_traffic_like_that_it_was_fitted_on_is_not_uncertain(told: Graded, found: Fit) -> None:
    confidences = np.array([found.scorer.judge(told.prompts[index])[1] for index in found.held_out])
    assert (confidences >= 0.5).mean() > 0.97
    assert found.scorer.judge("Съешь же ещё этих мягких французских булок")[1] == 0.0


def test_the_same_seed_gives_the_same_scorer_and_another_holds_out_other_prompts() -> None:
    first, again, other = (fit(graded(400), train_share=0.5, seed=seed) for seed in (0, 0, 1))
    assert again.scorer.version == first.scorer.version
    assert again.scorer.to_bytes() == first.scorer.to_bytes()
    assert other.scorer.version != first.scorer.version
    assert set(other.held_out) != set(first.held_out)


def test_an_artefact_reads_back_and_scores_the_same(told: Graded, found: Fit) -> None:
    again = Scorer.from_bytes(found.scorer.to_bytes())
    assert again.version == found.scorer.version
    for text in (*told.prompts[:300], "", "é" * 3_000, "\ud800 lone", "数学 問題 を 解く"):
        assert again.judge(text) == found.scorer.judge(text)
        assert again.raw(text) == found.scorer.raw(text)


@settings(max_examples=200)
@given(text=st.text() | st.lists(st.sampled_from(["the", "of", "?", "é", "9", "\n", "数", "zz"])).map(" ".join))
def test_any_text_at_all_has_a_gain(text: str, found: Fit) -> None:
    score, confidence = found.scorer.judge(text)
    assert 0 <= score <= 100
    assert 0.0 <= confidence <= 1.0
    assert -1.0 <= found.scorer.raw(text) <= 1.0


def test_a_share_that_leaves_too_few_prompts_is_refused(told: Graded) -> None:
    for share in (0.0, 1.0, -1.0):
        with pytest.raises(InputError, match="must lie between 0 and 1"):
            fit(told, train_share=share)
    with pytest.raises(InputError, match=r"2376 prompts to train on and 24 to test on are too few"):
        fit(told, train_share=0.99)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "cheap", "strong", "group", "bar"),
    [
        ("routellm", None, None, "mmlu", 0.64),
        ("mmlu_pro", "Meta-Llama-3_1-8B-Instruct", "gemini-1.5-pro-002", OVERALL, 0.55),
    ],
)
def test_on_recorded_outcomes_it_beats_random_length_and_rules(
    recorded: Path, source: str, cheap: str | None, strong: str | None, group: str, bar: float
) -> None:
    table = read_graded(recorded / source, at_ms=AT_MS, cheap=cheap, strong=strong)
    found = fit(table, train_share=0.5)
    assert found.beats_baselines
    reached = found.skill[group].skills["gain"].apgr
    assert reached is not None
    assert reached >= bar


def test_on_recorded_prompts_that_took_no_part_a_boundary_at_70_sends_three_tenths_up(recorded: Path) -> None:
    table = read_graded(recorded / "routellm", at_ms=AT_MS)
    order = np.random.default_rng(3).permutation(len(table))
    kept, away = order[:3_000], order[3_000:8_000]
    scorer = fit(part_of(table, kept), train_share=0.5).scorer
    sent_up = np.mean([scorer.score(table.prompts[index]) >= 70 for index in away])
    assert sent_up == pytest.approx(0.30, abs=0.03)


def part_of(table: Graded, kept: np.ndarray) -> Graded:
    return Graded(
        table.source,
        table.cheap,
        table.strong,
        tuple(table.prompts[index] for index in kept),
        tuple(table.groups[index] for index in kept),
        table.cheap_quality[kept],
        table.strong_quality[kept],
    )
