"""A webhook is told of each alert once, by JSON over HTTP, again where that may help, and never of what was seen."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from test_alerts_seen import budgeted, spent

from router_core.cli import main
from router_core.config import default_config, dump_config, parse_config
from router_core.errors import ConfigError
from router_core.ledger.alert_notices import notices, see
from router_core.ledger.store import Ledger
from router_core.lifecycle import webhook
from router_core.lifecycle.alerts import Alert


class Receiver:
    """A server that keeps what it is posted, and answers with the statuses it is given, then 200."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.statuses: list[int] = []
        self.pause_s = 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                assert self.headers["content-type"] == "application/json"
                outer.bodies.append(body)
                time.sleep(outer.pause_s)
                self.send_response(outer.statuses.pop(0) if outer.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks/secret"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def run(capsys: pytest.CaptureFixture[str], ledger: Ledger, *options: str) -> tuple[int, str]:
    """Run the verb; returns its exit code and what it told the person."""
    with pytest.raises(SystemExit) as ended:
        main(["alerts", "--json", "--db", str(ledger.engine.url.database), *options])
    return int(str(ended.value.code or 0)), capsys.readouterr().err


def an_alert(name: str) -> Alert:
    return Alert("budget", name, "100 spent", "2026-11-01/month", "bad", 1, f"The budget of {name} is spent.", "tiers")


def test_each_alert_is_posted_once_whoever_sends(
    ledger: Ledger, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    budgeted(
        ledger,
        {"scope": "team:support", "max_budget": 1},
        {"scope": "team:legal", "max_budget": 1},
        alerts={"webhook": receiver.url},
    )
    spent(ledger, 2)
    assert run(capsys, ledger, "--send") == (0, "1 sent.\n")
    assert run(capsys, ledger, "--send") == (0, "")
    spent(ledger, 3, team="legal")
    assert run(capsys, ledger, "--send") == (0, "1 sent.\n")
    support, legal = receiver.bodies
    assert support["text"].startswith("The budget of $1.00 for team support is spent: $2.00, 200%")
    assert (support["severity"], support["kind"], support["subject"]) == ("bad", "budget", "team:support")
    assert legal["subject"] == "team:legal"
    assert all(one.sent_at_ms for one in notices(ledger).values())


def test_what_somebody_has_seen_is_not_sent(ledger: Ledger, receiver: Receiver) -> None:
    known, fresh = an_alert("a"), an_alert("b")
    see(ledger, known.key, who="ada", sentence=known.sentence, at_ms=1)
    assert webhook.deliver(ledger, receiver.url, [known, fresh], 5, demo=True) == webhook.Delivered(1, 0, "")
    assert [(one["subject"], one["text"]) for one in receiver.bodies] == [("b", "Demo data: The budget of b is spent.")]


def test_many_senders_at_once_post_each_alert_once(ledger: Ledger, receiver: Receiver) -> None:
    receiver.pause_s = 0.05
    listed = [an_alert(name) for name in "abcd"]
    senders = [
        threading.Thread(target=webhook.deliver, args=(ledger, receiver.url, listed, 1_000_000)) for _ in range(4)
    ]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert sorted(one["subject"] for one in receiver.bodies) == list("abcd")


def test_a_receiver_in_trouble_is_tried_again_and_one_that_refuses_is_not(receiver: Receiver) -> None:
    receiver.statuses = [503, 429]
    assert webhook.post(receiver.url, {}, waits_s=(0.01, 0.01)) == ""
    assert len(receiver.bodies) == 3
    receiver.statuses = [404]
    assert webhook.post(receiver.url, {}, waits_s=(0.01, 0.01)) == "it answered 404"
    receiver.statuses = [302]
    assert webhook.post(receiver.url, {}, waits_s=(0.01, 0.01)) == "it answered 302"
    assert len(receiver.bodies) == 5
    receiver.pause_s = 0.5
    assert webhook.post(receiver.url, {}, patience_s=0.1, waits_s=(0.01,)) == "it did not answer within 0.1 s"
    assert len(receiver.bodies) == 7


def test_what_could_not_be_sent_is_sent_the_next_time(ledger: Ledger, receiver: Receiver) -> None:
    receiver.statuses = [200, 400]
    listed = [an_alert(name) for name in "abc"]
    assert webhook.deliver(ledger, receiver.url, listed, 5) == webhook.Delivered(1, 2, "it answered 400")
    assert webhook.deliver(ledger, receiver.url, listed, 6) == webhook.Delivered(2, 0, "")
    assert [one["subject"] for one in receiver.bodies] == ["a", "b", "b", "c"]


def test_a_receiver_that_is_not_there_is_one_sentence_without_its_address(
    ledger: Ledger, receiver: Receiver, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver.close()
    budgeted(ledger, {"max_budget": 1}, alerts={"webhook": receiver.url})
    spent(ledger, 2)
    code, told = run(capsys, ledger, "--send")
    assert (code, told) == (1, "The webhook was not told: it cannot be reached (ConnectError)\n")
    assert all(one.sent_at_ms is None for one in notices(ledger).values())


def test_sending_without_a_webhook_says_what_to_set(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    budgeted(ledger)
    code, told = run(capsys, ledger, "--send")
    assert code == 2
    assert "set alerts.webhook in the configuration and push it" in told
    code, told = run(capsys, ledger, "--every", "5")
    assert (code, "give --send with it" in told) == (2, True)


@pytest.mark.parametrize(
    "url", ["ftp://example.com/x", "file:///etc/passwd", "hooks.example.com", "http://", "http://[::1", "https://a:b/"]
)
def test_an_address_that_is_not_http_is_refused_with_its_line(url: str) -> None:
    text = dump_config(default_config()) + f'alerts:\n  webhook: "{url}"\n'
    with pytest.raises(ConfigError, match=r"a webhook is an http:// or https:// address") as refused:
        parse_config(text)
    assert refused.value.line == len(text.splitlines())
    good = parse_config(text.replace(url, "https://hooks.example.com/a?b=c"))
    assert good.alerts.webhook == "https://hooks.example.com/a?b=c"
