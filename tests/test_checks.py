"""Checks turn poor answers down, say why, and never lose an answer because a check broke."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from router_core.errors import ConfigError
from router_core.serving import checks
from router_core.serving.checks import Answer, Verdict, build_checks, judge

BUILT_INS = (
    "json_schema",
    "logprob",
    "length",
    "required_keywords",
    "forbidden_keywords",
    "uncertainty",
    "self_consistency",
    "callback",
)


async def nothing_more(samples: int) -> Sequence[str]:
    raise AssertionError("no check here asks again")


async def verdict(settings: dict[str, Any], answer: Answer, **options: Any) -> Verdict:
    return await judge(
        answer,
        build_checks([settings]),
        options.get("again", nothing_more),
        on_error=options.get("on_error", "escalate"),
    )


CITY = {"json_schema": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}}


@pytest.mark.parametrize(
    ("settings", "text", "score", "why"),
    [
        (CITY, '{"city": "Bern"}', 1.0, ""),
        (CITY, '```json\n{"city": "Bern"}\n```', 1.0, ""),
        (CITY, '{"city": 3}', 0.0, "schema"),
        (CITY, "Bern is the city", 0.0, "not JSON"),
        ({"length": {"min": 5}}, "Yes", 0.0, "fewer than 5"),
        ({"length": {"min": 1, "max": 3}}, "Yes, of course", 0.0, "more than 3"),
        ({"required_keywords": ["Total", "VAT"]}, "The total is 12", 0.5, "missing: vat"),
        ({"forbidden_keywords": ["as an AI"]}, "As an AI I cannot", 0.0, "as an ai"),
        ({"uncertainty": {"penalty": 0.4}}, "I'm not sure, perhaps 12", 0.2, "unsure"),
        ({"uncertainty": None}, "It is 12", 1.0, ""),
    ],
)
async def test_a_check_scores_and_says_why(settings: dict[str, Any], text: str, score: float, why: str) -> None:
    found = await verdict(settings, Answer(text))
    assert found.score == pytest.approx(score)
    assert why in found.why


async def test_an_answer_cut_off_by_the_token_limit_is_turned_down() -> None:
    assert (await verdict({"length": {}}, Answer("A long ans", finish_reason="length"))).score == 0


async def test_token_probabilities_below_the_floor_score_zero_and_none_at_all_pass() -> None:
    settings = {"logprob": {"floor": 0.5}}
    assert (await verdict(settings, Answer("x", logprobs=[-2.0, -1.5]))).score == 0
    assert (await verdict(settings, Answer("x", logprobs=[-0.01, -0.01]))).score > 0.9
    assert (await verdict(settings, Answer("x"))).score == 1


async def test_self_consistency_is_the_share_that_agrees() -> None:
    async def again(samples: int) -> Sequence[str]:
        return ["So the ANSWER is 12", "the answer is 13"][:samples]

    settings = {"self_consistency": {"samples": 2, "pattern": "(?i)answer is (\\d+)"}}
    found = await verdict(settings, Answer("The answer is 12"), again=again)
    assert found.score == pytest.approx(2 / 3)
    assert found.why == "1 of 2 further answers agree"


@pytest.fixture
def scoring_service() -> Iterator[str]:
    """A local service that gives short answers .9 and says nonsense about long ones."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = json.loads(self.rfile.read(int(self.headers["content-length"])))["text"]
            body = json.dumps({"score": 0.9 if len(text) < 10 else 7}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/check"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_a_downstream_service_judges(scoring_service: str) -> None:
    settings = {"callback": {"url": scoring_service}}
    assert (await verdict(settings, Answer("short"))).score == 0.9


@pytest.mark.parametrize(("on_error", "score"), [("accept", 1.0), ("escalate", 0.0)])
async def test_a_check_that_fails_itself_follows_the_setting(scoring_service: str, on_error: str, score: float) -> None:
    settings = {"callback": {"url": scoring_service}}
    found = await verdict(settings, Answer("a long answer"), on_error=on_error)
    assert found.score == score
    if score == 0:
        assert "not within 0..1" in found.why


async def test_the_lowest_verdict_counts() -> None:
    both = build_checks([{"required_keywords": ["total", "vat"]}, {"length": {"min": 1}}])
    assert (await judge(Answer("total"), both, nothing_more, on_error="escalate")).score == 0.5


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"lenght": {}}, "unknown check 'lenght'"),
        ({"length": {}, "uncertainty": {}}, "one check an entry"),
        ({"json_schema": {"type": "objekt"}}, "schema is not valid"),
        ({"length": {"min": 9, "max": 3}}, "min 9 is above max 3"),
        ({"forbidden_keywords": "single"}, "give a list of words"),
        ({"self_consistency": {"samples": 99}}, "from 1 to 10"),
        ({"callback": {}}, "url is an address such as"),
        ({"callback": {"url": "127.0.0.1:9000"}}, "url is an address such as .* not '127.0.0.1:9000'"),
        ({"length": 5}, r"cascade\.checks\.0\.length: give its settings by name \(min, max\), not 5"),
        ({"length": {"min": "many"}}, "min is a number, not 'many'"),
        ({"logprob": {"flor": 0.5}}, "unknown setting 'flor'; did you mean 'floor'"),
        ({"json_schema": None}, "give a schema"),
    ],
)
def test_settings_that_cannot_be_used_are_named(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        build_checks([settings])


@pytest.mark.parametrize("name", ["length", "logprob", "uncertainty", "self_consistency"])
def test_a_check_without_settings_has_its_own(name: str) -> None:
    assert [one.name for one in build_checks([{name: None}])] == [name]


def test_every_check_shows_how_it_is_written_and_that_can_be_used() -> None:
    for name in BUILT_INS:
        example = re.search(rf"``(\{{{name}: .+?\}})``", getattr(checks, name).__doc__)
        assert example is not None, name
        (written,) = yaml.safe_load(f"[{example[1]}]")
        assert [one.name for one in build_checks([written])] == [name]


async def test_a_schema_that_refers_elsewhere_fetches_nothing_and_counts_as_a_failed_check(
    scoring_service: str,
) -> None:
    settings = {"json_schema": {"$ref": scoring_service}}
    found = await verdict(settings, Answer("{}"), on_error="escalate")
    assert (found.score, found.check) == (0.0, "json_schema")
    assert "a check failed" in found.why


def test_a_check_of_somebody_elses_that_cannot_be_loaded_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = tmp_path / "broken-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[tierwise.checks]\nbroken = no_such_module:check\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert len(build_checks([{"length": {}}])) == 1
    with pytest.raises(ConfigError, match=r"cascade\.checks\.0\.broken: ModuleNotFoundError: .*no_such_module"):
        build_checks([{"broken": {}}])


async def test_anybody_may_add_a_check_by_an_entry_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installed package would: a module, and its metadata beside it."""
    (tmp_path / "shouting.py").write_text(
        "from router_core.serving.checks import Verdict\n\n\n"
        "def shouting(options):\n"
        "    async def check(answer, again):\n"
        "        loud = answer.text.count('!') > options['most']\n"
        "        return Verdict(0.0 if loud else 1.0, 'shouts' if loud else '')\n"
        "    return check\n"
    )
    metadata = tmp_path / "shouting-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: shouting\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[tierwise.checks]\nshouting = shouting:shouting\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    shouting = build_checks([{"shouting": {"most": 2}}])
    assert await judge(Answer("Well!"), shouting, nothing_more, on_error="accept") == Verdict(1.0)
    assert await judge(Answer("Well!!!"), shouting, nothing_more, on_error="accept") == Verdict(
        0.0, "shouts", "shouting"
    )
    with pytest.raises(ConfigError, match=r"cascade.checks.0: unknown check 'whispering'; choose one of .*shouting"):
        build_checks([{"whispering": {}}])
