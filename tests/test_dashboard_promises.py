"""Every push's promise stands beside what came of it, and how many held is said in one figure."""

from __future__ import annotations

from pathlib import Path

import apps
from apps import figures, opened, words

from dashboard import promise_charts, promises
from router_core.ledger.store import open_ledger
from router_core.lifecycle import versions
from router_core.lifecycle.track_record import Compared, PushOutcome, share_held, track_record

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app
UNKNOWN = Compared(None, None, None, None, None, None, None)
SAVED = Compared(0.1, 0.08, 0.12, 0.11, 0.1, 0.12, True)
LOST = Compared(-0.001, -0.002, 0.001, -0.02, -0.03, -0.01, False)


def outcome(version: int, saving: Compared, quality: Compared) -> PushOutcome:
    return PushOutcome(version, version - 1, "anna", "", 0, 1, 3.5, 900, 1, 2, saving, quality, ())


def test_the_demos_push_is_set_against_what_came(demo_app: Path) -> None:
    with open_ledger(demo_app) as ledger:
        found = track_record(ledger)
    held, judged = share_held(found)
    app = opened("versions")
    assert judged > 0
    assert figures(app)["Promises kept"] == f"{held} of {judged}"
    table = next(frame.value for frame in app.dataframe if "saving_kept" in frame.value)
    assert len(table) == len(found)
    assert table["saving"].iloc[0] == promises.promised(found[-1].saving, "share")
    history = next(frame.value for frame in app.dataframe if "foretold" in frame.value)
    assert history["came"].iloc[0] == found[-1].saving.realised


def test_a_push_without_a_promise_makes_none(demo_app: Path) -> None:
    with open_ledger(demo_app) as ledger:
        live = versions.live(ledger)
        versions.push(ledger, live.config.with_boundaries((0, 50, 85, 95)), author="test", note="by hand")
    app = opened("versions")
    assert "it promised nothing" in words(app)
    assert "*by hand*" in words(app)


def test_an_empty_ledger_has_kept_no_promise(empty_app: Path) -> None:
    app = opened("versions")
    assert "Promises kept" not in figures(app)
    assert "it promised nothing" in words(app)


def test_figures_say_what_was_promised_and_what_came() -> None:
    found = [outcome(2, SAVED, UNKNOWN), outcome(3, SAVED, LOST)]
    assert promises.kept(found) == "2 of 3"
    assert promises.kept([outcome(2, UNKNOWN, UNKNOWN)]) == "–"
    assert promises.promised(SAVED, "share") == "10.0% (8.0 to 12.0%)"
    assert promises.came(LOST, "points") == "-2.0 pp (-3.0 to -1.0 pp)"
    assert promises.came(UNKNOWN, "points") == "–"
    chart = promise_charts.kept(promises.points(found, "quality"), "points")
    promised, came = chart.data
    assert list(promised.x)[1:] == [-0.1]
    assert list(came.x)[1:] == [-2.0]
    assert promised.x[0] is None
    assert chart.layout.xaxis.range[0] < -3 < 0 < chart.layout.xaxis.range[1]
