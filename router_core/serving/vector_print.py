"""VectorPrint: a prompt as the vector of an embeddings endpoint, for the cache, with the guard of its words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from router_core.complexity.embedded import unit


@dataclass(frozen=True, slots=True)
class VectorPrint:
    """A prompt's vector at a length of 1, in an order and with signs that only ``key`` tells, and its ``guard``.

    Turning all vectors the same way changes no angle between them, and leaves nothing in a store that an endpoint's
    own vectors could be compared with.
    """

    vector: NDArray[np.float32]
    guard: int

    @classmethod
    def of(cls, vector: NDArray[np.float64], guard: int, key: bytes) -> VectorPrint:
        """Return the print of an endpoint's vector."""
        rng = np.random.default_rng(list(key))
        order, signs = rng.permutation(len(vector)), rng.choice((-1.0, 1.0), len(vector))
        return cls((unit(vector)[order] * signs).astype(np.float32), guard)

    def likeness_to(self, kept: bytes) -> float:
        """Return the cosine, 0..1, with a print of the same guard as ``to_bytes`` wrote it; 0 for other dimensions."""
        other = np.frombuffer(kept, dtype=np.float32) if len(kept) == self.vector.nbytes else None
        return 0.0 if other is None else min(1.0, max(0.0, float(self.vector @ other)))

    def to_bytes(self) -> bytes:
        """Return the vector as bytes; the guard is kept beside it, to be searched by."""
        return self.vector.tobytes()
