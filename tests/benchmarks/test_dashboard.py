"""The dashboard over ten million decisions beside pages that do nothing, in one run: sliders, and changes of page.

Both are asked in turns, so that whatever else the machine does meets both; bars are ratios of medians.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import enlarged
import pytest
import running
from playwright.sync_api import BrowserContext, Page
from running import Tab

ROUNDS = 6
PRESSES = 4
BARE = Path(__file__).with_name("bare_dashboard.py")
# A draft stands already, as it does while somebody tunes: the first press of all also puts one figure for another.
TUNING = "tuning?draft=,MEDIUM:52,COMPLEX:82,REASONING:95"

# The clock runs in the browser, from the key or click to the last change of a figure or a metric that follows it.
WATCH = """() => {
  window.began = 0; window.changed = 0;
  const shown = '.js-plotly-plot, [data-testid=stMetric]';
  new MutationObserver(changes => {
    const element = ({target}) => target.nodeType === Node.ELEMENT_NODE ? target : target.parentElement;
    const drawn = change => element(change)?.closest(shown) || [...change.addedNodes].some(
      node => node.nodeType === Node.ELEMENT_NODE && (node.matches(shown) || node.querySelector(shown)));
    if (changes.some(drawn)) window.changed = performance.now();
  }).observe(document.body, {subtree: true, childList: true, attributes: true, characterData: true});
  for (const kind of ['keydown', 'click'])
    document.addEventListener(kind, () => { window.began = performance.now(); }, true);
}"""


@pytest.fixture(autouse=True)
def _measured(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("benchmark_enable"):
        pytest.skip("a measurement; 'make bench' runs it")
    if not Path(running.CHROMIUM).exists():
        pytest.skip("no Chromium here: install it (Debian: apt-get install chromium) to measure the dashboard")


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The addresses of the dashboard over ten million decisions, and of the pages that do nothing."""
    folder = tmp_path_factory.mktemp("dashboard")
    with running.dashboard(enlarged.demo(folder / "ledger.db")) as ours, bare_dashboard(folder) as bare:
        yield ours, bare


@pytest.fixture(scope="module")
def look() -> Iterator[BrowserContext]:
    with running.chromium() as browser:
        yield running.look(browser)


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


def opened(look: BrowserContext, address: str, path: str) -> Page:
    view = Tab(look, address).open(path)
    view.wait_for_timeout(2000)
    view.evaluate(WATCH)
    return view


def after(view: Page, act: Callable[[], None], milliseconds: int) -> float:
    """Return milliseconds from an act to the last change of a figure that followed it."""
    act()
    view.wait_for_timeout(milliseconds)
    return float(view.evaluate("window.changed - window.began"))


def pressed(view: Page, slider: str, times: int) -> list[float]:
    handle = view.get_by_role("slider", name=slider)
    handle.focus()
    keys = ["ArrowRight" if number % 2 else "ArrowLeft" for number in range(times)]
    return [after(view, lambda key=key: handle.press(key), 1000) for key in keys]  # type: ignore[misc]


def turned(view: Page, there: str, back: str, times: int) -> list[float]:
    found = []
    for _ in range(times):
        found.append(after(view, view.get_by_role("link", name=there).click, 2500))
        after(view, view.get_by_role("link", name=back).click, 1000)
    return found


def report(name: str, ours: list[float], bare: list[float], bar: float) -> bool:
    """Print one line of the table and return whether the bar was met."""
    ratio = statistics.median(ours) / statistics.median(bare)
    told = [f"{statistics.median(each):.0f} ({statistics.quantiles(each, n=20)[-1]:.0f})" for each in (ours, bare)]
    verdict = f"{'met' if ratio <= bar else 'NOT MET'} | load {os.getloadavg()[0]:.0f}"
    print(f"\n{name} | {ratio:.2f} | <= {bar:g} | {verdict} | ms, median (95th): {' against '.join(told)}")
    return ratio <= bar


def test_a_key_press_redraws_all_figures_nearly_as_fast_as_a_page_that_does_nothing(
    addresses: tuple[str, str], look: BrowserContext
) -> None:
    pages = [(opened(look, addresses[0], TUNING), "MEDIUM starts at"), (opened(look, addresses[1], ""), "Value")]
    rounds: tuple[list[float], list[float]] = ([], [])
    for number in range(ROUNDS + 1):
        for (view, slider), found in zip(pages, rounds, strict=True):
            view.bring_to_front()
            taken = pressed(view, slider, PRESSES)
            found += taken if number else []  # the first round warms both
    for view, _ in pages:
        view.close()
    assert report("key press to all figures redrawn / a page that does nothing", *rounds, 1.5)


@pytest.mark.parametrize("title", ["Overview", "Tuning"])
def test_a_page_is_changed_in_less_than_twice_the_time_of_one_with_empty_figures(
    title: str, addresses: tuple[str, str], look: BrowserContext
) -> None:
    pages = [
        (opened(look, addresses[0], "versions"), title, "Versions"),
        (opened(look, addresses[1], ""), "Empty", "Slider"),
        (opened(look, addresses[1], ""), "Parts", "Slider"),
    ]
    rounds: tuple[list[float], ...] = ([], [], [])
    for number in range(ROUNDS + 1):
        for (view, there, back), found in zip(pages, rounds, strict=True):
            view.bring_to_front()
            taken = turned(view, there, back, 1)
            found += taken if number else []
    for view, *_ in pages:
        view.close()
    ours, empty, parts = rounds
    print(f"\nindication: to a page of the Overview's parts with nothing in them: {statistics.median(parts):.0f} ms")
    assert report(f"change to {title} until its figures are drawn / to a page of empty figures", ours, empty, 2.0)
