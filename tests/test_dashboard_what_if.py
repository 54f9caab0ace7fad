"""The calculator is exact, starts from one's own traffic, and a link brings back the same plan; claims are judged."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import apps
import pandas as pd
import pytest
from apps import checked, figures, opened, rows, words
from hypothesis import given
from hypothesis import strategies as some

from dashboard import plan, plan_charts, published, wording
from router_core.config import default_config
from router_core.errors import InputError, UnpricedModelError
from router_core.ledger.store import open_ledger
from router_core.lifecycle import versions
from router_core.prices import Price
from router_core.prices.price import FIRST_KNOWN
from router_core.projection.calculator import Traffic

demo_source, empty_app, demo_app = apps.demo_source, apps.empty_app, apps.demo_app
CHEAP, DEAR = "openai/gpt-4.1-nano", "openai/gpt-5.2"


def rate(name: str, sent: str | None, received: str | None, read: str | None = None) -> Price:
    provider, _, model = name.partition("/")
    known = [None if text is None else Decimal(text) for text in (sent, received, read)]
    return Price(
        None,
        provider,
        model,
        "manual",
        FIRST_KNOWN,
        input_usd_per_mtok=known[0],
        output_usd_per_mtok=known[1],
        cache_read_usd_per_mtok=known[2],
    )


PRICES = {CHEAP: rate(CHEAP, "0.1", "0.4", "0.025"), DEAR: rate(DEAR, "2", "16", "0.2")}


def test_a_plan_costs_what_its_parts_do() -> None:
    traffic = Traffic(Decimal(1_000_000), Decimal(1_000), Decimal(500), Decimal("0.5"))
    found = plan.cost(traffic, {CHEAP: 3, DEAR: 1}, PRICES, classifier=CHEAP, drafts=(CHEAP, 0.25))
    # 500 fresh and 500 cached input tokens, 500 output tokens, for 750,000 and 250,000 requests
    assert found.by_model[CHEAP] == Decimal("0.75") * (50 + Decimal("12.5") + 200)
    assert found.by_model[DEAR] == Decimal("0.25") * (1_000 + 100 + 8_000)
    assert found.extras[plan.CLASSIFIER] == Decimal("50") + Decimal("12.5") + Decimal("0.4")
    assert found.extras[plan.DRAFTS] == Decimal("0.25") * Decimal("262.5")
    frame = plan.lines(found, plan.cost(traffic, {DEAR: 1}, PRICES), [CHEAP, DEAR])
    assert frame.groupby("plan")["usd"].sum()["this plan"] == pytest.approx(float(found.cost))
    figure = plan_charts.bills(frame, {}, "month")
    assert list(figure.data[0].y) == ["all on one", "this plan"]


@given(some.dictionaries(some.text("abcdef", min_size=1), some.floats(0, 100), min_size=1, max_size=8))
def test_shares_sum_to_one_whatever_the_weights(weights: dict[str, float]) -> None:
    if not any(weight > 0 for weight in weights.values()):
        with pytest.raises(InputError, match="at least one model"):
            plan.shares(weights)
        return
    found = plan.shares(weights)
    assert sum(found.values()) == 1
    assert all(0 <= share <= 1 for share in found.values())


def test_a_missing_rate_is_refused_by_name() -> None:
    traffic = Traffic(Decimal(10), Decimal(10), Decimal(10))
    with pytest.raises(UnpricedModelError, match="mystery"):
        plan.cost(traffic, {"openai/mystery": 1}, {"openai/mystery": plan.unknown("openai/mystery")})


def test_cached_input_follows_an_edited_rate() -> None:
    edited = plan.with_rates(PRICES[CHEAP], 0.2, 0.4)
    assert edited.cache_read_usd_per_mtok == Decimal("0.05")
    assert plan.with_rates(PRICES[CHEAP], 0.1, 0.9).cache_read_usd_per_mtok == Decimal("0.025")
    assert plan.with_rates(PRICES[CHEAP], None, 0.9).input_usd_per_mtok is None


def test_it_starts_from_the_logs_own_traffic(demo_app: Path) -> None:
    app = opened("what_if", view="Calculator")
    ((requests,),) = rows(demo_app, "SELECT COUNT(*) FROM decision")
    assert app.number_input(key="requests").value == round(requests / 24 * 30)
    ((sent, received, calls),) = rows(
        demo_app,
        "SELECT SUM(input_tokens), SUM(output_tokens), COUNT(input_tokens) FROM attempt WHERE kind IN (0, 1, 2)",
    )
    assert app.number_input(key="tokens_in").value == round(sent / calls)
    assert app.number_input(key="tokens_out").value == round(received / calls)
    assert set(app.multiselect(key="models").value) >= {CHEAP, DEAR}


def test_a_link_brings_back_the_same_plan(empty_app: Path) -> None:
    link = {"requests": "2000000", "tokens_in": "1000", "tokens_out": "500", "cached": "0", "per": "day"}
    app = opened("what_if", **link, models=CHEAP.partition("/")[2])
    checked(app.number_input(key=f"in.{CHEAP}").set_value(0.5).run())
    checked(app.number_input(key=f"out.{CHEAP}").set_value(2.0).run())
    assert app.number_input(key="requests").value == 2_000_000
    assert figures(app)["Cost a day"] == wording.dollars(2_000_000 * (1_000 * 0.5 + 500 * 2.0) / 1e6)
    assert float(figures(app)["Saving"].removesuffix("%")) != 0


def test_without_a_log_or_a_model_it_says_so(empty_app: Path) -> None:
    app = opened("what_if")
    assert "made-up million requests" in words(app)
    assert app.number_input(key="requests").value == 1_000_000
    checked(app.multiselect(key="models").set_value([]).run())
    assert "Choose a model" in words(app)


def test_an_unknown_rate_is_a_sentence_not_a_zero(empty_app: Path) -> None:
    with open_ledger(empty_app) as ledger:
        data = versions.live(ledger).config.model_dump()
        data["models"]["mystery-1"] = {"provider": "openai"}
        data["tiers"][0]["models"] = ("mystery-1",)
        versions.push(ledger, data, author="test", note="a model nobody has priced")
    app = opened("what_if")
    assert app.number_input(key="in.openai/mystery-1").value is None
    assert "No price is known for 'mystery-1'" in words(app)
    checked(app.number_input(key="in.openai/mystery-1").set_value(1.0).run())
    checked(app.number_input(key="out.openai/mystery-1").set_value(2.0).run())
    assert figures(app)["Cost a month"] != "–"


def test_claims_stand_with_their_verdicts(empty_app: Path) -> None:
    app = opened("what_if", view="Published claims")
    found = published.claims()
    assert figures(app)["Claims"] == str(len(found))
    table = app.dataframe[0].value
    assert [verdict[0] for verdict in table["verdict"]].count("follows") == sum(claim.follows for claim in found)
    assert table["verdict"].iloc[0][0] == "does not follow"


def test_figures_of_claims_are_written_with_the_digits_they_have() -> None:
    assert (
        published.written({"cost": Decimal("3036.500000"), "saving": Decimal("0.0657")})
        == "cost $3,036.50, saving 6.57%"
    )
    assert published.written({"saving": Decimal("0.07")}) == "saving 7%"
    assert published.written({"cost": Decimal("0.112")}) == "cost $0.112"
    assert published.written({"cost_by_model": {"a": Decimal("0.07")}}) == "a $0.07"


def test_a_start_without_traffic_leans_on_the_cheaper_tiers() -> None:
    start = plan.from_config(default_config())
    shares = list(start.shares.values())
    assert shares == sorted(shares, reverse=True)
    assert (
        plan.from_log(
            pd.DataFrame(
                columns=[
                    "kind",
                    "model",
                    "decisions",
                    "priced_attempts",
                    "unpriced_attempts",
                    "input_tokens",
                    "output_tokens",
                    "cache_read_input_tokens",
                ]
            ),
            30,
            default_config(),
        )
        is None
    )
