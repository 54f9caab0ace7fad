"""OpenTelemetry's GenAI spans and evaluation events as OTLP/JSON, under the names several generations gave them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from router_core.decision import Kind, QualitySource, Status
from router_core.errors import UsageError
from router_core.exchange.buckets import utc_day
from router_core.exchange.calls import Evaluation, ImportedCall, Item, Joins, Quality, Rejected
from router_core.exchange.currencies import Notes
from router_core.exchange.fields import (
    BadRowError,
    cost,
    count,
    in_dollars,
    instant,
    milliseconds,
    name,
    share,
    shown,
    usage,
)
from router_core.exchange.format import NOT_A_CALL, Format
from router_core.exchange.outcomes import status_of
from router_core.exchange.providers import own_name
from router_core.exchange.source import Source
from router_core.exchange.values import Value, values

SOURCE = "otel"

_OPERATION = ("gen_ai.operation.name", "openinference.span.kind")
_PROVIDER = ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system")
_REQUEST_MODEL = ("gen_ai.request.model", "llm.request.model_name", "llm.model_name")
_RESPONSE_MODEL = ("gen_ai.response.model", "llm.response.model_name")
_CONVERSATION = ("gen_ai.conversation.id", "session.id")
_INPUT = ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "llm.token_count.prompt")
_OUTPUT = ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "llm.token_count.completion")
_READ = (
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
    "llm.token_count.prompt_details.cache_read",
)
_WRITE = (
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "llm.token_count.prompt_details.cache_write",
)
_REASONING = (
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
    "llm.token_count.completion_details.reasoning",
)
_COST = (
    "gen_ai.usage.cost.amount",
    "gen_ai.usage.cost",
    "gen_ai.cost.total_cost",
    "litellm.cost.total",
    "operation.cost",
    "llm.cost.total",
)
_FIRST_CHUNK = ("gen_ai.response.time_to_first_chunk", "gen_ai.server.time_to_first_token")
_FEATURE = ("tierwise.feature", "feature", "metadata.feature")
_TEAM = ("tierwise.team", "team", "metadata.team")
_TIER = ("tierwise.tier", "x_router.tier")
_CALLS = frozenset(
    ("chat", "text_completion", "generate_content", "embeddings", "completion", "embedding", "llm", "responses")
)
_EVALUATION = "gen_ai.evaluation.result"

Attributes = dict[str, Any]


def read(source: Source) -> Iterator[Item]:
    """Yield the calls and evaluations of a file; a router's own span lends its tier to the calls under it."""
    for value in values(source):
        if isinstance(value, Rejected):
            yield value
        elif not isinstance(value.value, dict):
            yield Rejected(value.line, "this is not an OTLP object", value.raw)
        elif value.key == "resourceSpans" or "scopeSpans" in value.value:
            yield from _spans(value, source.notes)
        elif value.key == "resourceLogs" or "scopeLogs" in value.value:
            yield from _events(value, source.notes)
        else:
            yield Rejected(value.line, "neither spans nor log records are in it", value.raw)


def _spans(value: Value, notes: Notes) -> Iterator[Item]:
    shared = _attributes(_dict(value.value.get("resource")).get("attributes"))
    spans = [
        (span, _attributes(span.get("attributes")))
        for scope in _list(value.value.get("scopeSpans"))
        for span in _list(scope.get("spans"))
    ]
    routers = {
        str(span.get("spanId")): own for span, own in spans if _first(own, _TIER) is not None and not _is_call(own)
    }
    for span, own in spans:
        if not _is_call(own):
            notes[NOT_A_CALL] += 1
            continue
        router = routers.get(str(span.get("parentSpanId") or ""))
        try:
            yield _call(span, own, {**shared, **(router or {}), **own}, router is not None, notes)
        except (BadRowError, UsageError) as error:
            yield Rejected(value.line, str(error), _raw(span))


def _is_call(own: Attributes) -> bool:
    operation = str(_first(own, _OPERATION) or "").lower()
    if operation:
        return operation in _CALLS
    return _first(own, _INPUT) is not None and _first(own, _REQUEST_MODEL) is not None


def _call(span: Mapping[str, Any], own: Attributes, known: Attributes, routed: bool, notes: Notes) -> ImportedCall:
    trace, identity = str(span.get("traceId") or ""), str(span.get("spanId") or "")
    if not trace or not identity:
        raise BadRowError("the span has no traceId or no spanId")
    started = instant(span.get("startTimeUnixNano"), "startTimeUnixNano", notes)
    ended = instant(span.get("endTimeUnixNano"), "endTimeUnixNano") if span.get("endTimeUnixNano") else started
    asked, served = name(_first(own, _REQUEST_MODEL)), name(_first(own, _RESPONSE_MODEL))
    provider, model = own_name(_first(own, _PROVIDER), asked or served)
    if not model:
        raise BadRowError("the span names no model")
    worth = in_dollars(own.get("gen_ai.usage.cost.currency"), utc_day(started), notes)
    error = name(own.get("error.type"))
    status = span.get("status")
    failed = bool(error) or _dict(status).get("code") in (2, "STATUS_CODE_ERROR")
    kind = str(own.get("tierwise.kind") or "").upper()
    return ImportedCall(
        source=SOURCE,
        request_id=f"{trace}:{identity}",
        started_at_ms=started,
        provider_name=provider,
        request_model=model,
        response_model=served,
        feature=name(_first(known, _FEATURE)) or "default",
        team=name(_first(known, _TEAM)),
        user_tier=name(known.get("tierwise.user_tier")),
        conversation=name(_first(own, _CONVERSATION)),
        tier=name(_first(known, _TIER)),
        kind=Kind[kind] if kind in Kind.__members__ else Kind.ANSWER,
        status=status_of(error, error) if failed else Status.OK,
        error=(error or "error") if failed else "",
        usage=usage(
            count(_first(own, _INPUT), "input tokens"),
            count(_first(own, _OUTPUT), "output tokens"),
            count(_first(own, _READ), "cached tokens"),
            count(_first(own, _WRITE), "tokens written to a cache"),
            count(_first(own, _REASONING), "reasoning tokens"),
            notes,
        ),
        reported_cost_nusd=cost(_first(own, _COST), "cost", worth=worth),
        latency_ms=max(ended - started, 0),
        ttft_ms=milliseconds(_first(own, _FIRST_CHUNK), "time to first chunk", per_unit=1000),
        trace=f"{trace}:{span.get('parentSpanId')}" if routed else "",
        joins=Joins.ALWAYS if routed else Joins.NEVER,
    )


def _events(value: Value, notes: Notes) -> Iterator[Item]:
    for scope in _list(value.value.get("scopeLogs")):
        for record in _list(scope.get("logRecords")):
            own = _attributes(record.get("attributes"))
            if (record.get("eventName") or own.get("event.name")) != _EVALUATION:
                notes[NOT_A_CALL] += 1
                continue
            try:
                yield _evaluation(record, own)._replace(line=value.line, raw=_raw(record))
            except BadRowError as error:
                yield Rejected(value.line, str(error), _raw(record))


def _evaluation(record: Mapping[str, Any], own: Attributes) -> Evaluation:
    label = name(own.get("gen_ai.evaluation.name"))
    score = own.get("gen_ai.evaluation.score.value")
    quality = share(score, "score")
    if quality is None:
        raise BadRowError(f"the score of {label or 'this evaluation'} is {shown(score)}, not a share from 0 to 1")
    at = record.get("timeUnixNano") or record.get("observedTimeUnixNano")
    trace, span = record.get("traceId"), record.get("spanId")
    names = [f"{trace}:{span}"] if trace and span else []
    if own.get("gen_ai.response.id"):
        names.append(str(own["gen_ai.response.id"]))
    if not names:
        raise BadRowError("the evaluation names neither a span nor a response")
    return Evaluation(
        SOURCE, tuple(names), instant(at, "timeUnixNano"), Quality(label or "evaluation", quality, QualitySource.JUDGE)
    )


def _attributes(pairs: Any) -> Attributes:
    """Return OTLP attributes as plain values; integers there are decimal text, and plain mappings pass too."""
    if isinstance(pairs, dict):
        return pairs
    found: Attributes = {}
    for pair in _list(pairs):
        value = pair.get("value")
        if isinstance(value, dict):
            kind, content = next(iter(value.items()), ("", None))
            if kind == "arrayValue":
                content = [next(iter(_dict(part).values()), None) for part in _list(_dict(content).get("values"))]
            found[str(pair.get("key"))] = content
        else:
            found[str(pair.get("key"))] = value
    return found


def _first(attributes: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for key in names:
        if (value := attributes.get(key)) is not None:
            return value
    return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _raw(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)[:10_000]


def _is_otlp(value: Mapping[str, Any], key: str) -> bool:
    return key in ("resourceSpans", "resourceLogs") or "scopeSpans" in value or "scopeLogs" in value


FORMATS = (Format(SOURCE, "OpenTelemetry spans and evaluation events (OTLP/JSON)", "calls", read, fits=_is_otlp),)
