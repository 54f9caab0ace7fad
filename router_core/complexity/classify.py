"""Classifier: the staged pipeline that gives every request its score; the first stage that is sure wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from router_core.complexity.excerpt import excerpt
from router_core.complexity.lengths import Lengths
from router_core.complexity.rules import RuleSet
from router_core.complexity.score import Score
from router_core.complexity.scorer import Scorer
from router_core.config import RoutingConfig
from router_core.decision import Request

Stage = Callable[[Request], Score | None]


class Classifier:
    """Judges requests by the stages of a configuration, in order.

    The rules come first where they are listed; then ``scorer``, a fitted one or, without, the shipped reference; then
    whatever ``extra`` gives for stages that need more than the text (a judge). A stage may pass (None). The first
    whose confidence reaches ``classifier.confidence`` wins and the rest are never asked. When none does, the surest
    answer stands, marked ``uncertain``. Where the configuration lists no scorer, the reference answers last, so that
    there always is a score. Raises ``ConfigError`` where the rules cannot be compiled.

    ``lengths`` is asked how long an answer is expected to be; it may be shared by classifiers that follow one another.

    A scorer that judges the vectors of an endpoint cannot be asked here: where the rules do not decide, the reference's
    score is given, marked ``uncertain``, and whoever can call the endpoint asks ``of_vector`` (``asks_endpoint``).

    Confidence means, for rules, that they are the operator's word (1); for a fitted scorer, the share of the prompt's
    words that it knows from its training, or how near its vector is to those it was trained on; for the
    reference, half, always.
    """

    def __init__(
        self, config: RoutingConfig, scorer: Scorer | None = None, extra: Mapping[str, Stage] | None = None
    ) -> None:
        self._config = config
        self._rules = RuleSet(config)
        self.scorer = scorer or Scorer.reference()
        self.lengths = Lengths()
        own: dict[str, Stage] = {"rules": self._by_rules, "embedding": self._by_scorer, **(extra or {})}
        stages = [own[name] for name in config.classifier.stages if name in own]
        if self._by_scorer not in stages:
            stages.append(self._by_scorer)
        self._stages = tuple(stages)
        self._gate = config.classifier.confidence
        # Whom to ask for the vectors that the scorer judges, as PROVIDER/MODEL; None where it judges the text itself.
        self.asks_endpoint = self.scorer.endpoint if "embedding" in config.classifier.stages else None
        self._by_text = self.scorer if self.scorer.endpoint is None else Scorer.reference()

    def classify(self, request: Request) -> Score:
        """Return the score of a request, whatever its text: none, other scripts, or megabytes of it."""
        best: Score | None = None
        for stage in self._stages:
            score = stage(request)
            if score is None:
                continue
            if score.confidence >= self._gate:
                return score
            if best is None or score.confidence > best.confidence:
                best = score
        assert best is not None  # the scorer always answers
        return replace(best, uncertain=True)

    def of_vector(self, request: Request, vector: NDArray[np.float64]) -> Score:
        """Return the score by the vector that ``asks_endpoint`` made of the request's excerpt.

        Raises ``InputError`` where the scorer was fitted on other vectors.
        """
        value, confidence = self.scorer.judge_vector(vector)
        expected = self.lengths.expected(request)
        unsure = confidence < self._gate
        return Score(value, "embedding", confidence, self.scorer.version, None, expected, unsure)

    def _by_rules(self, request: Request) -> Score | None:
        found = self._rules.first_match(request, excerpt(request.text))
        if found is None:
            return None
        index, rule = found
        path = f"rules.{index}"
        if rule.tier is None:
            assert rule.score is not None  # the configuration saw to it
            value = rule.score
            return Score(value, "rules", 1.0, self.scorer.version, None, self.lengths.expected(request), rule=path)
        boundaries = self._config.boundaries(request.feature)
        value = boundaries[self._config.tier_names.index(rule.tier)]
        return Score(value, "rules", 1.0, self.scorer.version, rule.tier, self.lengths.expected(request), rule=path)

    def _by_scorer(self, request: Request) -> Score:
        scorer = self._by_text
        value, confidence = scorer.judge(request.text)
        if self.scorer.endpoint is not None:
            confidence = 0.0  # it only stands in
        return Score(value, scorer.stage, confidence, scorer.version, None, self.lengths.expected(request))
