"""RuleSet: the rules of a configuration, compiled once, all their patterns in one pass over the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import re2

from router_core.complexity.language import guess_language
from router_core.config import RoutingConfig, Rule, When
from router_core.decision import Request
from router_core.errors import ConfigError
from router_core.usage import estimate_tokens

# What may stand beside a keyword: anything but letters, digits and underscore. Scripts written without spaces
# count too, so "bug" is found within Chinese text. RE2's own \b knows ASCII only and would find "ber" in "über".
_BESIDE = (
    r"[\x00-/:-@\[-^`{-\x{A9}\x{AB}-\x{B4}\x{B6}-\x{B9}\x{BB}-\x{BF}\x{D7}\x{F7}"
    r"\x{2000}-\x{2BFF}\x{2E80}-\x{9FFF}\x{AC00}-\x{D7AF}\x{F900}-\x{FAFF}\x{FE30}-\x{FE4F}\x{FF00}-\x{FF0F}"
    r"\x{1F000}-\x{1FAFF}]"
)
_BEFORE = rf"(?:\A|{_BESIDE})"
_AFTER = rf"(?:{_BESIDE}|\z)"
_MEMORY_BYTES = 64 << 20  # for the automaton; RE2 starts it afresh when it is full


@dataclass(frozen=True, slots=True)
class _Compiled:
    index: int
    rule: Rule
    features: frozenset[str]
    user_tiers: frozenset[str]
    formats: frozenset[str]
    languages: frozenset[str]
    min_tokens: int | None
    max_tokens: int | None
    patterns: tuple[int, ...]


class RuleSet:
    """The rules of one configuration; ``first_match`` finds the first whose every condition holds.

    Keywords match in any case and only as whole words; several are alternatives. Patterns are RE2's, matched as they
    are written. Raises ``ConfigError`` where a keyword is empty or the patterns together are too large.
    """

    def __init__(self, config: RoutingConfig) -> None:
        options = re2.Options()
        options.never_capture = True
        options.log_errors = False
        options.max_mem = _MEMORY_BYTES
        self._set = re2.Set.SearchSet(options)
        count = 0
        compiled = []
        for index, rule in enumerate(config.rules):
            numbers = []
            for pattern in _patterns(rule.when, index):
                try:
                    self._set.Add(pattern)
                except re2.error as error:
                    raise ConfigError(
                        f"rules.{index}: its patterns cannot be compiled together with the others ({error}); "
                        "shorten them",
                        path=f"rules.{index}.when",
                    ) from None
                numbers.append(count)
                count += 1
            compiled.append(_compile(index, rule, tuple(numbers)))
        if count:
            try:
                self._set.Compile()
            except re2.error:
                raise ConfigError(
                    f"the {count} patterns of the rules are too large together; remove some, or shorten keyword lists",
                    path="rules",
                ) from None
        self._rules = tuple(compiled)

    def __len__(self) -> int:
        return len(self._rules)

    def first_match(self, request: Request, text: str) -> tuple[int, Rule] | None:
        """Return (position, rule) of the first rule that applies to the request, or None.

        ``text`` is the excerpt that patterns are matched against. A request that does not say how many tokens or
        which language it is gets an estimate, where a rule asks.
        """
        found: frozenset[int] | None = None
        tokens = request.input_tokens
        language = request.language
        for entry in self._rules:
            if entry.features and request.feature not in entry.features:
                continue
            if entry.user_tiers and request.user_tier.casefold() not in entry.user_tiers:
                continue
            if entry.formats and request.expected_format.casefold() not in entry.formats:
                continue
            if entry.patterns:
                if found is None:
                    found = frozenset(self._set.Match(text.encode("utf-8", "replace")) or ())
                if not found.issuperset(entry.patterns):
                    continue
            # Estimates last: they cost more than all patterns together.
            if entry.min_tokens is not None or entry.max_tokens is not None:
                if not tokens and (entry.min_tokens or 0) > len(request.text):
                    continue  # no estimate exceeds one token a character
                tokens = tokens or _tokens(request.text, text)
                if entry.min_tokens is not None and tokens < entry.min_tokens:
                    continue
                if entry.max_tokens is not None and tokens > entry.max_tokens:
                    continue
            if entry.languages:
                language = language or guess_language(text) or "unknown"
                if _primary(language) not in entry.languages:
                    continue
            return entry.index, entry.rule
        return None


def _tokens(text: str, part: str) -> int:
    estimate = estimate_tokens(part)
    return estimate if len(part) >= len(text) else round(estimate * len(text) / len(part))


def _primary(language: str) -> str:
    return language.casefold().replace("_", "-").partition("-")[0]


def _folded(words: Iterable[str]) -> frozenset[str]:
    return frozenset(word.casefold() for word in words)


def _compile(index: int, rule: Rule, patterns: tuple[int, ...]) -> _Compiled:
    when = rule.when
    return _Compiled(
        index,
        rule,
        frozenset(when.feature),
        _folded(when.user_tier),
        _folded(when.expected_format),
        frozenset(_primary(language) for language in when.language),
        when.min_tokens,
        when.max_tokens,
        patterns,
    )


def _patterns(when: When, index: int) -> Iterator[str]:
    if when.keywords:
        alternatives = []
        for position, keyword in enumerate(when.keywords):
            words = keyword.split()
            if not words:
                raise ConfigError(
                    f"rules.{index}.when.keywords.{position} is empty; write the word to look for, or remove it",
                    path=f"rules.{index}.when.keywords.{position}",
                )
            inner = r"\s+".join(re2.escape(word) for word in words)
            before = _BEFORE if _joins(words[0][0]) else ""
            after = _AFTER if _joins(words[-1][-1]) else ""
            alternatives.append(f"{before}{inner}{after}")
        yield f"(?i:{'|'.join(alternatives)})"
    if when.regex is not None:
        yield when.regex


def _joins(character: str) -> bool:
    """Whether a letter beside this one would make another word of it; symbols and unspaced scripts do not join."""
    return (character.isalnum() or character == "_") and not (
        "\u2e80" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7af" or "\uf900" <= character <= "\ufaff"
    )
