"""Embeddings by an endpoint: fitted on its vectors, asked where the rules are not sure, paid for and on record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from served import CALL, config, served, told
from upstream import upstream

from router_core.complexity.classify import Classifier
from router_core.complexity.embedded import EmbeddedHead, unit
from router_core.complexity.fit import Fit
from router_core.complexity.fit_embedded import fit_embedded
from router_core.complexity.graded import Graded
from router_core.complexity.scorer import Scorer
from router_core.complexity.vectors import embed_texts
from router_core.config import RoutingConfig
from router_core.decision import Kind, Reason, Strategy
from router_core.errors import ConfigError, InputError, ProviderRefusedError

EMBED_CALL = 7 * 1_000  # the upstream counts seven tokens a text
HARD, EASY = "quince that the lemma holds for the apple and the plum", "name an apple or a plum for the pie"
VOCABULARY = "apple plum pie for the and a an of to name that is in it cut bake wash peel slice lemma holds or bring"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with upstream() as address:
        yield address


def settings(url: str, yaml: str = "", model: str = "embed") -> RoutingConfig:
    return config(url, {"embed": model}, yaml)


def graded(count: int = 800) -> Graded:
    """Return prompts of which those that say "quince" gain by the strong model."""
    rng = np.random.default_rng(1)
    hard = rng.random(count) < 0.4
    texts = [" ".join([*rng.choice(VOCABULARY.split(), 9), *(["quince"] if one else [])]) for one in hard]
    cheap = (rng.random(count) < np.where(hard, 0.1, 0.95)).astype(float)
    return Graded("made up", "cheap", "strong", tuple(texts), ("",) * count, cheap, np.ones(count))


@pytest.fixture(scope="module")
def found(url: str) -> Fit:
    table = graded()
    return fit_embedded(table, embed_texts("embed/embed", table.prompts, settings(url)), train_share=0.5)


def judging(found: Fit, model: str = "embed/embed") -> Scorer:
    """Return the fitted scorer as read back from its artefact, asking another endpoint."""
    scorer = Scorer.from_bytes(found.scorer.to_bytes())
    assert isinstance(scorer.head, EmbeddedHead)
    scorer.head.model = model
    return scorer


def test_a_scorer_is_fitted_on_vectors_and_its_artefact_reads_back(found: Fit, url: str) -> None:
    assert found.beats_baselines
    scorer = judging(found)
    assert (scorer.version, scorer.endpoint, scorer.stage) == (found.scorer.version, "embed/embed", "embedding")
    vectors = embed_texts("embed/embed", [HARD, EASY], settings(url)).vectors
    assert [scorer.judge_vector(vector) for vector in vectors] == [found.scorer.judge_vector(one) for one in vectors]
    (hard, sure), (easy, _) = (scorer.judge_vector(vector) for vector in vectors)
    assert hard > 60 > easy
    assert 0 < sure <= 1
    assert scorer.judge_vector(10 * vectors[0]) == (hard, sure)  # only the direction counts
    with pytest.raises(InputError, match="gave 3 numbers, and the scorer was fitted on 64; fit it again"):
        scorer.judge_vector(np.ones(3))
    with pytest.raises(InputError, match="judges embeddings of embed/embed"):
        scorer.score("hello")


def test_centroids_are_chosen_where_they_do_better_and_confidence_falls_with_distance() -> None:
    rng = np.random.default_rng(0)
    count, dimensions = 300, 200  # too few prompts for so many weights
    gained = rng.random(count) < 0.5
    direction = unit(rng.normal(size=dimensions))
    vectors = (
        rng.normal(size=(count, dimensions)) * 0.1
        + np.where(gained, 1, -1)[:, None] * direction
        + 3 * unit(np.ones(dimensions))
    )
    table = Graded("s", "c", "s", ("x",) * count, ("",) * count, (~gained).astype(float), np.ones(count))
    from router_core.complexity.vectors import Embedded

    found = fit_embedded(table, Embedded("p/m", vectors, None), train_share=0.5)
    again = Scorer.from_bytes(found.scorer.to_bytes())
    held = [again.judge_vector(vectors[index]) for index in found.held_out]
    assert np.mean([score >= 50 for score, _ in held]) == pytest.approx(0.5, abs=0.1)
    assert np.mean([sure == 1.0 for _, sure in held]) > 0.8
    assert again.judge_vector(-vectors[0])[1] == 0.0


async def test_an_endpoints_vector_gives_the_score_and_its_call_is_on_record(
    url: str, db_path: Path, found: Fit
) -> None:
    chosen = settings(url, "rules: [{when: {keywords: [contract]}, score: 10}]")
    async with served(url, db_path, chosen, classifier=Classifier(chosen, judging(found))) as run:
        _, hard = await run.ask(HARD)
        _, easy = await run.ask(EASY)
        _, ruled = await run.ask(f"contract: {HARD}")
    assert (hard.stage, hard.reason, hard.scorer_version) == ("embedding", Reason.POLICY, found.scorer.version)
    assert hard.score is not None
    assert hard.score >= 60
    answering = {"SIMPLE": "cheap", "MEDIUM": "middle", "STRONG": "strong"}[hard.tier]
    assert told(hard.attempts) == [("EMBEDDING", "embed", "OK", False), ("ANSWER", answering, "OK", True)]
    asked = hard.attempts[0]
    assert (asked.list_cost_nusd, asked.reason) == (EMBED_CALL, "classifier")
    assert asked.usage is not None
    assert asked.usage.output_tokens == 0
    assert hard.attempts[1].offset_ms >= asked.offset_ms + asked.latency_ms - 1
    assert hard.cost_nusd == EMBED_CALL + CALL[answering]
    assert (easy.tier, easy.cost_nusd) == ("SIMPLE", EMBED_CALL + CALL["cheap"])
    assert (ruled.stage, ruled.score) == ("rules", 10)  # a rule that is sure leaves the endpoint unasked
    assert told(ruled.attempts) == [("ANSWER", "cheap", "OK", True)]


@pytest.mark.parametrize(
    ("model", "status", "reason"),
    [
        ("http-500", "REFUSED", "refused 500"),
        ("embed-few", "OK", "classifier: other dimensions"),
        ("html", "BAD_ANSWER", ""),
    ],
)
async def test_an_endpoint_that_gives_no_vector_costs_no_answer_and_goes_one_tier_up(
    url: str, db_path: Path, found: Fit, model: str, status: str, reason: str
) -> None:
    chosen = settings(url)
    async with served(url, db_path, chosen, classifier=Classifier(chosen, judging(found, f"embed/{model}"))) as run:
        _, decision = await run.ask("hello")
    assert (decision.stage, decision.reason, decision.tier) == ("reference", Reason.UNCERTAIN, "MEDIUM")
    assert decision.scorer_version == Scorer.reference().version  # scores of two scales are never mixed
    assert [(one.kind, one.status.name) for one in decision.attempts[:1]] == [(Kind.EMBEDDING, status)]
    assert decision.attempts[0].reason.startswith(reason)
    assert decision.attempts[-1].model == "middle"


async def test_a_judge_is_asked_where_the_vector_is_unlike_any_before(url: str, db_path: Path, found: Fit) -> None:
    yaml = "classifier: {stages: [rules, embedding, judge], confidence: 0.6, judge_model: umpire}"
    chosen = config(url, {"embed": "embed", "umpire": "says:10"}, yaml)
    async with served(url, db_path, chosen, classifier=Classifier(chosen, judging(found))) as run:
        _, strange = await run.ask("zzz qqq www")
        _, known = await run.ask(HARD)
    kinds = [one.kind for one in strange.attempts]
    assert kinds == [Kind.EMBEDDING, Kind.CLASSIFIER, Kind.ANSWER]
    assert (strange.stage, strange.score, strange.tier) == ("judge", 95, "STRONG")
    assert strange.cost_nusd == EMBED_CALL + CALL["cheap"] + CALL["strong"]
    assert Kind.CLASSIFIER not in [one.kind for one in known.attempts]


SEMANTIC = "cache: {mode: semantic, similarity_threshold: 0.8, embeddings: embed/embed}"


async def test_a_semantic_cache_may_know_likeness_from_an_endpoints_vectors(url: str, db_path: Path) -> None:
    async with served(url, db_path, settings(url, SEMANTIC)) as run:
        _, first = await run.ask("how do I bake an apple pie for the plum tart")
        _, again = await run.ask("how do I bake an apple pie for the plum tart")
        _, alike = await run.ask("for the plum tart how do I bake an apple pie")
        _, denied = await run.ask("how do I not bake an apple pie for the plum tart")
        _, other = await run.ask("name three rivers of the north")
    assert told(first.attempts) == [("EMBEDDING", "embed", "OK", False), ("ANSWER", "cheap", "OK", True)]
    assert first.attempts[0].reason == "cache"
    assert (again.strategy, again.attempts) == (Strategy.CACHE_EXACT, ())  # a repetition needs no vector
    assert (alike.strategy, alike.cost_nusd) == (Strategy.CACHE_SEMANTIC, EMBED_CALL)
    assert [decision.strategy for decision in (denied, other)] == [Strategy.DIRECT] * 2
    assert b"apple" not in (db_path.with_name(db_path.name + ".cache")).read_bytes().split(b"forty-two")[0][:200]


async def test_without_its_endpoint_a_semantic_cache_repeats_exactly_or_not_at_all(url: str, db_path: Path) -> None:
    yaml = SEMANTIC.replace("embed/embed", "embed/http-500")
    async with served(url, db_path, settings(url, yaml)) as run:
        for _ in range(2):
            _, decision = await run.ask("how do I bake an apple pie")
        _, alike = await run.ask("how do I bake a apple pie")
    assert decision.strategy == Strategy.CACHE_EXACT
    assert alike.strategy == Strategy.DIRECT


async def test_one_vector_serves_the_score_and_the_cache(url: str, db_path: Path, found: Fit) -> None:
    chosen = settings(url, SEMANTIC)
    async with served(url, db_path, chosen, classifier=Classifier(chosen, judging(found))) as run:
        _, decision = await run.ask(HARD)
    assert [one.kind for one in decision.attempts] == [Kind.EMBEDDING, Kind.ANSWER]


def test_mistakes_are_named(url: str, found: Fit) -> None:
    with pytest.raises(InputError, match=r"--embeddings.*'nobody/m'.*PROVIDER/MODEL"):
        embed_texts("nobody/m", ["x"], settings(url))
    with pytest.raises(ProviderRefusedError, match="did not embed 1 texts with 'http-500'"):
        embed_texts("embed/http-500", ["x"], settings(url))
    with pytest.raises(ConfigError, match=r"cache.embeddings names the unknown provider 'nobody'"):
        settings(url, "cache: {mode: semantic, embeddings: nobody/m}")
    from router_core import Router

    chosen = config(url)
    with pytest.raises(ConfigError, match="'embed' is not one of the providers"):
        Router(chosen, classifier=Classifier(chosen, judging(found)))
