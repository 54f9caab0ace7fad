"""Take the pictures of every page from demo data, for the README: `make screenshots`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from running import CHROMIUM, Tab, chromium, dashboard, look, tierwise

FOLDER = Path(__file__).parents[2] / "dashboard" / "static" / "screenshots"
PAGES = {
    "overview": "",
    "tiers": "tiers",
    "tuning": "tuning?draft=,MEDIUM:52,COMPLEX:82,REASONING:95",
    "prices": "prices",
    "versions": "versions",
}
LOOKS = {"light": ("light", (1440, 900)), "dark": ("dark", (1440, 900)), "phone": ("light", (390, 844))}
TALLEST = 2600


def main() -> None:
    """Fill a demo ledger, open each page in each look, and keep the pictures."""
    if not Path(CHROMIUM).exists():
        sys.exit("no Chromium here: install it (Debian: apt-get install chromium) to take the pictures")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        ledger = Path(folder) / "demo.db"
        tierwise("demo", "--db", str(ledger), "--decisions", "200000", "--days", "61", "--seed", "1")
        with dashboard(ledger) as address, chromium() as browser:
            for name, (theme, size) in LOOKS.items():
                tab = Tab(look(browser, theme, size), address)
                for path in take(tab, name, size):
                    print(path)
                tab.close()
                if tab.wrong:
                    sys.exit("\n".join(tab.wrong))


def take(tab: Tab, shown: str, size: tuple[int, int]) -> Iterator[Path]:
    """Take each page as tall as it is, in few colours so that the files stay small."""
    for name, address in PAGES.items():
        view = tab.open(address)
        height = view.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
        view.set_viewport_size({"width": size[0], "height": max(size[1], min(TALLEST, int(height)))})
        view.wait_for_timeout(1500)  # figures and tables draw themselves anew
        path = FOLDER / f"{name}-{shown}.png"
        view.screenshot(path=str(path))
        with Image.open(path) as picture:
            picture.convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
                path, optimize=True
            )
        view.set_viewport_size({"width": size[0], "height": size[1]})
        yield path


if __name__ == "__main__":
    main()
