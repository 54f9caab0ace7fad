"""Gateway keys: given out once, asked for from then on, and useless once revoked."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
from gateways import Gateway, gateway, write_config
from upstream import upstream

from router_core.cli import main
from router_core.decision import Request
from router_core.errors import FeatureNotAllowedError
from router_core.gateway.access import with_key
from router_core.ledger.gateway_keys import GatewayKey

HELLO = [{"role": "user", "content": "hello"}]


class Tierwise:
    """The command, run in this process: exit code, and what it wrote."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        out, err = self._capture.readouterr()
        return int(end.value.code or 0), out, err

    def add(self, db: Path, name: str, *arguments: str) -> str:
        code, out, err = self("keys", "add", name, *arguments, "--db", str(db), "--json")
        assert code == 0, err
        key: str = json.loads(out)["key"]
        return key


@pytest.fixture
def tierwise(capsys: pytest.CaptureFixture[str]) -> Tierwise:
    return Tierwise(capsys)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("keys")
    with upstream() as url:
        config = write_config(folder / "config.yaml", url, {"cheap": "ok", "strong": "ok"})
        with gateway(folder / "ledger.db", config, UP_KEY="k") as running:
            yield running


def ask(served: Gateway, key: str, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{served.url}/v1/chat/completions",
        json={"model": "auto", "messages": HELLO},
        headers={"authorization": f"Bearer {key}", **headers},
    )


def within_seconds(served: Gateway, key: str, status: int) -> httpx.Response:
    """Ask until the status is the one expected, for at most three seconds."""
    deadline = time.monotonic() + 3
    while True:
        response = ask(served, key)
        if response.status_code == status or time.monotonic() > deadline:
            assert response.status_code == status, response.text
            return response
        time.sleep(0.05)


def test_the_first_key_closes_the_gateway_to_everybody_else_and_a_revoked_one_is_refused(
    served: Gateway, tierwise: Tierwise
) -> None:
    assert ask(served, "whatever").status_code == 200
    key = tierwise.add(served.db, "shop", "--team", "web", "--feature", "search", "--feature", "chat")
    refusal = within_seconds(served, "whatever", 401).json()["error"]
    assert (refusal["type"], refusal["code"]) == ("invalid_request_error", "invalid_api_key")

    response = within_seconds(served, key, 200)
    decision = served.decision(response.headers["x-tierwise-decision"])
    assert (decision.team, decision.feature) == ("web", "search")

    response = ask(served, key, **{"x-tierwise-team": "sales", "x-tierwise-feature": "chat"})
    decision = served.decision(response.headers["x-tierwise-decision"])
    assert (decision.team, decision.feature) == ("web", "chat")

    denied = ask(served, key, **{"x-tierwise-feature": "payroll"})
    assert (denied.status_code, denied.json()["error"]["code"]) == (403, "feature_not_allowed")

    with pytest.raises(openai.AuthenticationError):
        served.client("tw-unknown").models.list()
    assert "auto" in [model.id for model in served.client(key).models.list()]
    for header in ({}, {"authorization": key}, {"authorization": "Bearer"}, {"authorization": "Basic x"}):
        assert httpx.get(f"{served.url}/v1/models", headers=header).status_code == 401
    assert httpx.get(f"{served.url}/healthz").status_code == 200

    assert tierwise("keys", "revoke", "shop", "--db", str(served.db))[0] == 0
    within_seconds(served, key, 401)
    assert ask(served, "whatever").status_code == 401  # once keys were made, none left means nobody

    listed = json.loads(tierwise("keys", "list", "--db", str(served.db), "--json")[1])
    assert [(one["name"], one["team"], one["features"]) for one in listed] == [("shop", "web", ["search", "chat"])]
    assert listed[0]["revoked_at_ms"] is not None
    assert key.encode() not in served.db.read_bytes()


def test_without_keys_only_this_machine_may_reach_the_gateway(tmp_path: Path, tierwise: Tierwise) -> None:
    code, _, said = tierwise("serve", "--host", "0.0.0.0", "--port", "0", "--db", str(tmp_path / "ledger.db"))
    assert code == 2
    assert "tierwise keys add" in said
    assert len(said.strip().splitlines()) == 1


@pytest.mark.parametrize("arguments", [("revoke", "nobody"), ("add", "twice")])
def test_a_mistake_with_keys_is_one_sentence(tmp_path: Path, tierwise: Tierwise, arguments: tuple[str, ...]) -> None:
    db = tmp_path / "ledger.db"
    tierwise.add(db, "twice")
    code, _, said = tierwise("keys", *arguments, "--db", str(db))
    assert code == 2
    assert len(said.strip().splitlines()) == 1


def test_the_list_of_keys_is_a_table_for_people(tmp_path: Path, tierwise: Tierwise) -> None:
    db = tmp_path / "ledger.db"
    tierwise.add(db, "shop", "--team", "web")
    _, shown, _ = tierwise("keys", "list", "--db", str(db))
    assert "shop" in shown
    assert "web" in shown


def key(*features: str, team: str = "") -> GatewayKey:
    return GatewayKey("k", team, features, 0, None)


def test_a_key_decides_the_team_and_bounds_the_features() -> None:
    assert with_key(Request("x", feature="a", team="t"), key()) == Request("x", feature="a", team="t")
    assert with_key(Request("x", team="t"), key(team="own")).team == "own"
    assert with_key(Request("x"), key("a", "b")).feature == "a"
    assert with_key(Request("x"), key("a", "default")).feature == "default"
    with pytest.raises(FeatureNotAllowedError, match="it is for 'a'"):
        with_key(Request("x", feature="c"), key("a"))


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path, tierwise: Tierwise) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, _, said = tierwise("serve", "--port", port, "--db", str(tmp_path / "ledger.db"))
    assert code == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in said
    assert len(said.strip().splitlines()) == 1
