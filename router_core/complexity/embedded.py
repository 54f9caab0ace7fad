"""EmbeddedHead: judges a request by the vector that an embeddings endpoint makes of its text, with numpy alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from router_core.errors import InputError

Floats = NDArray[np.float64]
Form = Literal["gain", "centroids"]


class EmbeddedHead:
    """What was fitted on vectors of ``model`` (written PROVIDER/MODEL), one of two forms.

    ``gain``: two logistic models, cheap and strong, over the vector (``weights`` 2 x dimensions, ``intercepts`` 2); the
    value is P(strong adequate) - P(cheap adequate). ``centroids``: the mean vector of prompts that did not gain and of
    those that did (``weights``); the value is how much nearer the second is, as a difference of cosines.

    Confidence is 1 for a vector as near to the ``centre`` of the training prompts as 95 % of them are, and falls to 0
    at the farthest of them; ``nearness`` holds these two cosines, farthest first.
    """

    kind = "embedded"

    def __init__(
        self, model: str, form: Form, weights: Floats, intercepts: Floats, centre: Floats, nearness: tuple[float, float]
    ) -> None:
        if weights.ndim != 2 or len(weights) != 2 or weights.shape[1:] != centre.shape or len(intercepts) != 2:
            raise ValueError("its arrays do not fit together")
        self.model = model
        self.form = form
        self._weights = weights
        self._intercepts = intercepts
        self._centre = centre
        self._nearness = nearness

    @property
    def dimensions(self) -> int:
        """How many numbers a vector has."""
        return len(self._centre)

    def judge(self, vector: Floats) -> tuple[float, float]:
        """Return (value, confidence 0..1) for a vector of any length; raises ``InputError`` for other dimensions."""
        if vector.shape != self._centre.shape:
            raise InputError(
                f"{self.model} gave {vector.size:,} numbers, and the scorer was fitted on {self.dimensions:,}; "
                "fit it again"
            )
        vector = unit(vector)
        cheap, strong = (self._weights @ vector + self._intercepts).tolist()
        value = strong - cheap if self.form == "centroids" else _sigmoid(strong) - _sigmoid(cheap)
        farthest, near = self._nearness
        cosine = float(self._centre @ vector)
        sure = (cosine - farthest) / (near - farthest) if near > farthest else float(cosine >= near)
        return value, min(1.0, max(0.0, sure))

    def values(self, vectors: Floats) -> Floats:
        """Return the value of each row."""
        return np.array([self.judge(vector)[0] for vector in vectors])

    def raw(self, text: str, length: int) -> tuple[float, float]:
        """Refuse: it judges vectors and no text; raises ``InputError``."""
        raise InputError(f"this scorer judges embeddings of {self.model}, which only a router that serves asks for")

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what it is made of, as plain arrays."""
        return {
            "model": np.frombuffer(f"{self.form} {self.model}".encode(), dtype=np.uint8),
            "weights": self._weights,
            "intercepts": self._intercepts,
            "centre": self._centre,
            "nearness": np.asarray(self._nearness),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> EmbeddedHead:
        """Return the head that these arrays make; raises ``ValueError`` or ``KeyError`` where they do not."""
        form, _, model = arrays["model"].tobytes().decode().partition(" ")
        farthest, near = arrays["nearness"].tolist()
        return cls(
            model,
            "centroids" if form == "centroids" else "gain",
            arrays["weights"],
            arrays["intercepts"],
            arrays["centre"],
            (farthest, near),
        )


def unit(vectors: Floats) -> Floats:
    """Return a vector, or each row, at a Euclidean length of 1; one that is all zeros stays as it is."""
    length = np.sqrt((vectors * vectors).sum(axis=-1, keepdims=True))
    scaled: Floats = vectors / np.where(length > 0.0, length, 1.0)
    return scaled


def _sigmoid(value: float) -> float:
    return 0.5 * (1.0 + math.tanh(0.5 * value))
