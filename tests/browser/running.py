"""A dashboard as a process of its own, and a browser that watches for errors: what the tests and pictures share."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

TIERWISE = str(Path(sys.executable).with_name("tierwise"))
CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTLED = "[data-testid=stApp][data-test-script-state=notRunning]"
ERRORS = "[data-testid=stException], [data-testid=stAlertContentError]"


def free_port() -> int:
    """Return a port nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tierwise(*arguments: str) -> None:
    """Run the command and wait for it."""
    subprocess.run([TIERWISE, *arguments], check=True, stdout=subprocess.DEVNULL)


@contextmanager
def dashboard(database: Path) -> Iterator[str]:
    """Run the dashboard over a ledger, from another folder than the checkout; yields its address."""
    port = free_port()
    command = [TIERWISE, "dashboard", "--db", str(database), "--port", str(port)]
    log = database.with_suffix(".log").open("w+b")
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=database.parent)
    address = f"http://127.0.0.1:{port}"
    try:
        await_health(address, process)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


def await_health(address: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Wait until a Streamlit server answers; raises where it stops or takes too long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise RuntimeError(f"the dashboard stopped with exit code {process.returncode}")
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
                if answer.read() == b"ok":
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the dashboard did not answer within {seconds:.0f} s")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run Debian's Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


def look(browser: Browser, theme: str = "light", size: tuple[int, int] = (1440, 900)) -> BrowserContext:
    """Return how a reader looks at it; tabs of one look share what they have loaded."""
    return browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme="dark" if theme == "dark" else "light"
    )


class Tab:
    """One tab: opens pages of a dashboard, and collects what went wrong or left the machine."""

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.address = address
        self.wrong: list[str] = []
        self.view: Page = context.new_page()
        self.view.on("console", self._heard)
        self.view.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.view.on("request", self._asked)

    def open(self, path: str = "") -> Page:
        """Open a page by its address and wait until it is drawn."""
        self.view.goto(f"{self.address}/{path}")
        self.settle()
        return self.view

    def settle(self) -> None:
        """Wait until the script has run and its figures are drawn; nothing may have failed by then."""
        self.view.wait_for_selector(SETTLED, timeout=30_000)
        self.view.wait_for_timeout(150)
        self.view.wait_for_selector(SETTLED, timeout=30_000)
        for skeleton in self.view.query_selector_all("[data-testid=stSkeleton]"):
            skeleton.wait_for_element_state("hidden", timeout=30_000)
        assert not self.view.query_selector_all(ERRORS), self.view.inner_text("[data-testid=stMain]")

    def close(self) -> None:
        """Close it."""
        self.view.close()

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.wrong.append(message.text)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.address, self.address.replace("http", "ws"), "data:", "blob:")):
            self.wrong.append(f"asked an outside host: {request.url}")
