"""Take the pictures of every page from demo data, for the README: `make screenshots`.

Names of pictures as arguments take only those.
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from running import CHROMIUM, Tab, chromium, dashboard, look, tierwise

FOLDER = Path(__file__).parents[2] / "dashboard" / "static" / "screenshots"
PAGES = {
    "overview": "",
    "tiers": "tiers",
    "quality": "quality",
    "explorer": "explorer",
    "decision": "explorer?decision={escalated}&draft=,MEDIUM:60,COMPLEX:85",
    "tuning": "tuning?draft=,MEDIUM:52,COMPLEX:82,REASONING:95",
    "what_if": "what_if",
    "calculator": "what_if?view=Calculator",
    "claims": "what_if?view=Published claims",
    "prices": "prices",
    "import_data": "import_data",
    "reconcile": "reconcile",
    "review_queue": "review_queue",
    "versions": "versions",
    "health": "health",
}
LOOKS = {"light": ("light", (1440, 900)), "dark": ("dark", (1440, 900)), "phone": ("light", (390, 844))}
TALLEST = 3200
APART = 3  # of 255, in the channel that differs most


def main() -> None:
    """Fill a demo ledger, open each page in each look, and keep the pictures."""
    if not Path(CHROMIUM).exists():
        sys.exit("no Chromium here: install it (Debian: apt-get install chromium) to take the pictures")
    FOLDER.mkdir(parents=True, exist_ok=True)
    wanted = {name: address for name, address in PAGES.items() if name in (sys.argv[1:] or PAGES)}
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "demo.db"
        tierwise("demo", "--db", str(ledger), "--decisions", "200000", "--days", "61", "--seed", "1")
        shown = {name: address.format(escalated=escalated(ledger)) for name, address in wanted.items()}
        with dashboard(ledger) as address, chromium() as browser:
            for name, (theme, size) in LOOKS.items():
                tab = Tab(look(browser, theme, size), address)
                for path in take(tab, shown, name, size):
                    print(path)
                tab.close()
                if tab.wrong:
                    sys.exit("\n".join(tab.wrong))


def escalated(ledger: Path) -> str:
    """Return the id of a decision that has something to tell: its model failed over, then its draft was turned down."""
    with sqlite3.connect(ledger) as connection:
        row = connection.execute(
            "SELECT HEX(id) FROM decision WHERE escalations > 0 AND reason = 0 AND score >= 50 "
            "ORDER BY failovers DESC, score LIMIT 1"
        ).fetchone()
    connection.close()
    return str(row[0])


def take(tab: Tab, pages: Mapping[str, str], shown: str, size: tuple[int, int]) -> Iterator[Path]:
    """Take each page as tall as it is, in few colours so that the files stay small."""
    for name, address in pages.items():
        view = tab.open(address)
        height = view.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        view.set_viewport_size({"width": size[0], "height": max(size[1], min(TALLEST, int(height)))})
        view.wait_for_timeout(1500)  # figures and tables draw themselves anew
        path = FOLDER / f"{name}-{shown}.png"
        view.screenshot(path=str(path))
        _thin(path)
        view.set_viewport_size({"width": size[0], "height": size[1]})
        yield path


def _thin(path: Path) -> None:
    """Keep the commonest colours of a picture that can be told apart; the rest, edges of letters, become the nearest.

    A colour close to one that is kept takes no place, so that a small mark of its own colour keeps it.
    """
    with Image.open(path) as taken:
        pixels = np.asarray(taken.convert("RGB"))
    packed = pixels.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    numbers, where, counts = np.unique(packed, return_inverse=True, return_counts=True)
    colours = np.stack([numbers >> 16, numbers >> 8 & 255, numbers & 255], axis=1)
    chosen: list[int] = []
    for place in np.argsort(-counts, kind="stable"):
        if not chosen or np.abs(colours[chosen] - colours[place]).max(axis=1).min() > APART:
            chosen.append(int(place))
        if len(chosen) == 256:
            break
    palette = colours[chosen]
    nearest = np.array([np.square(palette - colour).sum(axis=1).argmin() for colour in colours])
    thin = Image.fromarray(nearest[where.reshape(pixels.shape[:2])].astype(np.uint8))
    thin.putpalette(palette.astype(np.uint8).tobytes())
    thin.save(path, optimize=True)


if __name__ == "__main__":
    main()
