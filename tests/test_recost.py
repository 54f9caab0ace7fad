"""History is priced again only when it is asked for, and what a job changed can be taken back to the nano-dollar."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from commands import Run
from decisions import DAY_MS, NOON_MS, a_decision, an_attempt, traffic

from router_core.decision import RoutingDecision
from router_core.errors import InputError
from router_core.ledger import recost as recosting
from router_core.ledger.archive import archive
from router_core.ledger.evidence import evidence
from router_core.ledger.health import events
from router_core.ledger.pages import decisions
from router_core.ledger.price_rows import add_prices, read_prices
from router_core.ledger.queries import spend
from router_core.ledger.recost import jobs, recost, undo_recost
from router_core.ledger.rollup import refresh
from router_core.ledger.store import Ledger, open_ledger
from router_core.prices import FIRST_KNOWN, Price, PriceBook
from router_core.usage import Usage

FIRST, LAST = date(2026, 3, 1), date(2026, 3, 12)


@pytest.fixture
def ledger(new_ledger: Path, db_path: Path) -> Any:
    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as opened:
        yield opened


def dearer(ledger: Ledger, model: str = "gpt-4.1-nano", **changes: Any) -> Price:
    """Add a price a half above the one that held on the first day, from that day."""
    found = PriceBook(read_prices(ledger)).find("openai", model, NOON_MS)
    assert found is not None
    assert found.input_usd_per_mtok is not None
    assert found.output_usd_per_mtok is not None
    half = Decimal("1.5")
    price = replace(
        found,
        effective_from=FIRST,
        input_usd_per_mtok=found.input_usd_per_mtok * half,
        output_usd_per_mtok=found.output_usd_per_mtok * half,
        cache_read_usd_per_mtok=None if (read := found.cache_read_usd_per_mtok) is None else read * half,
        layer="contract",
        **changes,
    )
    add_prices(ledger, [price])
    return price


def priced(ledger: Ledger, *made: RoutingDecision) -> None:
    """Write decisions with every call priced as the ledger's prices say."""
    book = PriceBook(read_prices(ledger))
    rows = []
    for one in made:
        calls = []
        for call in one.attempts:
            cost = call.usage and book.list_cost(
                call.usage, provider_name=call.provider_name, model=call.model, at_ms=one.decided_at_ms + call.offset_ms
            )
            nusd, price_id = (cost.nusd, cost.price.id) if cost else (None, None)
            calls.append(replace(call, list_cost_nusd=nusd, price_id=price_id))
        rows.append(replace(one, attempts=tuple(calls)))
    ledger.write_decisions(rows)


def everything(ledger: Ledger) -> tuple[Any, ...]:
    refresh(ledger)
    lines = spend(ledger, ("day", "team", "feature", "tier", "model", "status", "kind"))
    cells = evidence(ledger, None, None)
    costs = sorted(zip(cells.list_cost_nusd.tolist(), cells.decision_cost_nusd.tolist(), strict=True))
    return list(decisions(ledger)), lines, costs


def test_prices_added_later_change_nothing_until_it_is_asked_for(ledger: Ledger) -> None:
    priced(ledger, *traffic(200))
    before = everything(ledger)
    dearer(ledger)
    refresh(ledger, rebuild=True)
    assert everything(ledger) == before


def test_a_job_prices_by_what_is_known_now_and_cells_follow(ledger: Ledger) -> None:
    priced(ledger, *(a_decision(NOON_MS + number * DAY_MS) for number in range(5)))
    (cost,) = {one.attempts[0].list_cost_nusd for one in decisions(ledger)}
    assert cost is not None
    dearer(ledger)
    result = recost(ledger, FIRST, date(2026, 3, 3), author="Ada", note="the contract was late")
    (change,) = result.models.values()
    assert (change.model, change.calls, change.newly_priced) == ("gpt-4.1-nano", 3, 0)
    assert (change.before_nusd, change.after_nusd) == (3 * cost, 3 * cost * 3 // 2)
    refresh(ledger)
    by_day = {line.keys[0]: line.list_cost_nusd for line in spend(ledger, ("day",))}
    assert [by_day[day] for day in sorted(by_day)] == [cost * 3 // 2] * 3 + [cost] * 2
    (job,) = jobs(ledger)
    assert (job.calls, job.author, job.note, job.undone_at_ms) == (3, "Ada", "the contract was late", None)
    assert job.ended_at_ms is not None
    assert [one.who for one in events(ledger) if one.what == "recost"] == ["Ada"]


def test_undone_everything_is_as_it_was_to_the_nano_dollar(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recosting, "_AT_ONCE", 7)  # many small transactions
    ledger.write_decisions(list(traffic(300)))  # some with costs that no price gives, some with none
    before = everything(ledger)
    dearer(ledger)
    result = recost(ledger, FIRST, LAST, author="Ada")
    assert result.changed > 100
    assert everything(ledger) != before
    assert result.job is not None
    undo_recost(ledger, result.job, author="Ben")
    assert everything(ledger) == before
    (job,) = jobs(ledger)
    assert job.undone_at_ms is not None
    assert [one.who for one in events(ledger) if one.what == "recost"] == ["Ben", "Ada"]


def test_a_decisions_cost_is_again_that_of_its_calls(ledger: Ledger) -> None:
    ledger.write_decisions(list(traffic(300)))
    recost(ledger, FIRST, LAST, author="Ada")
    with ledger.reading() as connection:
        rows = connection.exec_driver_sql(
            "SELECT d.cost_nusd, SUM(a.list_cost_nusd), SUM(a.input_tokens IS NOT NULL AND a.list_cost_nusd IS NULL) "
            "FROM decision d JOIN attempt a ON a.decision_id = d.id "
            "WHERE d.id IN (SELECT decision_id FROM recost_call) GROUP BY d.id"
        ).all()
    assert rows
    for cost, total, unpriced in rows:
        assert cost == (None if unpriced else total)


def test_a_dry_run_says_the_same_and_changes_nothing(ledger: Ledger) -> None:
    priced(ledger, *traffic(200))
    dearer(ledger)
    before = everything(ledger)
    foreseen = recost(ledger, FIRST, LAST, author="Ada", dry_run=True)
    assert everything(ledger) == before
    assert jobs(ledger) == []
    done = recost(ledger, FIRST, LAST, author="Ada")
    assert foreseen.job is None
    assert foreseen.models == done.models
    again = recost(ledger, FIRST, LAST, author="Ada")
    assert (again.changed, again.calls) == (0, done.calls)


def test_a_call_that_had_no_price_gets_one_and_none_loses_its_own(ledger: Ledger) -> None:
    unknown = an_attempt(model="house-model", provider_name="house", list_cost_nusd=None, price_id=None)
    own = an_attempt(model="forgotten", provider_name="house", list_cost_nusd=123, price_id=None)
    ledger.write_decisions([a_decision(attempts=(unknown,)), a_decision(attempts=(own,))])
    usd = Decimal(2)
    add_prices(
        ledger, [Price(None, "house", "house-model", "manual", FIRST_KNOWN, "standard", 0, None, None, usd, usd)]
    )
    result = recost(ledger, FIRST, LAST, author="Ada")
    (change,) = result.models.values()
    assert (change.newly_priced, change.before_nusd, change.after_nusd) == (1, 0, (300 + 120) * 2000)
    costs = {one.attempts[0].model: one.attempts[0].list_cost_nusd for one in decisions(ledger)}
    assert costs == {"house-model": 840_000, "forgotten": 123}
    undo_recost(ledger, jobs(ledger)[0].id, author="Ada")
    costs = {one.attempts[0].model: one.attempts[0].list_cost_nusd for one in decisions(ledger)}
    assert costs == {"house-model": None, "forgotten": 123}


def test_batches_long_contexts_and_hours_keep_their_own_prices(ledger: Ledger) -> None:
    usd = [Decimal(n) for n in (1, 2, 4, 8)]
    rows = [
        Price(None, "house", "m", "manual", FIRST_KNOWN, "standard", 0, None, None, usd[2], usd[2]),
        Price(None, "house", "m", "manual", FIRST_KNOWN, "standard", 1_000, None, None, usd[3], usd[3]),
        Price(None, "house", "m", "manual", FIRST_KNOWN, "standard", 0, 0, 60, usd[1], usd[1]),
        Price(None, "house", "m", "manual", FIRST_KNOWN, "batch", 0, None, None, usd[0], usd[0]),
    ]
    add_prices(ledger, rows)
    batch = next(row.id for row in read_prices(ledger) if (row.model, row.processing) == ("m", "batch"))

    def call(tokens: int, price_id: int | None = None) -> tuple[Any, ...]:
        usage = Usage(tokens, 0)
        return (an_attempt(provider_name="house", model="m", usage=usage, list_cost_nusd=None, price_id=price_id),)

    midnight = NOON_MS - DAY_MS // 2
    made = [
        a_decision(attempts=call(100)),
        a_decision(attempts=call(1_000)),
        a_decision(midnight + 60_000, attempts=call(100)),
        a_decision(attempts=call(100, batch)),
    ]
    ledger.write_decisions(made)
    recost(ledger, FIRST, FIRST, author="Ada")
    costs = [ledger.read_decision(one.id).attempts[0].list_cost_nusd for one in made]
    assert costs == [400_000, 8_000_000, 200_000, 100_000]


def test_jobs_are_undone_from_the_last_one_back(ledger: Ledger) -> None:
    priced(ledger, a_decision())
    dearer(ledger)
    first = recost(ledger, FIRST, LAST, author="Ada").job
    dearer(ledger, note="again")
    second = recost(ledger, FIRST, LAST, author="Ada").job
    assert first is not None
    assert second is not None
    with pytest.raises(InputError, match=f"job {second} priced some of the same days later; undo that one first"):
        undo_recost(ledger, first, author="Ada")
    undo_recost(ledger, second, author="Ada")
    undo_recost(ledger, first, author="Ada")
    with pytest.raises(InputError, match="was undone already"):
        undo_recost(ledger, first, author="Ada")
    with pytest.raises(InputError, match="there is no job 99"):
        undo_recost(ledger, 99, author="Ada")


def test_days_that_went_to_an_archive_stay_as_they_are(ledger: Ledger, tmp_path: Path) -> None:
    priced(ledger, *(a_decision(NOON_MS + number * DAY_MS) for number in range(4)))
    dearer(ledger)
    job = recost(ledger, FIRST, date(2026, 3, 2), author="Ada").job
    assert job is not None
    refresh(ledger)
    before = {line.keys[0]: line.list_cost_nusd for line in spend(ledger, ("day",))}
    archive(ledger, tmp_path / "archive", before=date(2026, 3, 2), prune=True)
    result = recost(ledger, FIRST, LAST, author="Ada")
    assert (result.pruned, result.days, result.changed) == ((FIRST,), 3, 2)
    refresh(ledger)
    assert {line.keys[0]: line.list_cost_nusd for line in spend(ledger, ("day",))}[FIRST] == before[FIRST]
    assert result.job is not None
    undo_recost(ledger, result.job, author="Ada")
    with pytest.raises(InputError, match=f"the calls of {FIRST} went to an archive since"):
        undo_recost(ledger, job, author="Ada")


@pytest.fixture
def run(run: Run, ledger: Ledger, db_path: Path) -> Run:
    """Run `tierwise recost ...` on the ledger of this test."""
    return lambda *arguments: run("recost", *arguments, "--db", str(db_path))


def test_the_command_shows_does_lists_and_undoes(ledger: Ledger, run: Run) -> None:
    priced(ledger, *(a_decision(NOON_MS + number) for number in range(4)))
    dearer(ledger)
    days = ("--from", "2026-03-01", "--to", "2026-03-02")
    code, out, err = run(*days, "--dry-run")
    assert code == 0, err
    assert "4 of 4 calls would change" in out
    done = json.loads(run(*days, "--json")[1])
    assert (done["changed"], done["models"][0]["model"]) == (4, "gpt-4.1-nano")
    assert done["after_nusd"] == done["before_nusd"] * 3 // 2
    assert json.loads(run("--jobs", "--json")[1])[0]["calls"] == 4
    assert "is undone: 4 calls" in run("--undo", str(done["job"]))[1]
    assert "undone" in run("--jobs")[1]


def test_days_may_be_words(ledger: Ledger, run: Run) -> None:
    now = datetime.now(UTC)
    priced(ledger, a_decision(round(now.timestamp() * 1000)))
    found = json.loads(run("--from", "7d", "--to", "today", "--dry-run", "--json")[1])
    today = datetime.now(ledger.zone).date()
    assert (found["since"], found["until"]) == ((today - timedelta(days=6)).isoformat(), today.isoformat())
    assert found["calls"] == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "say --from DATE and --to DATE, or --undo JOB, or --jobs"),
        (("--from", "2026-03-01"), "--to is missing"),
        (
            ("--from", "soon", "--to", "2026-03-01"),
            "--from 'soon' is not a day; write 2026-01-31, today, yesterday or 7d",
        ),
        (("--from", "2026-03-02", "--to", "2026-03-01"), "turn them round"),
        (("--undo", "3"), "there is no job 3"),
        (("--undo", "3", "--jobs"), "say --from DATE"),
    ],
)
def test_mistakes_are_told_in_one_sentence(run: Run, arguments: tuple[str, ...], sentence: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert sentence in err
