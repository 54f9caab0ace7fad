"""Labels of points: on which side each is written, so that it covers no line, no point and no other label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

Place = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom; pixels

WIDTH: Final = 270  # of the narrowest drawing, a phone's: what is apart there is apart everywhere
_LETTER, _LINE, _MARK, _STEP = 6.2, 15.0, 9.0, 4.0
_SPARE: Final = 14.0  # margin to the right that a name may reach into
_SIDES: Final = (
    "middle right",
    "middle left",
    "bottom right",
    "top left",
    "bottom left",
    "top right",
    "bottom center",
    "top center",
)


@dataclass(frozen=True)
class Ground:
    """What is drawn on: the ends of both axes as Plotly has them, the first perhaps of logarithms, and its height."""

    x: Sequence[float]
    y: Sequence[float]
    log: bool
    height: float

    def sides(
        self, names: Sequence[str], at: Sequence[Place], wanted: Sequence[str], lines: Sequence[Sequence[Place]]
    ) -> list[str]:
        """Return a side of each point for its name: the wanted one, or else the one that covers least."""
        spots = [self._pixels(place) for place in at]
        dots = [dot for line in lines for dot in self._along(line)]
        taken: list[Box] = []
        found = []
        for index, (name, spot, first) in enumerate(zip(names, spots, wanted, strict=True)):
            others = [other for place, other in enumerate(spots) if place != index]
            best, least = first, math.inf
            for side in (first, *_SIDES):
                covered = self._covered(_box(name, spot, side), dots, others, taken)
                if covered < least:
                    best, least = side, covered
                if not least:
                    break
            taken.append(_box(name, spot, best))
            found.append(best)
        return found

    def _covered(self, box: Box, dots: Sequence[Place], others: Sequence[Place], taken: Sequence[Box]) -> float:
        left, top, right, bottom = box
        outside = max(0.0, -left) + max(0.0, right - WIDTH - _SPARE) + max(0.0, -top) + max(0.0, bottom - self.height)
        over = sum(left <= x <= right and top <= y <= bottom for x, y in dots)
        near = sum(left - _MARK / 2 <= x <= right + _MARK / 2 and top <= y <= bottom for x, y in others)
        both = sum(left < one[2] and one[0] < right and top < one[3] and one[1] < bottom for one in taken)
        return outside + over + 10 * near + 20 * both

    def _pixels(self, place: Place) -> Place:
        x = math.log10(max(place[0], 1e-12)) if self.log else place[0]
        across = (x - self.x[0]) / ((self.x[1] - self.x[0]) or 1)
        down = (self.y[1] - place[1]) / ((self.y[1] - self.y[0]) or 1)
        return across * WIDTH, down * self.height

    def _along(self, line: Sequence[Place]) -> list[Place]:
        """Return the pixels of a line, some few apart."""
        ends = [self._pixels(place) for place in line]
        found = ends[:1]
        for (x0, y0), (x1, y1) in pairwise(ends):
            steps = min(200, max(1, round(math.hypot(x1 - x0, y1 - y0) / _STEP)))
            found += [(x0 + (x1 - x0) * step / steps, y0 + (y1 - y0) * step / steps) for step in range(1, steps + 1)]
        return found


def _box(name: str, spot: Place, side: str) -> Box:
    x, y = spot
    wide = _LETTER * len(name)
    level, _, hand = side.partition(" ")
    left = x + _MARK if hand == "right" else x - _MARK - wide if hand == "left" else x - wide / 2
    top = y - _LINE / 2 if level == "middle" else y - _LINE - _MARK / 2 if level == "top" else y + _MARK / 2
    return left, top, left + wide, top + _LINE
