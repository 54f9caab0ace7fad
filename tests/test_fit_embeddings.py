"""`tierwise fit --embeddings`: fitted on an endpoint's vectors, kept, made live, and used by a gateway."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from gateways import gateway
from upstream import upstream

from router_core.cli import main
from router_core.decision import Kind

WORDS = "apple plum pie for the and a an of to name that is in it cut bake wash peel slice lemma holds or bring"


def folder(path: Path, count: int = 500) -> Path:
    """Write graded prompts of which those that say "quince" gain by the strong model."""
    rng = np.random.default_rng(1)
    hard = rng.random(count) < 0.4
    texts = [" ".join([*rng.choice(WORDS.split(), 9), *(["quince"] if one else [])]) for one in hard]
    path.mkdir()
    ids = [f"p{number}" for number in range(count)]
    pd.DataFrame({"prompt_id": ids, "prompt": texts}).to_parquet(path / "prompts.parquet")
    cheap = (rng.random(count) < np.where(hard, 0.1, 0.95)).astype(float)
    rows = [pd.DataFrame({"prompt_id": ids, "model": m, "quality": q}) for m, q in (("cheap", cheap), ("strong", 1.0))]
    pd.concat(rows).to_parquet(path / "responses.parquet")
    return path


def tierwise(capsys: pytest.CaptureFixture[str], *arguments: str | Path, code: int = 0) -> str:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    ran = capsys.readouterr()
    assert int(ended.value.code or 0) == code, ran.err
    return ran.err if code else ran.out


def test_a_scorer_fitted_on_an_endpoints_vectors_serves(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, db_path: Path
) -> None:
    with upstream() as url:
        chosen = tmp_path / "c.yaml"
        chosen.write_text(
            "tiers:\n  - {name: SIMPLE, models: [cheap]}\n  - {name: STRONG, models: [strong], score_min: 60}\n"
            "models: {cheap: {provider: up, name: ok}, strong: {provider: up, name: ok}}\n"
            f'providers: {{up: {{base_url: "{url}"}}}}\n'
        )
        ask: Callable[..., str] = lambda *more, code=0: tierwise(  # noqa: E731
            capsys, "fit", folder(tmp_path / f"g{len(more)}"), "--train-share", "0.5", "--db", db_path, *more, code=code
        )
        tierwise(capsys, "config", "push", chosen, "--db", db_path, "--note", "local")
        assert "'nobody/embed'" in ask("--embeddings", "nobody/embed", code=2)
        facts = json.loads(ask("--embeddings", "up/embed", "--activate", "--json"))
        scorer = facts["scorer"]
        assert (scorer["embeddings"], scorer["dimensions"], facts["embedded_tokens"]) == ("up/embed", 64, 500 * 7)
        assert scorer["form"] in ("gain", "centroids")
        assert facts["activated"]
        prompts = tmp_path / "p.jsonl"
        prompts.write_text('{"prompt": "bring the quince"}\n')
        with pytest.raises(SystemExit):
            main(["route", str(prompts), "--db", str(db_path)])
        assert "judges embeddings of up/embed and nothing is called" in capsys.readouterr().err
        with gateway(db_path) as served:
            answer = served.client().chat.completions.with_raw_response.create(
                model="auto", messages=[{"role": "user", "content": "bring the quince for a pie"}]
            )
            decision = served.decision(answer.headers["x-tierwise-decision"])
    assert (decision.stage, decision.scorer_version, decision.tier) == ("embedding", scorer["version"], "STRONG")
    assert [one.kind for one in decision.attempts] == [Kind.EMBEDDING, Kind.ANSWER]
