"""`tierwise claims` recomputes published figures from their inputs alone, and says which of them follow."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from router_core.cli import main
from router_core.errors import InputError
from router_core.projection.claims import parse_claims, read_claims, shipped_claims

TEXT = shipped_claims().read_text(encoding="utf-8")
BY_HAND = yaml.safe_load(TEXT)["claims"]

CASE = """
sources: {here: "An article"}
prices: {m: {input: 1.00, output: 2.00}}
claims:
  - id: one
    source: here
    traffic: {requests: 1000, per: day, input_tokens: 1000, output_tokens: 500}
    mix: {m: 1.0}
    stated: {cost: 2.00}
"""


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["claims", *arguments])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


@pytest.mark.parametrize("case", BY_HAND, ids=lambda case: str(case["id"]))
def test_every_claim_is_recomputed_as_it_was_by_hand(case: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    listed = {one["id"]: one for one in json.loads(run(capsys, "--json")[1])}
    assert listed[case["id"]] == {name: case[name] for name in ("id", "source", "stated", "recomputed", "follows")}


def test_what_was_judged_by_hand_is_not_read() -> None:
    data = yaml.safe_load(TEXT)
    for case in data["claims"]:
        del case["recomputed"], case["follows"]
    bare = parse_claims(yaml.safe_dump(data, sort_keys=False))
    lying = parse_claims(
        TEXT.replace("follows: true", "follows: false").replace("recomputed: {cost:", "recomputed: {x:")
    )
    assert [(one.recomputed, one.follows) for one in bare] == [(one.recomputed, one.follows) for one in lying]
    assert [one.follows for one in lying] == [case["follows"] for case in BY_HAND]


def test_people_see_a_verdict_on_each(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys)
    assert code == 0
    line = next(line for line in out.splitlines() if line.startswith("classifier_on_mini"))
    assert "$15.00" in line
    assert "$75.00" in line
    assert "does not follow" in line
    assert "saving -43.3 %" in out
    assert "8 of 11 claims follow from their own inputs; 3 do not." in out


@pytest.mark.parametrize(
    ("stated", "follows"),
    [
        ("{cost: 2.00}", True),
        ("{cost: 2}", True),
        ("{cost: 1.99}", False),
        ("{cost: 2.001}", False),
        ("{cost: 2.00, cost_per_month: 60}", True),
        ("{cost: 2.00, cost_per_month: 61}", False),
        ("{cost_by_model: {m: 2.0}}", True),
        ("{cost_by_model: {n: 2.0}}", False),
    ],
)
def test_a_figure_follows_where_it_is_the_true_one_rounded_as_it_was_stated(stated: str, follows: bool) -> None:
    (claim,) = parse_claims(CASE.replace("{cost: 2.00}", stated))
    assert claim.follows is follows


def test_a_half_may_be_rounded_either_way() -> None:
    half = CASE.replace("input: 1.00", "input: 1.005")
    for stated in ("2.00", "2.01"):
        (claim,) = parse_claims(half.replace("{cost: 2.00}", f"{{cost: {stated}}}"))
        assert claim.recomputed == {"cost": Decimal("2.005")}
        assert claim.follows


def test_other_claims_can_be_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(CASE)
    assert json.loads(run(capsys, str(path), "--json")[1])[0]["recomputed"] == {"cost": 2.0}


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (CASE, "claims: 3", "a list under the key 'claims'"),
        (CASE, "claims: [", "this is not YAML"),
        ("mix: {m: 1.0}", "mix: {m: 0.9}", "the claim 'one' cannot be recomputed: the shares .* sum to 0.9"),
        ("mix: {m: 1.0}", "mix: {x: 1.0}", "no price is given for 'x'"),
        ("    mix: {m: 1.0}\n", "", "it needs either 'mix' or 'requests_by_model'"),
        ("input_tokens: 1000", "input_tokens: many", "traffic.input_tokens: input should be a valid decimal"),
        ("requests: 1000", "requests: -5", "requests is -5"),
        ("{cost: 2.00}", "{cost: 2.00, profit: 1}", "stated.profit: extra inputs are not permitted"),
        ("{cost: 2.00}", "{saving: 0.5}", "a saving needs a baseline"),
        ("source: here", "source: there", "the source 'there', which is not listed"),
        ("source: here", "source: here\n    baseline: two", "set against 'two', which does not stand before it"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(
    old: str, new: str, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(CASE.replace(old, new))
    with pytest.raises(InputError, match=sentence):
        read_claims(path)
    code, out, err = run(capsys, str(path))
    assert (code, out) == (2, "")
    assert err.startswith(f"tierwise: {path}: ")
    assert err.count("\n") == 1


def test_a_file_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, str(tmp_path / "none.yaml"))
    assert (code, err.strip()) == (
        2,
        f"tierwise: {tmp_path}/none.yaml: the claims cannot be read: No such file or directory",
    )


def test_a_claim_given_twice_is_refused() -> None:
    case = CASE[CASE.index("  - id") :]
    with pytest.raises(InputError, match="'one' stands in it twice"):
        parse_claims(CASE + case.lstrip("\n"))
