"""`tierwise calculate` prices a mix of models without a ledger."""

from __future__ import annotations

import json
from typing import Any

import pytest

from router_core.cli import main

TRAFFIC = ("--requests", "1000000", "--input-tokens", "500", "--output-tokens", "200")


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["calculate", *TRAFFIC, *arguments])
    captured = capsys.readouterr()
    return int(ended.value.code or 0), captured.out, captured.err


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    code, out, err = run(capsys, *arguments, "--json")
    assert code == 0, err
    return json.loads(out)


def test_a_mix_is_priced_from_the_price_list_of_a_day(capsys: pytest.CaptureFixture[str]) -> None:
    found = asked(
        capsys, "--mix", "openai/gpt-4o-mini=0.7", "--mix", "openai/gpt-4o=0.3", "--baseline", "openai/gpt-4o"
    )
    assert found["cost_by_model"] == {"openai/gpt-4o-mini": 136.5, "openai/gpt-4o": 975.0}
    assert (found["cost"], found["baseline_cost"], found["saving"]) == (1111.5, 3250.0, 0.658)


def test_given_prices_need_no_price_list(capsys: pytest.CaptureFixture[str]) -> None:
    plan = ("--mix", "a=0.5", "--mix", "b=0.5", "--price", "a=1/2", "--price", "b=3/4")
    assert asked(capsys, *plan)["cost"] == 1_600.0
    extras = asked(capsys, *plan, "--classifier", "a", "--rejected", "a=0.1")["extras"]
    assert extras == {"rejected drafts of a": 90.0, "classifier": 502.0}
    _, out, _ = run(capsys, *plan, "--baseline", "b")
    assert "Saving: 30.4%" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--mix", "a"), "--mix a is not MODEL=VALUE"),
        (("--mix", "a=x"), "--mix is 'x', which is not a number"),
        (("--mix", "a=0.5", "--mix", "a=0.5"), "--mix names 'a' twice"),
        (("--mix", "a=0.5", "--price", "a=1/1"), "the shares of the models sum to 0.5, not to 1"),
        (("--mix", "nobody-sells-this=1"), "no price is known for 'nobody-sells-this'; give one with --price"),
        (("--mix", "a=1", "--price", "a=1"), "--price a=1 is not MODEL=IN/OUT, such as gpt-4o=2.50/10.00"),
        (("--mix", "a=1", "--price", "a=1/-1"), "--price is -1; give a number that is not negative"),
        (("--mix", "openai/gpt-4o=1", "--at", "soon"), "--at soon is not a date such as 2026-01-31"),
        (("--mix", "llama-3.3-70b-versatile=1", "--mix", "x=y"), "--mix is 'y'"),
    ],
)
def test_what_cannot_be_priced_is_one_sentence(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1
