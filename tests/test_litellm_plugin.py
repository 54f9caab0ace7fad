"""The classifier plug-in inside LiteLLM itself, where that is installed in an environment of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pydantic
import pytest
from peers import Absent, litellm_environ, litellm_python
from upstream import upstream

from router_core.complexity.classify import Classifier
from router_core.config import parse_config
from router_core.decision import Request
from router_core.exchange.export_litellm import proxy_config
from router_core.ledger.store import open_ledger
from router_core.lifecycle import versions
from router_core.policy import assign

ROOT = Path(__file__).parent.parent
PROMPTS = (
    "hi",
    "Prove step by step that there are infinitely many primes, and derive a bound.",
    "this contract",
    "why?",
)


@pytest.mark.slow
def test_litellm_routes_as_tierwise_would(new_ledger: Path, db_path: Path, tmp_path: Path) -> None:
    try:
        python = litellm_python(install=False)
    except Absent as absent:
        pytest.skip(str(absent))
    shutil.copy(new_ledger, db_path)
    with upstream() as url:
        config = parse_config(
            "tiers:\n  - {name: SIMPLE, models: [small]}\n  - {name: MEDIUM, models: [middle], score_min: 40}\n"
            "  - {name: COMPLEX, models: [large], score_min: 75}\n"
            "  - {name: REASONING, models: [largest], score_min: 92}\n"
            "models: {small: {provider: up, name: 'says:small'}, middle: {provider: up, name: 'says:middle'}, "
            "large: {provider: up, name: 'says:large'}, largest: {provider: up, name: 'says:largest'}}\n"
            f'providers: {{up: {{base_url: "{url}"}}}}\nfeatures: {{legal: {{pin: REASONING}}}}\n'
            "rules: [{when: {keywords: [contract]}, tier: COMPLEX}]\n"
        )
        with open_ledger(db_path) as ledger:
            versions.live(ledger)
            versions.push(ledger, config, author="test", note="local")
        exported = proxy_config(config)
        for model in exported["model_list"]:
            if "api_base" in model["litellm_params"]:
                model["litellm_params"]["api_key"] = "any"
        file = tmp_path / "litellm.json"
        file.write_text(json.dumps(exported))
        asked = [{"messages": [{"role": "user", "content": text}]} for text in PROMPTS]
        asked.append({**asked[0], "metadata": {"feature": "legal"}})
        ran = subprocess.run(
            [python, Path(__file__).with_name("inside_litellm.py"), file, ROOT, Path(pydantic.__file__).parents[1]],
            input="".join(json.dumps(one) + "\n" for one in asked),
            env=litellm_environ(TIERWISE_DB=str(db_path)),
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ran.returncode == 0, ran.stderr[-3_000:]
    said = [json.loads(line)["text"] for line in ran.stdout.splitlines() if line.startswith("{")]
    ours = Classifier(config)
    expected = []
    for text, feature in [*((text, "default") for text in PROMPTS), ("hi", "legal")]:
        request = Request(text, feature=feature)
        expected.append(config.tier(assign(ours.classify(request), request, config, draw=0.5).tier).models[0])
    assert said == expected
    assert len(set(said)) >= 3
