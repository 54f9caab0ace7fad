"""Classifier: the staged pipeline that gives every request its score; the first stage that is sure wins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

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

    Confidence means, for rules, that they are the operator's word (1); for a fitted scorer, the share of the prompt's
    words that it knows from its training; for the reference, half, always.
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
        value, confidence = self.scorer.judge(request.text)
        return Score(value, self.scorer.stage, confidence, self.scorer.version, None, self.lengths.expected(request))
