import itertools
import random

import numpy as np
import pytest
from budgets import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from configs.quality import NearDuplicates
from tasks.quality.near_duplicates import BORDER, find_kept, group_similar
from tasks.text.normal import normal

ANY = NearDuplicates()
WORDS = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "mu",
]


def free(texts):
    return np.full(len(texts), -1)


def grams(text, spec):
    words = text.split(" ")
    sets = {}
    if len(words) < spec.short_words * BORDER:
        sets["chars"] = {
            text[i : i + spec.chars] for i in range(max(1, len(text) - spec.chars + 1))
        }
    if len(words) >= spec.short_words:
        sets["words"] = {
            tuple(words[i : i + spec.words]) for i in range(len(words) - spec.words + 1)
        }
    return sets


def similar(a, b, spec):
    """Oracle: Jaccard similarity of Python sets, on each kind of n-gram that both texts have."""
    a, b = grams(a, spec), grams(b, spec)
    return any(
        len(a[k] & b[k]) >= spec.threshold * len(a[k] | b[k]) - 1e-9 for k in a.keys() & b.keys()
    )


@st.composite
def families(draw):
    """Texts of every length, some of them with a few words changed."""
    chance = random.Random(draw(st.integers(0, 2**32)))
    texts = []
    for _ in range(draw(st.integers(1, 8))):
        base = [chance.choice(WORDS) for _ in range(chance.randint(1, 45))]
        for _ in range(chance.randint(1, 4)):
            changed = list(base)
            for _ in range(chance.randint(0, 2)):
                changed[chance.randrange(len(changed))] = chance.choice(["x", "yy", "zzz"])
            texts.append(" ".join(changed))
    return texts, NearDuplicates(threshold=draw(st.sampled_from([0.5, 0.7, 0.8, 0.9, 1.0])))


@settings(max_examples=examples(40))
@given(families())
def test_no_two_texts_that_stay_are_similar_and_each_that_goes_repeats_one_that_stays(made):
    texts, spec = made
    kept = find_kept(texts, free(texts), spec)
    stays = np.flatnonzero(kept == np.arange(len(texts)))
    assert not any(similar(texts[i], texts[j], spec) for i, j in itertools.combinations(stays, 2))
    assert set(kept) <= set(stays)
    for i in np.flatnonzero(kept != np.arange(len(texts))):
        assert any(similar(texts[i], texts[j], spec) for j in range(len(texts)) if j != i)


@settings(max_examples=examples(40))
@given(families())
def test_components_are_those_of_the_oracle(made):
    texts, spec = made
    expected = list(range(len(texts)))
    for i, j in itertools.combinations(range(len(texts)), 2):
        if similar(texts[i], texts[j], spec):
            low, high = sorted((expected[i], expected[j]))
            expected = [low if e == high else e for e in expected]
    assert group_similar(texts, spec).tolist() == expected


def test_a_slip_of_the_keyboard_repeats_a_short_message_and_another_word_does_not():
    texts = [
        normal(t)
        for t in (
            "How do I top up by bank transfer?",
            "How do I top up by bank transfers?",
            "How do I top up by credit card?",
            "How do I top up by cheque?",
        )
    ]
    assert find_kept(texts, free(texts), ANY).tolist() == [0, 0, 2, 3]


def test_a_document_with_a_sentence_changed_goes_and_one_with_half_does_not():
    chance = random.Random(1)
    base = [f"{chance.choice(WORDS)}{i}" for i in range(200)]
    slightly = [*base[:190], *(f"new{i}" for i in range(10))]
    half = [*base[:100], *(f"other{i}" for i in range(100))]
    texts = [" ".join(t) for t in (base, slightly, half)]
    assert find_kept(texts, free(texts), ANY).tolist() == [0, 0, 2]


def test_texts_of_different_kinds_are_not_duplicates():
    said = "please cancel the old card that I have lost on my way home"
    texts = [said, f"{said} x", f"{said} y"]
    assert find_kept(texts, np.array([0, 1, 1]), ANY).tolist() == [0, 1, 1]
    assert find_kept(texts, np.array([0, -1, 1]), ANY).tolist() == [0, 0, 2]


@pytest.mark.parametrize("texts", [[], ["alone"], ["", ""], ["a", "b"]])
def test_few_and_empty_texts_are_compared_too(texts):
    assert len(find_kept(texts, free(texts), ANY)) == len(texts)
    assert len(group_similar(texts, ANY)) == len(texts)


def test_batches_and_threads_change_nothing(monkeypatch):
    chance = random.Random(2)
    texts = [" ".join(chance.choices(WORDS[:4], k=chance.randint(3, 30))) for _ in range(300)]
    whole = find_kept(texts, free(texts), ANY).tolist()
    monkeypatch.setattr("tasks.quality.near_duplicates.BATCH", 7)
    monkeypatch.setattr("tasks.quality.near_duplicates.THREADS", 1)
    assert find_kept(texts, free(texts), ANY).tolist() == whole
