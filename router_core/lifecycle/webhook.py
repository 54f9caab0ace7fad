"""Telling a webhook of alerts: one JSON post each, tried again where that may help, and each alert once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from router_core.ledger.alert_notices import give_back, sent, take
from router_core.ledger.store import Ledger
from router_core.lifecycle.alerts import Alert

PATIENCE_S: Final = 5.0
WAITS_S: Final = (0.5, 2.0)  # before the second and the third try


@dataclass(frozen=True, slots=True)
class Delivered:
    """How many alerts were sent now, and why the first of the rest was not; empty where all were."""

    sent: int
    failed: int
    why: str


def deliver(ledger: Ledger, url: str, alerts: Sequence[Alert], now_ms: int, *, demo: bool = False) -> Delivered:
    """Post each alert that nobody has seen and that was not sent before; any number of senders may be at it.

    One that cannot be delivered is left for the next time, and so are those after it: the receiver is the same. An
    alert is sent twice only where a sender is killed between the answer and writing it down. Raises ``LedgerError``
    where the ledger fails.
    """
    count = 0
    for place, alert in enumerate(alerts):
        if not take(ledger, alert.key, now_ms):
            continue
        try:
            why = post(url, message(alert, now_ms, demo=demo))
        except BaseException:
            give_back(ledger, alert.key)
            raise
        if why:
            give_back(ledger, alert.key)
            return Delivered(count, len(alerts) - place, why)
        sent(ledger, alert.key, now_ms)
        count += 1
    return Delivered(count, 0, "")


def message(alert: Alert, now_ms: int, *, demo: bool) -> dict[str, Any]:
    """Return what is posted: ``text`` is the sentence, which chat tools show as it is; the rest is for programs."""
    return {
        "text": f"Demo data: {alert.sentence}" if demo else alert.sentence,
        "id": alert.id,
        "key": alert.key,
        "kind": alert.kind,
        "subject": alert.subject,
        "threshold": alert.threshold,
        "period": alert.period,
        "severity": alert.severity,
        "page": alert.page,
        "at_ms": now_ms,
        "demo": demo,
    }


def post(url: str, body: dict[str, Any], *, patience_s: float = PATIENCE_S, waits_s: Sequence[float] = WAITS_S) -> str:
    """Post JSON, again after each of ``waits_s`` where nobody answers, or with 429 or 5xx; returns why it failed.

    The address itself is never part of that, since it often is the key. Redirections are not followed.
    """
    import httpx  # waits until there is something to send

    why = ""
    for wait in (0.0, *waits_s):
        time.sleep(wait)
        try:
            status = httpx.post(url, json=body, timeout=patience_s).status_code
        except httpx.TimeoutException:
            why = f"it did not answer within {patience_s:g} s"
            continue
        except httpx.TransportError as error:
            why = f"it cannot be reached ({type(error).__name__})"
            continue
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return f"its address cannot be used ({type(error).__name__})"
        if status < 300:
            return ""
        why = f"it answered {status}"
        if status != httpx.codes.TOO_MANY_REQUESTS and status < 500:
            break
    return why
