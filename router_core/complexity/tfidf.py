"""GainHead: the fitted text model, P(strong adequate) - P(cheap adequate), as one look-up a word and no library."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray


class GainHead:
    """placeholder while being fitted"""

    kind = "gain"

    def raw(self, text: str, length: int) -> tuple[float, float]:
        raise NotImplementedError

    def arrays(self) -> dict[str, NDArray[Any]]:
        raise NotImplementedError

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> GainHead:
        raise NotImplementedError
