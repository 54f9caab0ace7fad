"""Scorer: a way to judge text together with the percentile scale it is read on, as one versioned artefact."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from router_core.complexity import embedded, reference, tfidf
from router_core.complexity.excerpt import excerpt
from router_core.config import data_dir
from router_core.errors import InputError

_FORMAT = 1


class Head(Protocol):
    """What gives a text its raw value; any scale will do, since only the order counts."""

    kind: str

    def raw(self, text: str, length: int) -> tuple[float, float]:
        """Return (value, confidence 0..1) for an excerpt of a prompt that is ``length`` characters long."""
        ...

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what was fitted, as plain arrays."""
        ...


class Scorer:
    """A head and the cuts that turn its raw value into a percentile; ``version`` names the pair for good.

    ``cuts`` are 100 raw values in rising order, the percentiles 1..100 of the reference traffic: a score of 70 means
    that the raw value is at least that of 70 % of it. Without a ``version`` one is made from the contents, so that
    the same fit has the same name. ``stage`` is how decisions name it.
    """

    def __init__(self, head: Head, cuts: Sequence[float], version: str | None = None) -> None:
        if len(cuts) != 100 or any(high < low for low, high in pairwise(cuts)):
            raise ValueError("a percentile scale is 100 values in rising order")
        self.head = head
        self.cuts = tuple(float(cut) for cut in cuts)
        self.version = version or self._name()
        self.stage = "reference" if head.kind == reference.Reference.kind else "embedding"

    @classmethod
    def reference(cls) -> Scorer:
        """Return the shipped reference scorer; its scale is in ``data/reference_scale.json``."""
        data = json.loads((data_dir() / "reference_scale.json").read_text(encoding="utf-8"))
        return cls(reference.Reference(), data["cuts"], data["scorer"])

    def _name(self) -> str:
        digest = hashlib.sha256(np.asarray(self.cuts).tobytes())
        for name, array in sorted(self.head.arrays().items()):
            digest.update(name.encode() + np.ascontiguousarray(array).tobytes())
        return f"{self.head.kind}-{digest.hexdigest()[:10]}"

    def judge(self, text: str) -> tuple[int, float]:
        """Return (score 0..100, confidence 0..1) of a text of any length; only its excerpt is read."""
        value, confidence = self.head.raw(excerpt(text), len(text))
        return bisect_right(self.cuts, value), confidence

    @property
    def endpoint(self) -> str | None:
        """The PROVIDER/MODEL whose vectors it judges; None where it judges the text itself."""
        return self.head.model if isinstance(self.head, embedded.EmbeddedHead) else None

    def judge_vector(self, vector: NDArray[np.float64]) -> tuple[int, float]:
        """Return (score 0..100, confidence 0..1) of the vector that its endpoint made of a text.

        Raises ``InputError`` where it has other dimensions, or where this scorer judges no vectors.
        """
        if not isinstance(self.head, embedded.EmbeddedHead):
            raise InputError(f"the scorer {self.version!r} judges text and no vectors")
        value, confidence = self.head.judge(vector)
        return bisect_right(self.cuts, value), confidence

    def score(self, text: str) -> int:
        """Return the score 0..100 of a text."""
        return self.judge(text)[0]

    def raw(self, text: str) -> float:
        """Return the value before it is mapped to a percentile: for a fitted scorer, the expected gain."""
        return self.head.raw(excerpt(text), len(text))[0]

    def rescaled(self, texts: Sequence[str]) -> Scorer:
        """Return the same judgement on the percentile scale of other traffic; no grades are needed.

        Raises ``InputError`` for fewer than 100 texts.
        """
        return Scorer(self.head, percentile_cuts([self.raw(text) for text in texts]))

    def to_bytes(self) -> bytes:
        """Return the artefact: a zip of plain arrays and one JSON header, nothing that could run."""
        header = {"format": _FORMAT, "kind": self.head.kind, "version": self.version}
        arrays: dict[str, Any] = self.head.arrays()
        buffer = io.BytesIO()
        np.savez_compressed(
            buffer,
            header=np.frombuffer(json.dumps(header).encode(), dtype=np.uint8),
            cuts=np.asarray(self.cuts),
            **arrays,
        )
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, artefact: bytes) -> Scorer:
        """Read an artefact back; raises ``InputError`` where it is not one of ours."""
        try:
            with np.load(io.BytesIO(artefact), allow_pickle=False) as arrays:
                header: dict[str, Any] = json.loads(arrays["header"].tobytes())
                head: Head
                if (header["format"], header["kind"]) == (_FORMAT, tfidf.GainHead.kind):
                    head = tfidf.GainHead.from_arrays(arrays)
                elif (header["format"], header["kind"]) == (_FORMAT, embedded.EmbeddedHead.kind):
                    head = embedded.EmbeddedHead.from_arrays(arrays)
                elif (header["format"], header["kind"]) == (_FORMAT, reference.Reference.kind):
                    head = reference.Reference()
                else:
                    raise InputError(
                        f"the scorer {header['version']!r} was made by another version of Tierwise; fit it again"
                    )
                return cls(head, arrays["cuts"].tolist(), header["version"])
        except (ValueError, KeyError, OSError, TypeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise InputError(f"this is not a scorer artefact ({error}); make one with 'tierwise fit'") from None


def percentile_cuts(raw: Sequence[float] | NDArray[np.float64]) -> list[float]:
    """Return the percentiles 1..100 of raw values; raises ``InputError`` for fewer than 100 values."""
    values = np.asarray(raw, dtype=np.float64)
    if len(values) < 100:
        raise InputError(f"a percentile scale needs at least 100 prompts, and there are {len(values)}")
    return [float(cut) for cut in np.quantile(values, np.arange(1, 101) / 100.0)]
