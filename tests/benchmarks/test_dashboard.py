"""The dashboard beside a page that does nothing: from the press of a key to all figures redrawn, in one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import running
from playwright.sync_api import Page
from running import Tab

PRESSES = 24
BARE = Path(__file__).with_name("bare_dashboard.py")

# The clock runs in the browser, from the key to the last change of a figure or a metric that follows it.
WATCH = """() => {
  window.pressed = 0; window.changed = 0;
  const shown = '.js-plotly-plot, [data-testid=stMetric]';
  new MutationObserver(changes => {
    const element = ({target}) => target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement;
    if (changes.some(change => element(change)?.closest(shown))) window.changed = performance.now();
  }).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
  document.addEventListener('keydown', () => { window.pressed = performance.now(); }, true);
}"""


@contextmanager
def bare_dashboard(folder: Path) -> Iterator[str]:
    port = running.free_port()
    command = [sys.executable, "-m", "streamlit", "run", str(BARE), f"--server.port={port}"]
    command += ["--server.address=127.0.0.1", "--server.headless=true", "--browser.gatherUsageStats=false"]
    with (folder / "bare.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            running.await_health(f"http://127.0.0.1:{port}", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=10)


def pressed(view: Page, slider: str, times: int) -> list[float]:
    """Return milliseconds from each press to the last change it caused."""
    handle = view.get_by_role("slider", name=slider)
    handle.focus()
    found = []
    for number in range(times):
        handle.press("ArrowRight" if number % 2 else "ArrowLeft")
        view.wait_for_timeout(900)
        found.append(float(view.evaluate("window.changed - window.pressed")))
    return found


def test_a_key_press_redraws_all_figures_nearly_as_fast_as_a_page_that_does_nothing(tmp_path: Path) -> None:
    if not Path(running.CHROMIUM).exists():
        pytest.skip("no Chromium here: install it (Debian: apt-get install chromium) to measure the dashboard")
    ledger = tmp_path / "ledger.db"
    running.tierwise("demo", "--db", str(ledger), "--decisions", "200000", "--days", "30")
    with (
        running.dashboard(ledger) as ours,
        bare_dashboard(tmp_path) as bare,
        running.chromium() as browser,
    ):
        look = running.look(browser)
        pages = []
        for address, path, slider in ((ours, "tuning", "MEDIUM starts at"), (bare, "", "Value")):
            tab = Tab(look, address)
            view = tab.open(path)
            view.wait_for_timeout(2000)
            view.evaluate(WATCH)
            pressed(view, slider, 4)
            pages.append((view, slider))
        rounds: tuple[list[float], list[float]] = ([], [])
        for _ in range(4):  # in turns, so that whatever else the machine does meets both
            for (view, slider), found in zip(pages, rounds, strict=True):
                view.bring_to_front()
                found += pressed(view, slider, PRESSES // 4)
    tuning, nothing = (statistics.median(found) for found in rounds)
    spread = [f"{statistics.quantiles(found, n=20)[-1]:.0f}" for found in rounds]
    print(f"\nkey press to figures redrawn, median (95th): tuning {tuning:.0f} ({spread[0]}) ms,", end=" ")
    print(f"a page that does nothing {nothing:.0f} ({spread[1]}) ms: {tuning / nothing:.2f} times")
    assert tuning / nothing < 2.5
