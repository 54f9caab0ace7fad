"""A configuration for LiteLLM's proxy, and the classifier that proxy then asks."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from conftest import ROOT

from router_core.complexity.classify import Classifier
from router_core.config import RoutingConfig, default_config, set_values
from router_core.decision import Request
from router_core.errors import LedgerError
from router_core.exchange.export import export
from router_core.exchange.export_litellm import PLUGIN, export_litellm, proxy_config
from router_core.exchange.litellm_plugin import TierwiseClassifier, classifier
from router_core.ledger.store import open_ledger
from router_core.lifecycle import versions
from router_core.policy import assign

SAMPLE = (
    Path(os.environ.get("TIERWISE_SHARED_FORMATS", ROOT.parent / "shared" / "formats")) / "litellm/proxy_config.yaml"
)


def routed(config: RoutingConfig) -> dict[str, Any]:
    parameters: dict[str, Any] = proxy_config(config)["model_list"][0]["litellm_params"]
    return parameters


def test_tiers_boundaries_and_models_are_those_of_the_configuration() -> None:
    config = default_config()
    router = routed(config)["complexity_router_config"]
    assert router["tiers"] == {tier.name: tier.models[0] for tier in config.tiers}
    assert router["tier_boundaries"] == {"simple_medium": 0.45, "medium_complex": 0.75, "complex_reasoning": 0.92}
    assert "tier_definitions" not in router  # LiteLLM knows these four names
    models = {entry["model_name"]: entry["litellm_params"] for entry in proxy_config(config)["model_list"][1:]}
    assert set(models) == set(config.models)
    assert models["gemini-2.5-flash"] == {"model": "gemini/gemini-2.5-flash", "api_key": "os.environ/GEMINI_API_KEY"}


def test_chains_become_fallbacks_and_every_name_is_a_model_of_the_file() -> None:
    config = default_config()
    proxy = proxy_config(config)
    names = {entry["model_name"] for entry in proxy["model_list"]}
    assert {"gpt-4.1": ["claude-sonnet-4-5"]} in proxy["router_settings"]["fallbacks"]
    for key in ("fallbacks", "context_window_fallbacks"):
        for entry in proxy["router_settings"][key]:
            assert {name for pair in entry.items() for name in (pair[0], *pair[1])} <= names
    assert set(routed(config)["complexity_router_config"]["tiers"].values()) <= names


def test_tiers_of_other_names_are_defined_and_other_providers_have_their_address() -> None:
    config = RoutingConfig.model_validate(
        {
            "tiers": [{"name": "low", "models": ["a"]}, {"name": "high", "models": ["b"], "score_min": 30}],
            "models": {"a": {"provider": "own", "name": "llama"}, "b": {"provider": "own"}},
            "providers": {"own": {"base_url": "http://127.0.0.1:9/v1"}},
            "cache": {"mode": "semantic", "ttl_seconds": 60, "similarity_threshold": 0.9},
        }
    )
    router = routed(config)["complexity_router_config"]
    assert [one["name"] for one in router["tier_definitions"]] == ["low", "high"]
    assert router["tier_boundaries"] == {"low_high": 0.3}
    proxy = proxy_config(config)
    assert proxy["model_list"][1]["litellm_params"] == {"model": "openai/llama", "api_base": "http://127.0.0.1:9/v1"}
    assert proxy["litellm_settings"]["cache_params"] == {"type": "local", "ttl": 60, "similarity_threshold": 0.9}


def test_the_file_has_the_keys_of_one_that_litellm_loaded() -> None:
    if not SAMPLE.is_file():
        pytest.skip(f"the published samples are not present at {SAMPLE.parent}")
    published = yaml.safe_load(SAMPLE.read_text())
    ours = proxy_config(default_config())
    known = published["model_list"][0]["litellm_params"]
    assert set(routed(default_config())) == set(known)
    assert set(routed(default_config())["complexity_router_config"]) <= set(known["complexity_router_config"])
    assert set(ours["router_settings"]) <= set(published["router_settings"])
    assert set(ours) <= set(published)


def test_what_litellm_has_no_words_for_is_said(tmp_path: Path) -> None:
    statement = export_litellm(tmp_path / "proxy.yaml", default_config(), version=3)
    assert any("Rules are not in the file" in note for note in statement.notes)
    assert any("Pins and boundaries of single features" in note for note in statement.notes)
    text = (tmp_path / "proxy.yaml").read_text()
    assert "configuration version 3" in text
    assert yaml.safe_load(text) == proxy_config(default_config())
    assert "&id" not in text


def test_the_live_configuration_is_what_is_exported(new_ledger: Path, db_path: Path, tmp_path: Path) -> None:
    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as ledger:
        versions.live(ledger)
        versions.push(ledger, set_values(default_config(), ["tiers.1.score_min=33"]), author="test", note="lower")
        export(ledger, "litellm", tmp_path / "proxy.yaml")
    proxy = yaml.safe_load((tmp_path / "proxy.yaml").read_text())
    boundaries = proxy["model_list"][0]["litellm_params"]["complexity_router_config"]["tier_boundaries"]
    assert boundaries["simple_medium"] == 0.33


def context(text: str, **metadata: Any) -> Any:
    return SimpleNamespace(structured_messages=[{"role": "user", "content": text}], metadata=metadata)


def test_the_plugin_names_the_tier_that_tierwise_would(new_ledger: Path, db_path: Path) -> None:
    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as ledger:
        config = versions.live(ledger).config
    plugin = TierwiseClassifier(str(db_path), draw=lambda: 0.9)
    ours = Classifier(config)
    try:
        for text in ("hi", "Prove step by step that there are infinitely many primes, and derive a bound.", "why?"):
            request = Request(text)
            expected = assign(ours.classify(request), request, config, draw=0.9).tier
            assert asyncio.run(plugin.classify(context(text))) == expected
        assert asyncio.run(plugin.classify(context("hi", feature="contract_review"))) == "REASONING"
        assert asyncio.run(plugin.classify(SimpleNamespace(structured_messages=[]))) is None
    finally:
        plugin.close()


def test_the_plugin_follows_what_is_pushed(new_ledger: Path, db_path: Path) -> None:
    import time

    shutil.copy(new_ledger, db_path)
    with open_ledger(db_path) as ledger:
        config = versions.live(ledger).config
        plugin = TierwiseClassifier(str(db_path), draw=lambda: 0.9)
        try:
            assert asyncio.run(plugin.classify(context("hello"))) == "SIMPLE"
            pinned = set_values(config, ["features.default.pin=COMPLEX"])
            versions.push(ledger, pinned, author="test", note="pin")
            ends = time.monotonic() + 5
            while asyncio.run(plugin.classify(context("hello"))) != "COMPLEX":
                assert time.monotonic() < ends
                time.sleep(0.05)
        finally:
            plugin.close()


def test_the_plugin_is_where_the_file_says_and_opens_nothing_until_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, _, name = PLUGIN.rpartition(".")
    assert (module, name) == (TierwiseClassifier.__module__, "classifier")
    monkeypatch.setenv("TIERWISE_DB", str(tmp_path / "nowhere.db"))
    with pytest.raises(LedgerError, match="there is no ledger at"):
        asyncio.run(classifier.classify(context("hello")))
