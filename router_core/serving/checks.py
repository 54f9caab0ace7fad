"""Checks: is this answer good enough, or should a stronger tier try? Each gives a score 0..1 and says why.

A cascade lists checks by name with their settings; the answer's score is the lowest of them, and it is accepted when
that reaches ``cascade.acceptance_threshold``. Others can add a check through the entry-point group
``tierwise.checks``: a callable that takes the settings and returns a `Check`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from router_core.config import suggest
from router_core.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check looks at. ``logprobs`` are natural logarithms of token probabilities, empty where none were sent."""

    text: str
    finish_reason: str = "stop"
    logprobs: Sequence[float] = ()
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How good one check, or all of them together, found an answer: ``score`` 0..1, and why when it is below 1.

    ``check`` names the check that said so. ``why`` may quote the answer, so it is for people and not for the ledger.
    """

    score: float
    why: str = ""
    check: str = ""


Again = Callable[[int], Awaitable[Sequence[str]]]
"""Asks the same model the same thing again, so many times; returns the texts of its answers."""

Check = Callable[[Answer, Again], Awaitable[Verdict]]


@dataclass(frozen=True, slots=True)
class NamedCheck:
    """A check and the name under which a configuration lists it."""

    name: str
    check: Check


def build_checks(settings: Sequence[Mapping[str, Any]], where: str = "cascade.checks") -> list[NamedCheck]:
    """Return the checks a configuration lists at ``where``, such as ``[{length: {min: 20}}, {json_schema: {...}}]``.

    Raises ``ConfigError`` for an unknown check, for settings that it cannot use, and for one that cannot be loaded.
    """
    others: Mapping[str, EntryPoint] | None = None  # looking for them takes a while, so it is done where one is named
    checks = []
    for index, entry in enumerate(settings):
        path = f"{where}.{index}"
        if len(entry) != 1:
            raise ConfigError(f"{path}: write one check an entry, such as 'length: {{min: 20}}'", path=path)
        ((name, options),) = entry.items()
        maker = _BUILT_IN.get(name)
        if maker is None:
            if others is None:
                others = {point.name: point for point in entry_points(group="tierwise.checks")}
            if name not in others:
                known = ", ".join(sorted({*_BUILT_IN, *others}))
                raise ConfigError(f"{path}: unknown check {name!r}; choose one of {known}", path=path)
        try:
            made = (others or {})[name].load()(options) if maker is None else maker(options)
        except Exception as error:  # noqa: BLE001 - a check is anybody's code; what it raises must stop no gateway
            said = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            raise ConfigError(f"{path}.{name}: {said}", path=path) from None
        checks.append(NamedCheck(name, made))
    return checks


async def judge(answer: Answer, checks: Sequence[NamedCheck], again: Again, *, on_error: str) -> Verdict:
    """Return the lowest verdict, asking no further once one is 0.

    A check that itself fails counts as 1 where ``on_error`` is ``accept`` and as 0 where it is ``escalate``.
    """
    worst = Verdict(1.0)
    for named in checks:
        try:
            verdict = await named.check(answer, again)
        except Exception as error:  # noqa: BLE001 - a check is anybody's code; what it raises must not lose the answer
            verdict = Verdict(1.0 if on_error == "accept" else 0.0, f"a check failed: {error}")
        if verdict.score < worst.score:
            worst = replace(verdict, check=named.name)
        if worst.score <= 0.0:
            break
    return worst


def json_schema(schema: Mapping[str, Any]) -> Check:
    """The answer is JSON that meets a schema; a fenced code block around it is allowed.

    ``{json_schema: {type: object, required: [city]}}``
    """
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from pydantic_core import from_json
    from referencing import Registry

    if not isinstance(schema, Mapping):
        raise ValueError("give a schema, such as {type: object}")
    try:
        Draft202012Validator.check_schema(dict(schema))
    except SchemaError as error:
        raise ValueError(f"the schema is not valid: {error.message}") from None
    # With a registry of its own, a reference to an address is an error and fetched from nowhere.
    validator = Draft202012Validator(dict(schema), registry=Registry())

    async def check(answer: Answer, again: Again) -> Verdict:
        fenced = re.fullmatch(r"\s*```(?:json)?\s*(.*?)```\s*", answer.text, re.DOTALL)
        try:
            value = from_json(fenced[1] if fenced else answer.text)
        except ValueError:
            return Verdict(0.0, "not JSON")
        first = next(validator.iter_errors(value), None)
        return Verdict(1.0) if first is None else Verdict(0.0, f"schema: {first.message[:120]}")

    return check


def logprob(options: Mapping[str, float] | None) -> Check:
    """The model was sure: the mean token probability, geometric, is the score, stretched so that ``floor`` is 0.

    ``{logprob: {floor: 0.5}}``; an answer that carries no log-probabilities passes.
    """
    floor = _number(_options(options, "floor"), "floor", 0.0)
    if not 0 <= floor < 1:
        raise ValueError(f"floor is a probability from 0 up to 1, not {floor}")

    async def check(answer: Answer, again: Again) -> Verdict:
        if not answer.logprobs:
            return Verdict(1.0)
        mean = math.exp(sum(answer.logprobs) / len(answer.logprobs))
        return Verdict(min(1.0, max(0.0, (mean - floor) / (1 - floor))), f"mean token probability {mean:.2f}")

    return check


def length(options: Mapping[str, int] | None) -> Check:
    """The answer has from ``min`` to ``max`` characters and was not cut off by the token limit.

    ``{length: {min: 20, max: 4000}}``
    """
    chosen = _options(options, "min", "max")
    low, high = _number(chosen, "min", 1), _number(chosen, "max", math.inf)
    if low > high:
        raise ValueError(f"min {low:g} is above max {high:g}")

    async def check(answer: Answer, again: Again) -> Verdict:
        size = len(answer.text.strip())
        if size < low:
            return Verdict(0.0, f"{size} characters, fewer than {low:g}")
        if size > high:
            return Verdict(0.0, f"{size} characters, more than {high:g}")
        return Verdict(0.0, "cut off by the token limit") if answer.finish_reason == "length" else Verdict(1.0)

    return check


def required_keywords(words: Sequence[str]) -> Check:
    """The answer names all of these words, in any case; the score is the share that it names.

    ``{required_keywords: [invoice, total]}``
    """
    wanted = _words(words)

    async def check(answer: Answer, again: Again) -> Verdict:
        text = answer.text.casefold()
        missing = [word for word in wanted if word not in text]
        return Verdict(1 - len(missing) / len(wanted), f"missing: {', '.join(missing)}" if missing else "")

    return check


def forbidden_keywords(words: Sequence[str]) -> Check:
    """The answer names none of these words, in any case.

    ``{forbidden_keywords: ["as an AI language model"]}``
    """
    unwanted = _words(words)

    async def check(answer: Answer, again: Again) -> Verdict:
        text = answer.text.casefold()
        found = next((word for word in unwanted if word in text), None)
        return Verdict(1.0) if found is None else Verdict(0.0, f"says {found!r}")

    return check


_UNSURE = re.compile(
    r"\b(i(?:'m| am) not (?:sure|certain)|i do(?:n't| not) know|i can(?:'t|not) (?:determine|answer|tell)"
    r"|it(?:'s| is) unclear"
    r"|hard to (?:say|tell)|(?:might|may|could) be wrong|no (?:information|context) (?:was |is )?(?:given|provided)"
    r"|unable to (?:answer|determine|verify)|possibly|perhaps|my best guess)\b",
    re.IGNORECASE,
)


def uncertainty(options: Mapping[str, float] | None) -> Check:
    """The answer does not say that it is unsure; each such phrase takes ``penalty`` off the score.

    ``{uncertainty: {penalty: 0.4}}``
    """
    penalty = _number(_options(options, "penalty"), "penalty", 0.4)
    if not 0 < penalty <= 1:
        raise ValueError(f"penalty is above 0 and at most 1, not {penalty}")

    async def check(answer: Answer, again: Again) -> Verdict:
        found = _UNSURE.findall(answer.text)
        return Verdict(max(0.0, 1 - penalty * len(found)), f"unsure: {found[0]!r}" if found else "")

    return check


def self_consistency(options: Mapping[str, Any] | None) -> Check:
    """The same model, asked again, says the same: the score is the share of answers that agree with this one.

    ``{self_consistency: {samples: 2, pattern: "answer is (\\\\w+)"}}``; ``pattern`` names the part that must agree, and
    without it the whole text is compared, spaces and case aside. The further answers are paid for and recorded.
    """
    chosen = _options(options, "samples", "pattern")
    samples = chosen.get("samples", 2)
    if not isinstance(samples, int) or not 1 <= samples <= 10:
        raise ValueError(f"samples is a whole number from 1 to 10, not {samples!r}")
    try:
        pattern = re.compile(str(chosen["pattern"])) if "pattern" in chosen else None
    except re.error as error:
        raise ValueError(f"the pattern cannot be used: {error}") from None

    def essence(text: str) -> str:
        if pattern is not None:
            found = pattern.findall(text)
            text = str(found[-1]) if found else ""
        return " ".join(text.casefold().split())

    async def check(answer: Answer, again: Again) -> Verdict:
        said = Counter(map(essence, await again(samples)))
        agreeing = said[essence(answer.text)]
        return Verdict((1 + agreeing) / (1 + samples), f"{agreeing} of {samples} further answers agree")

    return check


def callback(options: Mapping[str, Any]) -> Check:
    """Your own service judges: it is sent the answer and replies ``{"score": 0..1, "why": ...}``.

    ``{callback: {url: "http://127.0.0.1:9000/check", timeout: 2}}``
    """
    chosen = _options(options, "url", "timeout")
    url, timeout = str(chosen.get("url", "")), _number(chosen, "timeout", 2.0)
    if not re.match(r"https?://[^/]", url):
        raise ValueError(f"url is an address such as 'http://127.0.0.1:9000/check', not {url!r}")

    async def check(answer: Answer, again: Again) -> Verdict:
        import httpx

        async with httpx.AsyncClient(timeout=timeout) as client:
            reply = await client.post(url, json={"text": answer.text, "finish_reason": answer.finish_reason})
        reply.raise_for_status()
        told = reply.json()
        score = float(told["score"])
        if not 0 <= score <= 1:
            raise ValueError(f"{url} gave the score {score}, which is not within 0..1")
        return Verdict(score, str(told.get("why", "")))

    return check


def _options(options: object, *names: str) -> Mapping[str, Any]:
    """Return the settings of a check; raises ``ValueError`` for anything but these names."""
    chosen = {} if options is None else options
    if not isinstance(chosen, Mapping):
        raise ValueError(f"give its settings by name ({', '.join(names)}), not {options!r}")
    for name in chosen:
        if name not in names:
            raise ValueError(f"unknown setting {name!r}; {suggest(str(name), names)}")
    return chosen


def _number(options: Mapping[str, Any], name: str, otherwise: float) -> float:
    value = options.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise ValueError(f"{name} is a number, not {value!r}")
    return value


def _words(words: Sequence[str]) -> list[str]:
    if isinstance(words, str) or not words or not all(isinstance(word, str) and word.strip() for word in words):
        raise ValueError("give a list of words, none of them empty")
    return [word.casefold() for word in words]


_BUILT_IN: Mapping[str, Callable[[Any], Check]] = {
    "json_schema": json_schema,
    "logprob": logprob,
    "length": length,
    "required_keywords": required_keywords,
    "forbidden_keywords": forbidden_keywords,
    "uncertainty": uncertainty,
    "self_consistency": self_consistency,
    "callback": callback,
}
