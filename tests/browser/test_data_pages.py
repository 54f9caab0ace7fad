"""A log and an invoice dropped in a real browser: what they are, what they become, and what they come to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import running
from playwright.sync_api import Page, expect
from running import Tab

from router_core.exchange.load import import_file
from router_core.ledger.metered import metered
from router_core.ledger.queries import spend
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger

pytestmark = pytest.mark.browser

SAMPLES = Path(__file__).parents[1] / "samples"
LOG, COSTS = SAMPLES / "litellm_spend_logs.csv", SAMPLES / "openai_costs.json"
Opened = Callable[..., Tab]
Demo = tuple[str, Path]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """The address of a dashboard over an empty ledger of this file, and that ledger."""
    path = tmp_path_factory.mktemp("own") / "own.db"
    open_ledger(path).close()
    with running.dashboard(path) as address:
        yield address, path


def drop(tab: Tab, path: str, *files: Path | dict[str, object]) -> Page:
    """Open a page and drop a file on it."""
    view = tab.open(path)
    view.locator("input[type=file]").set_input_files(files[0])  # type: ignore[arg-type]
    tab.settle()
    return view


def metrics(view: Page) -> dict[str, str]:
    """Return the figures of a page by their labels."""
    found = {}
    for one in view.locator("[data-testid=stMetric]").all():
        label, value = (one.locator(f"[data-testid=stMetric{part}]").first.inner_text() for part in ("Label", "Value"))
        found[label.strip()] = value.strip()
    return found


def test_a_dropped_log_is_told_shown_loaded_and_accounted_for(own: tuple[str, Path], tab: Opened) -> None:
    opened = tab(own[0])
    view = drop(opened, "import_data", LOG)
    expect(view.get_by_text("LiteLLM SpendLogs (CSV)").first).to_be_visible()
    expect(view.get_by_text("evidence", exact=True).first).to_be_visible()
    expect(view.get_by_text("the first 20 rows that can be used")).to_be_visible()
    view.get_by_role("button", name=f"Import {LOG.name}").click()
    expect(view.get_by_text("Imported", exact=True)).to_be_visible(timeout=30_000)
    opened.settle()
    told = metrics(view)
    assert told == {
        "Rows read": "60",
        "Loaded": "58",
        "Already there": "0",
        "Rejected": "2",
        "Calls priced": "98.2%",
        "At our prices": "$0.0813",
        "As reported": "$0.0813",
    }
    with view.expect_download() as waiting:
        view.get_by_role("button", name="Download 2 rejected rows").click()
    lines = [json.loads(line) for line in Path(waiting.value.path()).read_text().splitlines()]
    assert [(line["line"], line["reason"].partition(",")[0]) for line in lines] == [
        (42, "spend is 'a lot'"),
        (43, "startTime is 'yesterday'"),
    ]
    with open_ledger(own[1]) as ledger:
        assert sum(line.decisions for line in spend(ledger, ("day",))) == 58
    again = tab(own[0])
    view = drop(again, "import_data", LOG)
    view.get_by_role("button", name=f"Import {LOG.name}").click()
    expect(view.get_by_text("Imported", exact=True)).to_be_visible(timeout=30_000)
    again.settle()
    assert {key: metrics(view)[key] for key in ("Rows read", "Loaded", "Already there")} == {
        "Rows read": "60",
        "Loaded": "0",
        "Already there": "58",
    }


def test_a_dropped_report_is_told_to_be_spend(own: tuple[str, Path], tab: Opened) -> None:
    opened = tab(own[0])
    view = drop(opened, "import_data", COSTS)
    expect(view.get_by_text("OpenAI costs (JSON)").first).to_be_visible()
    expect(view.get_by_text("no preview can rest on them").first).to_be_visible()
    view.get_by_role("button", name=f"Import {COSTS.name}").click()
    expect(view.get_by_text("Imported", exact=True)).to_be_visible(timeout=30_000)
    with open_ledger(own[1]) as ledger:
        (line,) = metered(ledger, ("source",))
    assert (line.rows, line.reported_cost_nusd) == (28, 96_581_640)


def test_a_dropped_invoice_is_set_against_what_was_metered(own: tuple[str, Path], tab: Opened) -> None:
    with open_ledger(own[1]) as ledger:
        import_file(ledger, LOG, rejects=own[1].with_name("rejects.jsonl"))
        refresh(ledger)
    opened = tab(own[0])
    view = drop(opened, "reconcile", COSTS)
    expect(view.get_by_text("5 of 10 lines agree")).to_be_visible()
    told = metrics(view)
    assert (told["Billed"], told["Metered here"], told["Difference"]) == ("$0.0966", "$0.0813", "+$0.0152")
    expect(view.locator(".st-key-side_by_side .js-plotly-plot")).to_be_visible()
    with view.expect_download() as waiting:
        view.get_by_role("button", name="Download 5 rows as CSV").click()
    assert "the same tokens at 0.90 times our price" in Path(waiting.value.path()).read_text()


def test_an_invoice_in_another_currency_counts_at_the_rate_given(own: tuple[str, Path], tab: Opened) -> None:
    euros = b"day,model,cost,currency\n2026-11-18,gpt-4.1,100,EUR\n"
    opened = tab(own[0])
    view = drop(opened, "reconcile", {"name": "bill.csv", "mimeType": "text/csv", "buffer": euros})
    expect(view.get_by_text("only USD can be added up; state what it is worth")).to_be_visible()
    view.get_by_text("Amounts in another currency").click()
    view.get_by_role("textbox").fill("EUR=1.08@2026-11-01")
    view.keyboard.press("Enter")
    expect(view.get_by_text("counted at 1.08 US dollars, the rate of 2026-11-01")).to_be_visible()
    opened.settle()
    assert metrics(view)["Billed"] == "$108.00"


UNKNOWN = (
    ("import_data", "empty.csv", b"\n", "the file is empty."),
    ("import_data", "log.csv.gz", b"\x1f\x8b\x08\x00\x00", "this is gzip; unpack it and import what is in it."),
    ("import_data", "notes.csv", b"a,b\n1,2\n", "no format known here has these columns (a, b)"),
    ("import_data", "cut.json", b'{"object": "page", "data": [{', "no json can be read in it"),
    ("reconcile", "notes.txt", b"hello\nworld\n", "give a cost report of openai or anthropic"),
)


def test_a_file_that_is_nothing_known_gets_one_sentence(own: tuple[str, Path], tab: Opened) -> None:
    opened = tab(own[0])
    for path, name, content, sentence in UNKNOWN:
        view = drop(opened, path, {"name": name, "mimeType": "application/octet-stream", "buffer": content})
        said = view.locator("[data-testid=stAlert]")
        expect(said).to_have_count(1)
        assert sentence in said.inner_text().lower()


def test_real_rows_are_not_mixed_with_simulated_ones(demo: Demo, tab: Opened) -> None:
    with open_ledger(demo[1]) as ledger:
        before = spend(ledger, ("day",))
    opened = tab(demo[0])
    view = drop(opened, "import_data", LOG)
    mine = demo[1].with_name("tierwise-mine.db")
    expect(view.get_by_text("This ledger holds simulated traffic")).to_be_visible()
    view.get_by_role("button", name=f"Import {LOG.name}").click()
    expect(view.get_by_text("Imported", exact=True)).to_be_visible(timeout=30_000)
    expect(view.get_by_text(f"tierwise dashboard --db {mine}")).to_be_visible()
    with open_ledger(demo[1]) as ledger, open_ledger(mine, create=False) as kept:
        refresh(ledger)
        assert spend(ledger, ("day",)) == before
        assert sum(line.decisions for line in spend(kept, ("day",))) == 58


def test_both_pages_fit_on_a_phone_in_the_dark(demo: Demo, tab: Opened) -> None:
    phone = tab(demo[0], theme="dark", size=(390, 844))
    for path, file in (("import_data", LOG), ("reconcile", COSTS)):
        width = drop(phone, path, file).evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
        assert width <= 390, f"{path} is {width} px wide"
