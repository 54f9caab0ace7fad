"""Fitting: from graded prompts to a scorer, and what it is worth on prompts it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from router_core.complexity.embedded import EmbeddedHead
from router_core.complexity.excerpt import excerpt
from router_core.complexity.graded import Graded
from router_core.complexity.scorer import Scorer, percentile_cuts
from router_core.complexity.skill import Comparison, apgr, compare
from router_core.complexity.tfidf import SHAPE, GainHead, shape, tokens
from router_core.errors import InputError

Floats = NDArray[np.float64]
Progress = Callable[[int, int], None]

FEWEST_PROMPTS = 200
OVERALL = "all"

_STRENGTHS = (0.1, 0.3, 1.0, 3.0)  # inverse regularisation tried, by cross-validation inside the training half
_FOLDS = 5
# Measures are scaled to this standard deviation beside texts of length 1: enough to be used where they tell
# something, too little to drown the words. Measured flat from 0.1 to 0.3 in cross-validation.
_SHAPE_SCALE = 0.1


class Answered(Protocol):
    """Prompts that were answered and judged, whichever way; one entry a prompt."""

    @property
    def source(self) -> str:
        """Where they are from."""
        ...

    @property
    def cheap(self) -> str:
        """The weaker side: a model, or a tier."""
        ...

    @property
    def strong(self) -> str:
        """The stronger side."""
        ...

    @property
    def prompts(self) -> tuple[str, ...]:
        """Their texts."""
        ...

    @property
    def groups(self) -> tuple[str, ...]:
        """What each is reported under."""
        ...


@dataclass(frozen=True)
class Fit:
    """A fitted scorer and its skill on the held-out prompts, by group: the first is ``OVERALL``.

    Each comparison holds the skills named gain, random, length and rules. ``beats_baselines`` says whether the
    scorer found more than random, length alone and the rules, beyond chance; ``sentence`` says it in words.
    """

    scorer: Scorer
    head: GainHead | EmbeddedHead
    train: int
    test: int
    held_out: NDArray[np.int64]
    strength: float
    skill: dict[str, Comparison]
    beats_baselines: bool
    sentence: str


def fit(graded: Graded, *, train_share: float = 0.7, seed: int = 0, progress: Progress | None = None) -> Fit:
    """Fit a gain scorer on a random ``train_share`` of the prompts and measure it on the rest.

    All that is learnt from grades (weights, regularisation) is learnt inside the training part. The percentile scale
    rests on the texts of the held-out part: on prompts it was fitted on the model is bolder than on new ones, so
    their percentiles would send too much traffic up. Raises ``InputError`` where either part would be smaller than
    100 prompts.
    """
    train, test = split(len(graded), train_share, seed)
    texts = [graded.prompts[index] for index in train]
    features = Features(texts)
    rows = features.of(texts)
    targets = graded.cheap_quality[train], graded.strong_quality[train]
    strength = _choose(rows, targets, seed, progress)
    head = features.fold([model for target in targets for model in path(rows, target, (strength,))])
    held_out = [graded.prompts[index] for index in test]
    gain = np.array([head.raw(excerpt(text), len(text))[0] for text in held_out])
    return judged(
        Scorer(head, percentile_cuts(gain)), head, graded, train, test, gain, strength, seed, gains=graded.gains[test]
    )


def judged(
    scorer: Scorer,
    head: GainHead | EmbeddedHead,
    answered: Answered,
    train: NDArray[np.int64],
    test: NDArray[np.int64],
    gain: Floats,
    strength: float,
    seed: int,
    *,
    gains: Floats,
) -> Fit:
    """Set what a fitted scorer says of the held-out prompts (``gain``) beside the baselines, by what was found there
    (``gains``); one value a prompt each."""
    held_out = [answered.prompts[index] for index in test]
    reference = Scorer.reference()
    scores = {
        "gain": gain,
        "length": np.array([float(len(text)) for text in held_out]),
        "rules": np.array([reference.raw(text) for text in held_out]),
    }
    skill = {OVERALL: compare(scores, gains, seed=seed)}
    groups = np.array([answered.groups[index] for index in test])
    for group in sorted(set(groups.tolist()) - {""}):
        among = groups == group
        skill[group] = compare({name: values[among] for name, values in scores.items()}, gains[among], seed=seed)
    beats, sentence = _verdict(skill[OVERALL], answered)
    return Fit(scorer, head, len(train), len(test), test, strength, skill, beats, sentence)


def split(count: int, train_share: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the positions to train on and those held out, the same for the same seed."""
    if not 0.0 < train_share < 1.0:
        raise InputError(f"--train-share is {train_share:g}; it must lie between 0 and 1, for instance 0.5")
    order = np.random.default_rng(seed).permutation(count).astype(np.int64)
    size = round(count * train_share)
    if min(size, count - size) < FEWEST_PROMPTS // 2:
        raise InputError(
            f"{size} prompts to train on and {count - size} to test on are too few; at least {FEWEST_PROMPTS // 2} "
            "are needed of each, answered by both models"
        )
    return order[:size], order[size:]


class Features:
    """What the two models see of a text: TF-IDF of tokens and pairs, beside its scaled measures."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.vectorizer = TfidfVectorizer(
            tokenizer=tokens,
            token_pattern=None,
            lowercase=False,
            ngram_range=(1, 2),
            min_df=min(max(3, len(texts) // 20_000), max(1, len(texts) // 50)),
            sublinear_tf=True,
        )
        try:
            self.vectorizer.fit([excerpt(text) for text in texts])
        except ValueError:
            raise InputError("the prompts have no words in common, so there is nothing to fit on") from None
        measures = self._measures(texts)
        self._mean = measures.mean(axis=0)
        deviation = measures.std(axis=0)
        self._scale = _SHAPE_SCALE / np.where(deviation > 0.0, deviation, np.inf)

    @staticmethod
    def _measures(texts: Sequence[str]) -> Floats:
        parts = [excerpt(text) for text in texts]
        return np.array(
            [shape(tokens(part), part, len(text)) for part, text in zip(parts, texts, strict=True)]
        ).reshape(-1, len(SHAPE))

    def of(self, texts: Sequence[str]) -> sp.csr_matrix:
        """Return one row of features a text."""
        words = self.vectorizer.transform([excerpt(text) for text in texts])
        return sp.csr_matrix(sp.hstack([words, (self._measures(texts) - self._mean) * self._scale]))

    def fold(self, models: Sequence[LogisticRegression]) -> GainHead:
        """Return the cheap and the strong model folded into one look-up, idf and scaling included."""
        vocabulary: dict[str, int] = self.vectorizer.vocabulary_
        idf = self.vectorizer.idf_
        words = sorted(term for term in vocabulary if " " not in term)
        index = {word: position for position, word in enumerate(words)}
        keyed = sorted(
            (index[first] * (len(words) + 1) + index[second], column)
            for term, column in vocabulary.items()
            if " " in term
            for first, second in [term.split(" ")]
        )
        columns = np.array([vocabulary[word] for word in words] + [column for _, column in keyed], dtype=np.int64)
        weights = np.stack([model.coef_[0] for model in models])
        table = np.column_stack([idf[columns], *(idf[columns] * row[columns] for row in weights)])
        shape_weights = weights[:, len(idf) :] * self._scale
        intercepts = np.array([float(model.intercept_[0]) for model in models]) - shape_weights @ self._mean
        pairs = np.array([key for key, _ in keyed], dtype=np.int64)
        return GainHead(words, pairs, table, shape_weights, intercepts)


def _choose(rows: sp.csr_matrix, targets: tuple[Floats, Floats], seed: int, progress: Progress | None) -> float:
    """Return the regularisation whose gains do best on folds they were not trained on."""
    gains = targets[1] - targets[0]
    out_of_fold = np.zeros((len(_STRENGTHS), len(gains)))
    steps = _FOLDS * len(_STRENGTHS)
    for number, (inside, outside) in enumerate(KFold(_FOLDS, shuffle=True, random_state=seed).split(gains)):
        paths = [path(rows[inside], target[inside], _STRENGTHS) for target in targets]
        for turn, (cheap, strong) in enumerate(zip(*paths, strict=True)):
            out_of_fold[turn, outside] = adequate(strong, rows[outside]) - adequate(cheap, rows[outside])
            if progress is not None:
                progress(number * len(_STRENGTHS) + turn + 1, steps)
    # Without a gap there is no APGR; the least squared error decides then.
    merits = [
        apgr(values, gains) if gains.sum() > 0.0 else -float(((values - gains) ** 2).mean()) for values in out_of_fold
    ]
    return _STRENGTHS[int(np.argmax(merits))]


def path(rows: sp.csr_matrix | Floats, quality: Floats, strengths: Sequence[float]) -> Iterator[LogisticRegression]:
    """Fit P(adequate) at one strength after the other, each from where the last one ended; one model, refitted.

    A quality between 0 and 1 counts as that share of an adequate answer.
    """
    model = LogisticRegression(max_iter=2000, warm_start=True)
    positive, negative = np.flatnonzero(quality > 0.0), np.flatnonzero(quality < 1.0)
    taken = np.concatenate([positive, negative])
    labels = np.repeat([1, 0], [len(positive), len(negative)])
    weights = np.concatenate([quality[positive], 1.0 - quality[negative]])
    for strength in strengths:
        if len(positive) and len(negative):
            yield model.set_params(C=strength).fit(rows[taken], labels, sample_weight=weights)
        else:  # all alike: nothing to learn, and a single class cannot be fitted
            rate = (quality.sum() + 0.5) / (len(quality) + 1.0)
            model.classes_ = np.array([0, 1])
            model.coef_ = np.zeros((1, rows.shape[1]))
            model.intercept_ = np.array([np.log(rate / (1.0 - rate))])
            yield model


def adequate(model: LogisticRegression, rows: sp.csr_matrix | Floats) -> Floats:
    """Return P(adequate) of each row."""
    chances: Floats = model.predict_proba(rows)[:, 1]
    return chances


def _verdict(overall: Comparison, graded: Answered) -> tuple[bool, str]:
    found = overall.skills["gain"]
    if found.apgr is None:
        return False, (
            f"{graded.strong} is not measurably better than {graded.cheap} on {overall.prompts:,} held-out prompts, "
            "so there is nothing for a scorer to find."
        )
    stated = f"APGR {found.apgr:.3f} ({found.low:.3f} to {found.high:.3f}) on {overall.prompts:,} held-out prompts"
    lost = [name for name, beaten in overall.beats.items() if not beaten]
    if not lost:
        return True, f"The scorer beats random, length alone and the rules: {stated}."
    names = {"random": "a random choice", "length": "length alone", "rules": "the rules"}
    worst = " and ".join(names[name] for name in lost)
    return False, f"The scorer is no better than {worst}, beyond chance: {stated}; it should not be used."


def _of_what(head: GainHead | EmbeddedHead) -> dict[str, Any]:
    if isinstance(head, EmbeddedHead):
        return {"embeddings": head.model, "form": head.form, "dimensions": head.dimensions}
    return {"vocabulary": head.vocabulary}


def summary(found: Fit, graded: Answered) -> dict[str, Any]:
    """Return what is said of a fit, as plain data: what ``tierwise fit --json`` prints and the ledger keeps."""
    return {
        "source": graded.source,
        "cheap": graded.cheap,
        "strong": graded.strong,
        "train": found.train,
        "test": found.test,
        "scorer": {"version": found.scorer.version, **_of_what(found.head)},
        "skill": [
            {
                "group": group,
                "n": comparison.prompts,
                **{
                    name: {key: None if value is None else round(value, 4) for key, value in figures}
                    for name, skill in comparison.skills.items()
                    for figures in [(("apgr", skill.apgr), ("low", skill.low), ("high", skill.high))]
                },
            }
            for group, comparison in found.skill.items()
        ],
        "beats_baselines": found.beats_baselines,
        "sentence": found.sentence,
    }
