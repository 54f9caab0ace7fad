"""Previews of moved boundaries beside the known truth: both models answered every prompt of the recorded table."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from router_core.config import RoutingConfig, set_values
from router_core.decision import Reason
from router_core.ledger.evidence import evidence
from router_core.ledger.price_rows import read_prices
from router_core.ledger.rollup import refresh
from router_core.ledger.store import open_ledger
from router_core.lifecycle.versions import live
from router_core.prices import PriceBook
from router_core.projection import Cube, Preview
from router_core.usage import Usage
from tests.conftest import SHARED_DATA

BOUNDARIES = (20, 30, 35, 40, 45, 55, 60, 65, 70, 80)


@dataclass(frozen=True)
class Run:
    """A log of recorded prompts, ready to preview, with every answer that was not given kept beside it."""

    preview: Preview
    config: RoutingConfig
    log: pd.DataFrame  # score, tier, reason; a row a request
    quality: np.ndarray  # (requests, 2): what each model's answer was graded
    cost: np.ndarray  # (requests, 2): what each model's answer costs, nano-dollars


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    from router_core.cli import app, register

    if not SHARED_DATA.is_dir():
        pytest.skip(f"recorded outcomes are not present at {SHARED_DATA}")
    folder = SHARED_DATA / "routellm"
    db = tmp_path_factory.mktemp("run") / "r.db"
    register()
    prompts, outcomes = str(folder / "prompts.parquet"), str(folder / "responses.parquet")
    with pytest.raises(SystemExit) as done:
        app(["run", prompts, "--outcomes", outcomes, "--explore", "0.05", "--seed", "7", "--db", str(db), "--json"])
    assert done.value.code == 0
    with open_ledger(db) as ledger:
        refresh(ledger)
        version = live(ledger)
        prices = PriceBook(read_prices(ledger))
        cube = Cube.from_evidence(evidence(ledger, None, None), version.config, prices)
        preview = Preview(cube, version.config, prices)
    return Run(preview, version.config, _log(db), *_truth(folder, version.config, prices))


def _log(db: Path) -> pd.DataFrame:
    """Read every decision in the order of the prompts: ids of a run sort as its prompts do."""
    with sqlite3.connect(db) as connection:
        log = pd.read_sql_query(
            "select d.score, n.name as tier, d.reason from decision d"
            " join dimension n on n.id = d.tier_id order by d.id",
            connection,
        )
    connection.close()
    return log


def _truth(folder: Path, config: RoutingConfig, prices: PriceBook) -> tuple[np.ndarray, np.ndarray]:
    order = pd.read_parquet(folder / "prompts.parquet").prompt_id
    answers = pd.read_parquet(folder / "responses.parquet").set_index(["model", "prompt_id"])
    quality, cost = [], []
    for tier in config.tiers:
        rows = answers.loc[tier.models[0]].loc[order]
        quality.append(rows.quality.to_numpy(float))
        usages = zip(rows.input_tokens, rows.output_tokens.fillna(0).astype(int), strict=True)
        cost.append(
            [
                prices.list_cost(
                    Usage(a, b), provider_name="recorded", model=tier.models[0], at_ms=1_780_000_000_000
                ).nusd
                for a, b in usages
            ]
        )
    return np.array(quality).T, np.array(cost, dtype=float).T


def test_nothing_changed_projects_exactly_nothing(run: Run) -> None:
    projection = run.preview.at(run.config)
    assert projection.cost.change == 0
    assert projection.quality is not None
    assert projection.quality.change == 0
    logged = run.cost[np.arange(len(run.log)), _place(run, run.log.tier)].sum()
    assert projection.cost.logged == logged


def test_the_truth_lies_inside_nine_of_ten_intervals(run: Run) -> None:
    strong = run.config.tier_names[1]
    row = np.arange(len(run.log))
    was = _place(run, run.log.tier)
    inside = {"quality": 0, "cost": 0}
    for boundary in BOUNDARIES:
        projection = run.preview.at(set_values(run.config, [f"boundaries.{strong}={boundary}"]))
        chosen = (run.log.score >= boundary).astype(int)
        # Who was explored stays explored: the tier by chance is then the one that the boundary does not choose.
        now = np.select([run.log.reason == Reason.POLICY, run.log.reason == Reason.EXPLORE], [chosen, 1 - chosen], was)
        true_quality = (run.quality[row, now] - run.quality[row, was]).mean()
        true_cost = (run.cost[row, now] - run.cost[row, was]).sum()
        assert projection.quality is not None
        inside["quality"] += projection.quality.low <= true_quality <= projection.quality.high
        inside["cost"] += projection.cost.low <= true_cost <= projection.cost.high
        assert np.sign(projection.cost.change) == np.sign(true_cost)
    assert inside["quality"] >= 9, inside
    assert inside["cost"] >= 9, inside


def _place(run: Run, tiers: pd.Series) -> np.ndarray:
    return (tiers == run.config.tier_names[1]).to_numpy().astype(int)
