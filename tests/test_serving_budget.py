"""Budgets on the path: what is spent is never more than was foreseen, however many ask at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from served import CALL, RATES, config, served, told
from upstream import upstream

from router_core.config import Budget
from router_core.decision import Reason, Status
from router_core.errors import BudgetExceededError, LedgerError, ProviderError
from router_core.ledger.budgets import Budgets, period_start
from router_core.ledger.store import open_ledger
from router_core.serving.budget import Reservation

AT = int(datetime(2026, 11, 18, 12, tzinfo=UTC).timestamp() * 1000)
HARD = "rules: [{when: {min_tokens: 1}, score: 95}]\n"
NUSD = 10**9
JUDGED = "classifier: {stages: [embedding, judge], confidence: 0.9}\n"


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with upstream() as address:
        yield address


def budget(**settings: object) -> Budget:
    return Budget.model_validate({"max_budget": 1.0, "mode": "block", **settings})


async def test_what_a_request_costs_is_booked_and_nothing_stays_set_aside(url: str, db_path: Path) -> None:
    settings = config(url, yaml="budgets: [{max_budget: 5}, {scope: 'team:a', max_budget: 5, budget_duration: 1d}]")
    async with served(url, db_path, settings, clock=lambda: AT) as run:
        for team in ("a", "b"):
            await run.ask(metadata={"team": team})
        both, own = settings.budgets
        assert Budgets(run.ledger).spent(both, AT) == (2 * CALL["cheap"], 0)
        assert Budgets(run.ledger).spent(own, AT) == (CALL["cheap"], 0)


async def test_a_stream_and_a_failure_are_settled_too(url: str, db_path: Path) -> None:
    settings = config(url, {"middle": "http-500"}, "budgets: [{max_budget: 5}]")
    async with served(url, db_path, settings, clock=lambda: AT) as run:
        await run.ask(stream=True)
        with pytest.raises(ProviderError):
            await run.ask(model="middle")
        assert Budgets(run.ledger).spent(settings.budgets[0], AT) == (CALL["cheap"], 0)


async def test_a_judge_is_on_record_and_booked_where_the_ledger_then_fails(url: str, db_path: Path) -> None:
    settings = config(url, {"cheap": "says:9"}, f"{JUDGED}budgets: [{{max_budget: 5, mode: block}}]")

    class Failing(Budgets):
        reserved = 0

        async def reserve(self, budgets: Sequence[Budget], nusd: int, at_ms: int) -> Reservation:
            self.reserved += 1
            if self.reserved > 1:
                raise LedgerError("the disk is gone")
            return await super().reserve(budgets, nusd, at_ms)

    with open_ledger(db_path) as ledger:
        purse = Failing(ledger)
        async with served(url, db_path, settings, clock=lambda: AT, purse=purse) as run:
            with pytest.raises(LedgerError, match="the disk is gone"):
                await run.ask()
            with run.ledger.reading() as connection:
                (kept,) = connection.execute(sa.text("SELECT id FROM decision")).scalars().all()
            decision = run.ledger.read_decision(bytes(kept))
        assert [one[:3] for one in told(decision.attempts)] == [("CLASSIFIER", "cheap", "OK")]
        assert decision.status == Status.ABORTED
        assert purse.spent(settings.budgets[0], AT) == (CALL["cheap"], 0)
        purse.close()


@pytest.mark.parametrize("body", [{"max_tokens": 10**18}, {"max_tokens": 1_000, "n": 10**18}])
async def test_a_caller_who_would_allow_any_length_is_refused_and_holds_up_nobody_else(
    url: str, db_path: Path, body: dict[str, int]
) -> None:
    settings = config(url, yaml="budgets: [{max_budget: 1, mode: block}]")
    async with served(url, db_path, settings) as run:
        greedy, modest = await asyncio.gather(run.ask(**body), run.ask(), return_exceptions=True)
    assert isinstance(greedy, BudgetExceededError)
    assert not isinstance(modest, BaseException)


@pytest.mark.parametrize("more", ["", "cache: {mode: exact}"])
async def test_a_caller_who_leaves_while_a_budget_is_settled_leaves_the_answer_on_record(
    url: str, db_path: Path, more: str
) -> None:
    settings = config(url, {"cheap": "after:0.3"}, f"budgets: [{{max_budget: 5}}]\n{more}")
    async with served(url, db_path, settings, clock=lambda: AT) as run:
        before = len(run.calls())
        asked = asyncio.ensure_future(run.ask())
        while len(run.calls()) == before:
            await asyncio.sleep(0.02)
        with run.ledger.writing():  # so that neither settling nor recording gets through
            await asyncio.sleep(0.6)
            asked.cancel()
            await asyncio.sleep(0.05)
        with pytest.raises(asyncio.CancelledError):
            await asked
        with run.ledger.reading() as connection:
            found = connection.execute(sa.text("SELECT id FROM decision")).scalars().all()
        (decision,) = [run.ledger.read_decision(bytes(one)) for one in found]
        assert (decision.status, decision.cost_nusd) == (Status.OK, CALL["cheap"])
        deadline = asyncio.get_running_loop().time() + 3
        while Budgets(run.ledger).spent(settings.budgets[0], AT) != (CALL["cheap"], 0):
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)


TURNS = [{"role": "user", "content": "so much to say of it and more " * 40}] * 6
SIDE_CALLS = {
    "judge": (JUDGED, {"cheap": "says:9"}, {}),
    "compression": ("compress: {enabled: true, above_tokens: 100, keep_last: 2}\n", {}, {"messages": TURNS}),
    "chain": ("strategy: chain\n", {"cheap": "parts"}, {}),
    "cascade": ("strategy: cascade\ncascade: {checks: [{self_consistency: {samples: 2}}]}\n", {"cheap": "vary"}, {}),
}


@pytest.mark.parametrize(("yaml", "models", "body"), SIDE_CALLS.values(), ids=SIDE_CALLS)
async def test_calls_beside_the_answer_are_set_aside_for_and_booked(
    url: str, db_path: Path, yaml: str, models: dict[str, str], body: dict[str, object]
) -> None:
    settings = config(url, models, f"{yaml}budgets: [{{max_budget: 5, mode: block}}]")
    kept = Watched(db_path)
    async with served(url, db_path, settings, clock=lambda: AT, purse=kept) as run:
        _, decision = await run.ask(max_tokens=10, **body)
        assert len(decision.attempts) > 1
        assert decision.cost_nusd == sum(one.list_cost_nusd or 0 for one in decision.attempts)
        assert kept.budgets.spent(settings.budgets[0], AT) == (decision.cost_nusd, 0)
    assert sum(kept.aside) >= sum(
        ((one.usage.output_tokens if one.usage else 0) * 2 * RATES[one.model] * 1_000) for one in decision.attempts
    )
    kept.budgets.close()


async def test_a_budget_without_room_for_the_judge_asks_nobody(url: str, db_path: Path) -> None:
    settings = config(url, {"cheap": "says:9"}, f"{JUDGED}budgets: [{{max_budget: 0.000001, mode: block}}]")
    async with served(url, db_path, settings) as run:
        before = len(run.calls())
        with pytest.raises(BudgetExceededError):
            await run.ask()
        assert len(run.calls()) == before


async def test_a_judge_whose_answer_is_blocked_is_booked_all_the_same(url: str, db_path: Path) -> None:
    settings = config(url, {"cheap": "says:10"}, f"{JUDGED}budgets: [{{max_budget: 0.001, mode: block}}]")
    async with served(url, db_path, settings, clock=lambda: AT) as run:
        with pytest.raises(BudgetExceededError) as caught:
            await run.ask(max_tokens=10_000)
        assert caught.value.decision_id is not None
        decision = run.ledger.read_decision(caught.value.decision_id)
        assert Budgets(run.ledger).spent(settings.budgets[0], AT) == (decision.cost_nusd, 0)
    assert (decision.status, decision.cost_nusd) == (Status.BLOCKED, CALL["cheap"])


class Watched:
    """The ledger's budgets, and every amount that was set aside in them."""

    def __init__(self, path: Path) -> None:
        self.budgets = Budgets(open_ledger(path))
        self.aside: list[int] = []

    async def reserve(self, budgets: Sequence[Budget], nusd: int, at_ms: int) -> Reservation:
        self.aside.append(nusd)
        return await self.budgets.reserve(budgets, nusd, at_ms)

    async def settle(self, reservation: Reservation, spent_nusd: int) -> None:
        await self.budgets.settle(reservation, spent_nusd)


async def test_a_spent_budget_that_blocks_refuses_before_any_call(url: str, db_path: Path) -> None:
    settings = config(url, yaml="budgets: [{scope: 'feature:chat', max_budget: 0.000001, mode: block}]")
    async with served(url, db_path, settings) as run:
        before = len(run.calls())
        with pytest.raises(BudgetExceededError, match="'feature:chat' of 1e-06 US dollars has no room") as caught:
            await run.ask(metadata={"feature": "chat"})
        assert len(run.calls()) == before
        assert caught.value.decision_id is not None
        decision = run.ledger.read_decision(caught.value.decision_id)
        _, other = await run.ask()
    assert (decision.status, decision.attempts, decision.cost_nusd) == (Status.BLOCKED, (), 0)
    assert other.status == Status.OK


async def test_a_spent_budget_that_downgrades_goes_one_tier_down_and_says_so(url: str, db_path: Path) -> None:
    settings = config(url, yaml=f"{HARD}budgets: [{{max_budget: 0.000001, mode: downgrade}}]")
    async with served(url, db_path, settings) as run:
        _, decision = await run.ask()
    assert (decision.tier, decision.reason, decision.propensity) == ("MEDIUM", Reason.BUDGET, 1.0)
    assert told(decision.attempts) == [("ANSWER", "middle", "OK", True)]
    assert decision.cost_nusd == CALL["middle"]


@pytest.mark.parametrize(
    ("yaml", "body", "reason"),
    [
        ("features: {legal: {pin: STRONG}}\n", {"metadata": {"feature": "legal"}}, Reason.PIN),
        ("", {"model": "strong"}, Reason.NAMED),
    ],
)
async def test_a_pin_and_a_named_model_are_not_downgraded(
    url: str, db_path: Path, yaml: str, body: dict[str, object], reason: Reason
) -> None:
    settings = config(url, yaml=f"{yaml}budgets: [{{max_budget: 0.000001, mode: downgrade}}]")
    async with served(url, db_path, settings) as run:
        _, decision = await run.ask(**body)
    assert (decision.reason, decision.tier) == (reason, "STRONG")


async def test_a_spent_budget_that_only_alerts_changes_nothing_and_goes_on_counting(url: str, db_path: Path) -> None:
    settings = config(url, yaml="budgets: [{max_budget: 0.000001, mode: alert}]")
    async with served(url, db_path, settings, clock=lambda: AT) as run:
        _, decision = await run.ask()
        assert Budgets(run.ledger).spent(settings.budgets[0], AT) == (CALL["cheap"], 0)
    assert (decision.reason, decision.status) == (Reason.POLICY, Status.OK)


async def test_requests_at_once_do_not_pass_a_budget_together(url: str, db_path: Path) -> None:
    """Each is foreseen to cost at most what its capped answer can, so only so many are let in."""
    room = 4
    foreseen = 1_000 + 10 * 2_000  # one token in, at most ten out
    settings = config(url, yaml=f"budgets: [{{max_budget: {room * foreseen / NUSD:.9f}, mode: block}}]")
    async with served(url, db_path, settings, clock=lambda: AT) as run:
        outcomes = await asyncio.gather(*(run.ask("hello", max_tokens=10) for _ in range(40)), return_exceptions=True)
        spent, aside = Budgets(run.ledger).spent(settings.budgets[0], AT)
    answered = sum(isinstance(one, tuple) for one in outcomes)
    assert sum(isinstance(one, BudgetExceededError) for one in outcomes) == 40 - answered
    assert (spent, aside) == (answered * CALL["cheap"], 0)
    # At most the requests under way at the end pass it, each by what it cost beyond what was foreseen for it.
    assert spent <= room * foreseen + room * max(0, CALL["cheap"] - foreseen)


async def test_a_ledger_that_is_away_stops_only_what_a_budget_would_block(url: str, db_path: Path) -> None:
    class Away:
        async def reserve(self, *_: object) -> Reservation:
            raise LedgerError("gone")

        async def settle(self, *_: object) -> None:
            raise LedgerError("gone")

    alert = config(url, yaml="budgets: [{max_budget: 1, mode: alert}]")
    async with served(url, db_path, alert, purse=Away()) as run:
        assert (await run.ask())[1].status == Status.OK
        run.router.adopt(config(url, yaml="budgets: [{max_budget: 1, mode: block}]"), version=2)
        with pytest.raises(LedgerError, match="gone"):
            await run.ask()


RACE = """
import sys
from router_core.config import Budget
from router_core.ledger.budgets import Budgets
from router_core.ledger.store import open_ledger
budget = Budget(max_budget=1.0, mode="block")
with open_ledger(sys.argv[1]) as ledger:
    budgets = Budgets(ledger)
    print("ready", flush=True)
    sys.stdin.readline()
    held = [budgets.reserve_now([budget], 10_000_000, int(sys.argv[2])) for _ in range(60)]
    print(sum(bool(one.held) for one in held))
"""


def test_processes_at_once_reserve_no_more_than_there_is(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        command = [sys.executable, "-c", RACE, str(db_path), str(AT)]
        processes = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)
        ]
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        held = sum(int(process.communicate("go\n")[0]) for process in processes)
        assert held == 100
        assert Budgets(ledger).spent(budget(), AT) == (0, NUSD)


def test_threads_at_once_settle_to_the_nano_dollar(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        budgets = Budgets(ledger)
        both = [budget(mode="alert"), budget(mode="alert", scope="team:a", budget_duration="7d")]

        def work(number: int) -> None:
            for one in range(20):
                budgets.settle_now(budgets.reserve_now(both, 1_000, AT), 100 * number + one)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        total = sum(100 * number + one for number in range(8) for one in range(20))
        assert [budgets.spent(one, AT) for one in both] == [(total, 0), (total, 0)]


def test_where_one_budget_blocks_nothing_is_set_aside_in_the_others(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        budgets = Budgets(ledger)
        wide, tight = budget(mode="alert", max_budget=9.0), budget(scope="team:a")
        assert budgets.reserve_now([wide, tight], 2 * NUSD, AT).held == ()
        assert budgets.spent(wide, AT) == (0, 0)


@pytest.mark.parametrize(
    ("duration", "zone", "start"),
    [
        ("1d", "UTC", "2026-11-18/1d"),
        ("7d", "UTC", "2026-11-16/7d"),
        ("month", "UTC", "2026-11-01/month"),
        ("1d", "Pacific/Kiritimati", "2026-11-19/1d"),
    ],
)
def test_a_period_begins_in_the_reporting_zone(duration: str, zone: str, start: str) -> None:
    assert period_start(budget(budget_duration=duration), AT, ZoneInfo(zone)) == start


def test_a_new_period_starts_from_nothing(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        budgets, daily = Budgets(ledger), budget(budget_duration="1d")
        budgets.settle_now(budgets.reserve_now([daily], NUSD, AT), NUSD)
        assert not budgets.reserve_now([daily], 1, AT).held
        assert budgets.reserve_now([daily], 1, AT + 86_400_000).held


async def test_what_waits_together_is_moved_together_and_told_apart(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        budgets = Budgets(ledger)
        held = await asyncio.gather(*(budgets.reserve([budget()], NUSD // 4, AT) for _ in range(10)))
        assert [bool(one.held) for one in held] == [True] * 4 + [False] * 6
        await asyncio.gather(*(budgets.settle(one, 7) for one in held))
        assert budgets.spent(budget(), AT) == (28, 0)
        budgets.close()


async def test_a_reservation_nobody_waits_for_any_longer_is_given_back(db_path: Path) -> None:
    with open_ledger(db_path) as ledger:
        budgets = Budgets(ledger)
        task = asyncio.ensure_future(budgets.reserve([budget()], 5, AT))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (await budgets.reserve([budget()], 6, AT)).held
        await asyncio.sleep(0)
        await budgets.settle(await budgets.reserve([budget()], 1, AT), 2)
        assert budgets.spent(budget(), AT) == (2, 6)
        budgets.close()
