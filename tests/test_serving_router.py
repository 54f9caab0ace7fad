"""Router: what is decided, recorded and answered, in that order."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from router_core import Router, RoutingDecision, TierwiseError
from router_core.config import RoutingConfig, build_config
from router_core.decision import Kind, QualitySource, Reason, Status, UsageSource
from router_core.errors import ConfigError, InputError, LedgerFullError, UnknownModelError
from router_core.prices import PriceBook, price_from_entry
from router_core.serving.hashing import read_hash_key
from router_core.serving.providers import Outcomes, Recorded, RecordedProvider
from router_core.usage import Usage

PRICES = PriceBook(
    price_from_entry({"provider": "p", "model": model, "effective_from": "2020-01-01", "input": "1", "output": "2"})
    for model in ("cheap-1", "strong-1")
)
OUTCOMES = Outcomes(
    [
        (prompt, model, Recorded(Usage(10, 5), quality, text=f"{model} says"))
        for prompt in ("hello", "bye")
        for model, quality in (("cheap-1", 0.25), ("spare", 0.5), ("strong-1", 1.0))
    ]
)


def config(**settings: object) -> RoutingConfig:
    return build_config(
        {
            "tiers": [
                {"name": "SIMPLE", "models": ["cheap", "spare"]},
                {"name": "STRONG", "models": ["strong"], "score_min": 100},
            ],
            "models": {
                "cheap": {"provider": "p", "name": "cheap-1"},
                "spare": {"provider": "p"},
                "strong": {"provider": "p", "name": "strong-1"},
            },
            "providers": {"p": {"base_url": "recorded:"}},
            "features": {"legal": {"pin": "STRONG", "team": "law"}},
            **settings,
        }
    )


class Bench:
    """A router on recorded outcomes, and what it recorded."""

    def __init__(self, settings: RoutingConfig | None = None, **arguments: Any) -> None:
        self.kept: list[RoutingDecision] = []
        self.now = 50.0
        given = {
            "providers": {"p": RecordedProvider(OUTCOMES)},
            "record": self.keep,
            "hash_key": b"k" * 32,
            **arguments,
        }
        self.router = Router(settings or config(), prices=PRICES, timer=lambda: self.now, **given)

    async def keep(self, decision: RoutingDecision) -> None:
        self.kept.append(decision)

    async def ask(self, text: str = "hello", **body: Any) -> RoutingDecision:
        answer = await self.router.complete({"messages": [{"role": "user", "content": text}], **body})
        assert answer.decision is self.kept[-1]
        return self.kept[-1]


async def test_a_routed_request_is_scored_answered_priced_and_recorded() -> None:
    bench = Bench(version=7, clock=lambda: 1_800_000_000_000, new_id=lambda at_ms: at_ms.to_bytes(16, "big"))
    decision = await bench.ask()
    assert decision.id == (1_800_000_000_000).to_bytes(16, "big")
    assert (decision.decided_at_ms, decision.config_version) == (1_800_000_000_000, 7)
    assert (decision.tier, decision.reason, decision.propensity) == ("SIMPLE", Reason.POLICY, 1.0)
    assert decision.score is not None
    assert decision.scorer_version
    (attempt,) = decision.attempts
    assert (attempt.model, attempt.kind, attempt.status, attempt.final) == ("cheap", Kind.ANSWER, Status.OK, True)
    assert (attempt.usage, attempt.list_cost_nusd) == (Usage(10, 5), 10 * 1000 + 5 * 2000)
    assert (decision.quality, decision.quality_source) == (0.25, QualitySource.CHECK)


async def test_a_model_without_a_price_costs_an_unknown_amount_not_nothing() -> None:
    decision = await Bench().ask(model="spare")
    assert decision.attempts[0].list_cost_nusd is None
    assert decision.cost_nusd is None


async def test_a_named_model_passes_through_unscored() -> None:
    decision = await Bench().ask(model="strong")
    assert (decision.reason, decision.score, decision.scorer_version) == (Reason.NAMED, None, "")
    assert (decision.tier, decision.attempts[0].model) == ("STRONG", "strong")


async def test_an_unknown_model_is_refused_with_the_list_of_those_there_are() -> None:
    bench = Bench()
    with pytest.raises(UnknownModelError, match="'auto' or one of 'cheap', 'spare', 'strong'"):
        await bench.ask(model="gpt-17")
    assert bench.kept == []


async def test_a_body_that_cannot_be_used_is_refused_and_nothing_is_recorded() -> None:
    bench = Bench()
    with pytest.raises(InputError):
        await bench.router.complete({"messages": "hello"})
    assert bench.kept == []


async def test_a_pinned_feature_goes_to_its_tier_and_counts_for_its_team() -> None:
    decision = await Bench().ask(metadata={"feature": "legal"})
    assert (decision.tier, decision.reason, decision.team) == ("STRONG", Reason.PIN, "law")
    assert (await Bench().ask(metadata={"feature": "legal", "team": "sales"})).team == "sales"


async def test_an_unknown_feature_is_served_by_default_and_refused_where_that_is_wanted() -> None:
    assert (await Bench().ask(metadata={"feature": "legl"})).feature == "legl"
    bench = Bench(config(unknown_feature="refuse"))
    with pytest.raises(InputError, match="'legl' is not a feature of this configuration; did you mean 'legal'"):
        await bench.ask(metadata={"feature": "legl"})
    assert bench.kept == []
    assert (await bench.ask()).feature == "default"


async def test_the_draw_explores_and_its_chance_is_recorded() -> None:
    settings = config(exploration={"rate": 0.2})
    explored = await Bench(settings, random=lambda: 0.1).ask()
    assert (explored.tier, explored.reason, explored.propensity) == ("STRONG", Reason.EXPLORE, pytest.approx(0.2))
    usual = await Bench(settings, random=lambda: 0.9).ask()
    assert (usual.tier, usual.reason, usual.propensity) == ("SIMPLE", Reason.POLICY, pytest.approx(0.8))


async def test_a_conversation_keeps_its_tier_and_model_while_it_is_warm() -> None:
    draws = iter((0.1, 0.9, 0.9))
    bench = Bench(config(exploration={"rate": 0.2}, sticky={"warm_seconds": 60}), random=lambda: next(draws))
    talk = {"metadata": {"conversation": "c1"}}
    first = await bench.ask(**talk)
    bench.now += 60
    second = await bench.ask("bye", **talk)
    bench.now += 61
    third = await bench.ask(**talk)
    assert [one.reason for one in (first, second, third)] == [Reason.EXPLORE, Reason.STICKY, Reason.POLICY]
    assert [one.tier for one in (first, second, third)] == ["STRONG", "STRONG", "SIMPLE"]
    assert len({one.conversation_hash for one in (first, second, third)}) == 1


async def test_a_conversation_that_failed_over_stays_with_the_model_that_took_over() -> None:
    only_spare = Outcomes([("hello", "spare", Recorded(Usage(1, 1))), ("bye", "spare", Recorded(Usage(1, 1)))])
    bench = Bench(providers={"p": RecordedProvider(only_spare)})
    talk = {"metadata": {"conversation": "c1"}}
    assert [attempt.model for attempt in (await bench.ask(**talk)).attempts] == ["cheap", "spare"]
    assert [attempt.model for attempt in (await bench.ask("bye", **talk)).attempts] == ["spare"]


async def test_teams_do_not_share_conversations_that_happen_to_have_one_name() -> None:
    bench = Bench()
    hashes = [(await bench.ask(metadata={"conversation": "1", "team": team})).conversation_hash for team in "ab"]
    assert hashes[0] != hashes[1]


async def test_a_prompt_is_known_again_by_a_keyed_hash_of_64_bits() -> None:
    one, again, other = [(await Bench().ask(text)).prompt_hash for text in ("hello", "hello", "bye")]
    assert one == again != other
    assert one is not None
    assert -(2**63) <= one < 2**63
    assert (await Bench(hash_key=b"another key" * 3).ask()).prompt_hash != one


async def test_an_answer_is_not_given_before_it_is_recorded() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slowly(_decision: RoutingDecision) -> None:
        begun.set()
        await may_end.wait()

    task = asyncio.ensure_future(
        Bench(record=slowly).router.complete({"messages": [{"role": "user", "content": "hello"}]})
    )
    await begun.wait()
    await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    assert json.loads((await task).body)["choices"][0]["message"]["content"] == "cheap-1 says"


async def test_what_cannot_be_recorded_is_not_answered() -> None:
    async def full(_decision: RoutingDecision) -> None:
        raise LedgerFullError("full")

    with pytest.raises(LedgerFullError):
        await Bench(record=full).ask()


async def test_the_last_piece_of_a_stream_waits_until_the_decision_is_recorded() -> None:
    bench = Bench()
    answer = await bench.router.complete({"messages": [{"role": "user", "content": "hello"}], "stream": True})
    assert answer.chunks is not None
    seen: list[tuple[bool, int]] = []
    async for piece in answer.chunks:
        seen.append((b"[DONE]" in piece, len(bench.kept)))
    assert seen == [(False, 0), (True, 1)]
    assert (bench.kept[0].status, bench.kept[0].ttft_ms) == (Status.OK, 0)
    assert answer.decision is bench.kept[0]


async def test_a_stream_given_up_is_recorded_once_as_aborted() -> None:
    bench = Bench()
    answer = await bench.router.complete({"messages": [{"role": "user", "content": "hello"}], "stream": True})
    assert answer.chunks is not None
    await anext(answer.chunks)
    await answer.chunks.aclose()
    await answer.chunks.aclose()
    (decision,) = bench.kept
    assert (decision.status, decision.attempts[0].status) == (Status.ABORTED, Status.ABORTED)
    assert [piece async for piece in answer.chunks] == []


async def test_a_caller_who_stops_waiting_leaves_an_aborted_decision() -> None:
    class Never:
        async def complete(self, _call: object) -> Any:
            await asyncio.Event().wait()

    bench = Bench(providers={"p": Never()})
    task = asyncio.ensure_future(bench.ask())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    (decision,) = bench.kept
    assert decision.status == Status.ABORTED
    attempt = decision.attempts[0]  # whoever was asked has read the prompt, and may bill that
    assert (attempt.usage, attempt.usage_source) == (Usage(1, 0), UsageSource.ESTIMATED)
    assert decision.cost_nusd == 1_000


async def test_a_version_is_adopted_whole_by_requests_that_begin_after_it() -> None:
    bench = Bench(version=1)
    assert (await bench.ask()).config_version == 1
    moved = config().with_boundaries([0, 0])
    bench.router.adopt(moved, version=2, providers={"p": RecordedProvider(OUTCOMES)})
    decision = await bench.ask()
    assert (decision.config_version, decision.tier) == (2, "STRONG")
    assert bench.router.version == 2
    assert decision.attempts[0].list_cost_nusd is not None


async def test_a_provider_nobody_answers_for_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="nobody answers for the provider 'p'"):
        Router(config(), prices=PRICES, providers={})


def test_without_an_event_loop_a_request_is_served_all_the_same() -> None:
    router = Router(config(), prices=PRICES, providers={"p": RecordedProvider(OUTCOMES)})
    for _ in range(2):
        answer = router.complete_sync({"messages": [{"role": "user", "content": "hello"}]})
        assert answer.decision is not None
        assert answer.decision.attempts[0].usage_source == UsageSource.PROVIDER
    with pytest.raises(TierwiseError, match="stream"):
        router.complete_sync({"messages": [{"role": "user", "content": "hello"}], "stream": True})
    router.close_sync()
    router.close_sync()


def test_the_hash_key_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db.key"
    key = read_hash_key(path)
    assert len(key) == 32
    assert read_hash_key(path) == key
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["", "not hexadecimal", "abcd"])
def test_a_file_that_is_no_hash_key_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ledger.db.key"
    path.write_text(content)
    with pytest.raises(InputError, match="not a hash key"):
        read_hash_key(path)
