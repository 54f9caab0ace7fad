"""Likeness of prompts: the same question in other words is alike; one word that turns it round makes it another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_core.serving.similarity import LONGEST, Fingerprint, fingerprint

FLOOR = 0.8  # the lowest threshold that a configuration takes


def likeness(one: str, other: str) -> float:
    first, second = fingerprint(one, b"key"), fingerprint(other, b"key")
    assert first is not None
    assert second is not None
    return first.likeness(second)


# Pairs that share nearly every word and ask different things.
DIFFERENT = [
    ("How do I cancel my subscription?", "How do I not cancel my subscription?"),
    ("how do I export the report", "how do I not export the report"),
    ("Is this medicine safe for children?", "Isn't this medicine safe for children?"),
    ("Which foods are safe during pregnancy?", "Which foods are not safe during pregnancy?"),
    ("Which foods are safe during pregnancy?", "Which foods are unsafe during pregnancy?"),
    ("Can I fly with a passport that has expired?", "Can I fly without a passport that has expired?"),
    ("Who can see my profile?", "Who can never see my profile?"),
    ("List the countries that have a coastline", "List the countries that lack a coastline"),
    ("Explain why the test passes", "Explain why the test doesn't pass"),
    ("Explain why the build fails on Linux", "Explain why the build never fails on Linux"),
    ("Wie kündige ich den Vertrag?", "Wie kündige ich den Vertrag nicht?"),
    ("Comment annuler ma commande ?", "Comment ne pas annuler ma commande ?"),
    ("How do I enable two-factor login?", "How do I disable two-factor login?"),
    ("How are backups enabled on the server?", "How are backups disabled on the server?"),
    ("What happens before the trial ends?", "What happens after the trial ends?"),
    ("How do I turn the alarm on at night?", "How do I turn the alarm off at night?"),
    ("Should I buy these shares now?", "Should I sell these shares now?"),
    ("What is the maximum dose for an adult?", "What is the minimum dose for an adult?"),
    ("Increase the contrast of the image", "Decrease the contrast of the image"),
    ("Is the temperature above the limit?", "Is the temperature below the limit?"),
    ("What is 15 % of 240?", "What is 15 % of 250?"),
    ("Convert 5 miles into kilometres", "Convert 5 kilometres into miles"),
    ("Trains from Bern to Basel tomorrow", "Trains from Basel to Bern tomorrow"),
    ("Is the train faster than the car?", "Is the car faster than the train?"),
    ("Summarise version 2.1 of the policy", "Summarise version 2.2 of the policy"),
    ("What is the capital of the country France today", "What is the capital of the country Norway today"),
    ("Write to ann@example.com about the invoice", "Write to bob@example.com about the invoice"),
    ("What does `git fetch` do to my branch?", "What does `git reset` do to my branch?"),
    ("Explain the function read_file in this module", "Explain the function load_file in this module"),
    ("Is x < y in this loop for every pass?", "Is x > y in this loop for every pass?"),
    ("Sort the list in ascending order please", "Sort the list in descending order please"),
    ("Delete all of the rows in the table", "Delete the rows in the table"),
    ("Is it legal to record a call here?", "Is it illegal to record a call here?"),
    ("What are the advantages of this design?", "What are the disadvantages of this design?"),
    ("Meet at 10:30 in the office", "Meet at 11:30 in the office"),
    ('Translate "good morning" for my friend', 'Translate "good night" for my friend'),
]
SAME = [
    ("How do I reset my password?", "how do i reset my password"),
    ("How do I reset my password?", "How do I reset my password, please?"),
    ("What is the refund policy for damaged goods?", "what is the refund policy for damaged goods"),
    ("Please explain how the invoice total is calculated", "Explain how the invoice total is calculated please"),
    ("Which documents are needed for a visa application?", "Which documents are needed for the visa application?"),
]


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_a_word_that_turns_the_question_round_makes_it_another(one: str, other: str) -> None:
    assert likeness(one, other) < FLOOR
    assert likeness(other, one) < FLOOR


@pytest.mark.parametrize(("one", "other"), SAME)
def test_the_same_question_said_a_little_otherwise_is_alike(one: str, other: str) -> None:
    assert likeness(one, other) >= FLOOR


def test_most_of_those_pairs_would_pass_on_words_alone() -> None:
    close = 0
    for one, other in DIFFERENT:
        first, second = fingerprint(one), fingerprint(other)
        assert first is not None
        assert second is not None
        close += Fingerprint(first.weights, 0).likeness(Fingerprint(second.weights, 0)) >= FLOOR / 2
    assert close > len(DIFFERENT) / 2


@given(st.text(max_size=200))
def test_a_prompt_is_wholly_like_itself_or_has_no_words(text: str) -> None:
    print_ = fingerprint(text)
    if print_ is not None:
        assert print_.likeness(print_) == pytest.approx(1.0)
        back = Fingerprint.from_bytes(print_.to_bytes(), print_.guard)
        assert back.likeness(print_) == pytest.approx(1.0, abs=1e-5)


@given(st.text(min_size=1, max_size=80), st.text(min_size=1, max_size=80))
def test_likeness_is_from_0_to_1_and_the_same_both_ways(one: str, other: str) -> None:
    first, second = fingerprint(one), fingerprint(other)
    if first is not None and second is not None:
        assert 0 <= first.likeness(second) <= 1
        assert first.likeness(second) == pytest.approx(second.likeness(first))


def test_a_long_prompt_is_like_no_other() -> None:
    assert fingerprint("word " * LONGEST) is None


def test_without_the_key_the_hashes_say_nothing() -> None:
    one, other = fingerprint("reset my password", b"a"), fingerprint("reset my password", b"b")
    assert one is not None
    assert other is not None
    assert not set(one.weights) & set(other.weights)
