"""A sparkline: the course of one figure as a line a word high, without axes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from typing import Final

WIDTH: Final = 200
HEIGHT: Final = 40
COLOUR: Final = "#6f78b8"  # an image knows nothing of the page's theme; this one can be seen on a light and a dark one
_MARGIN: Final = 2  # so that the line is not cut at its peaks


def sparkline(values: Sequence[float], alt: str) -> str:
    """Return the course of ``values``, evenly spaced, as an HTML image; ``alt`` is for those who cannot see it."""
    source = b64encode(svg(values).encode()).decode()
    return (
        f'<img src="data:image/svg+xml;base64,{source}" alt="{escape(alt)}" '
        f'style="display:block;width:100%;height:{HEIGHT}px">'
    )


def svg(values: Sequence[float]) -> str:
    """Return the course of at least two values as an SVG document, as high as the range between the lowest and highest.

    It may be stretched to any width: the line stays as thin as it is.
    """
    low, high = min(values), max(values)
    per_unit = (HEIGHT - 2 * _MARGIN) / (high - low) if high > low else 0.0
    ends = HEIGHT - _MARGIN if per_unit else HEIGHT / 2
    step = WIDTH / (len(values) - 1)
    line = " ".join(f"{place * step:.1f},{ends - (value - low) * per_unit:.1f}" for place, value in enumerate(values))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none">'
        f'<polygon points="0,{HEIGHT} {line} {WIDTH},{HEIGHT}" fill="{COLOUR}" opacity="0.16"/>'
        f'<polyline points="{line}" fill="none" stroke="{COLOUR}" stroke-width="1.5" stroke-linejoin="round" '
        'vector-effect="non-scaling-stroke"/></svg>'
    )
