"""How alike two prompts are: TF-IDF over words and word pairs, with a guard for what changes the meaning.

Two prompts that differ in a negation, a number, a name of something exact or the order of two things ask different
things however many words they share, so such a pair is never alike: "how do I cancel" and "how do I not cancel" would
clear a threshold of .8 on words alone.
"""

from __future__ import annotations

import itertools
import math
import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

LONGEST = 4_000
"""Characters; a longer prompt is like no other, since a few words that matter would not show among so many."""

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[.,:]\d+)*")
# What is exact: quoted or code, addresses, paths, identifiers, capitals in the middle of a word, symbols that compute.
_EXACT = re.compile(
    r"```.*?```|`[^`]+`|\"[^\"]+\"|“[^”]+”|https?://\S+|\S+@\S+|[\w.-]*/[\w./-]+|\w*_\w+|\w*\d\w*"
    r"|\b[a-z]+[A-Z]\w*|\b[A-Z]{2,}\b|[<>=+*^%$€£#]|(?<!\w)-(?=\d)",
    re.DOTALL,
)
# Words that name a person, a place or a thing: capitalised, and not the first of a sentence.
_NAME = re.compile(r"(?<=[^.!?\s]\s)[A-Z][^\W\d_]+")

_NEGATIONS = frozenset(
    _WORD.findall(
        "not no never none nobody nothing nowhere neither nor without except cannot stop avoid unless hardly barely "
        "lack lacks lacking exclude excludes excluded excluding prevent refuse fail fails failed missing instead ain "
        "nicht kein keine keinen keinem keiner ohne nie niemals nichts außer pas non sans jamais rien aucun aucune "
        "sauf ne sin nunca nada ningún ninguna excepto senza mai niente nessuno não sem nem niet geen zonder nooit "
        "inte utan aldrig"
    )
)
# One side of a pair turns the question round although neither is a negation.
_SIDES: Sequence[tuple[str, str]] = (
    ("before", "after"),
    ("increase", "decrease"),
    ("raise", "lower"),
    ("enable", "disable"),
    ("activate", "deactivate"),
    ("add", "remove"),
    ("insert", "delete"),
    ("create", "destroy"),
    ("install", "uninstall"),
    ("buy", "sell"),
    ("lend", "borrow"),
    ("open", "close"),
    ("start", "stop"),
    ("begin", "end"),
    ("maximum", "minimum"),
    ("max", "min"),
    ("highest", "lowest"),
    ("largest", "smallest"),
    ("longest", "shortest"),
    ("best", "worst"),
    ("most", "least"),
    ("more", "less"),
    ("more", "fewer"),
    ("above", "below"),
    ("over", "under"),
    ("allow", "deny"),
    ("allow", "forbid"),
    ("accept", "reject"),
    ("include", "exclude"),
    ("import", "export"),
    ("upload", "download"),
    ("encrypt", "decrypt"),
    ("encode", "decode"),
    ("compress", "decompress"),
    ("lock", "unlock"),
    ("subscribe", "unsubscribe"),
    ("follow", "unfollow"),
    ("block", "unblock"),
    ("first", "last"),
    ("next", "previous"),
    ("up", "down"),
    ("push", "pull"),
    ("send", "receive"),
    ("win", "lose"),
    ("gain", "loss"),
    ("profit", "loss"),
    ("true", "false"),
    ("safe", "unsafe"),
    ("safe", "dangerous"),
    ("legal", "illegal"),
    ("possible", "impossible"),
    ("valid", "invalid"),
    ("public", "private"),
    ("always", "never"),
    ("all", "none"),
    ("advantage", "disadvantage"),
    ("cause", "effect"),
    ("agree", "disagree"),
    ("left", "right"),
    ("north", "south"),
    ("east", "west"),
    ("hot", "cold"),
    ("ascending", "descending"),
    ("horizontal", "vertical"),
    ("input", "output"),
    ("read", "write"),
    ("credit", "debit"),
    ("employer", "employee"),
    ("plaintiff", "defendant"),
    ("male", "female"),
    ("today", "tomorrow"),
    ("today", "yesterday"),
)
# Of these pairs one side is in every other sentence, and the other side alone tells them apart.
_ONE_SIDED = ("off", "out", "dislike", "all", "every", "each", "both", "only", "neither", "back")
_PIVOTS = frozenset((*(word for pair in _SIDES for word in pair), *_ONE_SIDED))
_SHORTEST_STEM = 4
# Words that set what stands before them against what follows: "miles into feet" is not "feet into miles".
_ORDERING = frozenset(
    ["than", "versus", "vs", "into", "per", "minus", "divided", "before", "after", "over", "under", "between"]
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A prompt as far as likeness goes: ``weights`` by hashed term with a Euclidean length of 1, and its ``guard``.

    The hashes are keyed, so without the key it tells neither the prompt nor its words.
    """

    weights: Mapping[int, float]
    guard: int

    def likeness(self, other: Fingerprint) -> float:
        """Return the cosine of the two, 0..1; 0 where the guards differ."""
        if self.guard != other.guard:
            return 0.0
        few, many = sorted((self.weights, other.weights), key=len)
        return min(1.0, sum(weight * many.get(term, 0.0) for term, weight in few.items()))

    def likeness_to(self, kept: bytes) -> float:
        """Return the likeness to a prompt of the same guard, kept as ``to_bytes`` wrote it."""
        return self.likeness(Fingerprint.from_bytes(kept, self.guard))

    def to_bytes(self) -> bytes:
        """Return the weights as bytes; the guard is kept beside them, to be searched by."""
        return b"".join(struct.pack("<qf", term, weight) for term, weight in self.weights.items())

    @classmethod
    def from_bytes(cls, weights: bytes, guard: int) -> Fingerprint:
        """Read back what ``to_bytes`` made."""
        return cls(dict(struct.iter_unpack("<qf", weights)), guard)


def fingerprint(text: str, key: bytes = b"") -> Fingerprint | None:
    """Return the fingerprint of a prompt; None where it has no words or more than ``LONGEST`` characters.

    Terms are words and pairs of neighbours; counts are damped by a logarithm, and long words weigh more. ``key`` (at
    most 64 bytes) keys the hashes; only fingerprints of one key can be compared.
    """
    if len(text) > LONGEST:
        return None
    words = [word.casefold().replace("’", "'") for word in _WORD.findall(text)]
    counts = Counter(words)
    counts.update(f"{first} {second}" for first, second in itertools.pairwise(words))
    weights = {_hash(key, term): (1 + math.log(count)) * min(len(term), 12) ** 0.5 for term, count in counts.items()}
    length = math.sqrt(sum(weight * weight for weight in weights.values()))
    if not length:
        return None
    facts = [*_facts(words), "exact", *_EXACT.findall(text), "names", *_NAME.findall(text)]
    return Fingerprint({term: weight / length for term, weight in weights.items()}, _hash(key, "\0".join(facts)))


def _hash(key: bytes, text: str) -> int:
    return int.from_bytes(
        blake2b(text.encode("utf-8", "replace"), digest_size=8, key=key[:64]).digest(), "big", signed=True
    )


def _facts(words: Sequence[str]) -> Iterable[str]:
    """Yield what two prompts must have in common, in order: negations with what they deny, opposites, orders."""
    journey = "from" in words
    for place, word in enumerate(words):
        after = words[place + 1] if place + 1 < len(words) else ""
        if word in _NEGATIONS or word.endswith("n't"):
            yield f"not {after}"
        elif (stem := _pivot(word)) is not None:
            yield stem
        if word in _ORDERING:
            sides = (sorted({one for one in side if len(one) > 2}) for side in (words[:place], words[place + 1 :]))
            yield f"{word} {'|'.join(' '.join(side) for side in sides)}"
        elif journey and word in ("from", "to"):
            yield f"{word} {after}"


def _pivot(word: str) -> str | None:
    """Return the word of an opposite pair that this is a form of, None where it is none."""
    if word in _PIVOTS:
        return word
    for stem in (word[:-1], word[:-2], word[:-3], word[:-2] + "e", word[:-3] + "e"):
        if len(stem) >= _SHORTEST_STEM and stem in _PIVOTS:
            return stem
    return None
