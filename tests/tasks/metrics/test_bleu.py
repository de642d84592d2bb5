import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.metrics.bleu import COUNTS, bleu, sentence_counts

sacrebleu = pytest.importorskip("sacrebleu")

words = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "."]), max_size=9)
texts = st.lists(st.tuples(words.map(" ".join), words.map(" ".join)), min_size=2, max_size=6)


def theirs(pairs: list[tuple[str, str]]) -> float:
    found = sacrebleu.corpus_bleu([p[0] for p in pairs], [[p[1] for p in pairs]])
    return float(found.score) / 100


@given(texts)
def test_bleu_is_that_of_sacrebleu(pairs: list[tuple[str, str]]) -> None:
    counts = [sentence_counts(said, [meant]) for said, meant in pairs]
    assert bleu(counts).value() == pytest.approx(theirs(pairs), abs=1e-9)
    expected = [theirs(pairs[:i] + pairs[i + 1 :]) for i in range(len(pairs))]
    assert bleu(counts).without_each() == pytest.approx(expected, abs=1e-9)


def test_bleu_is_that_worked_out_by_hand() -> None:
    counts = sentence_counts("the cat sat on the mat", ["the cat sat on a mat"])
    assert [counts[n] for n in COUNTS] == [5, 3, 2, 1, 6, 5, 4, 3, 6, 6]
    expected = (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25
    assert bleu([counts]).value() == pytest.approx(expected)


def test_items_are_left_out_by_group() -> None:
    pairs = [("the cat sat on it", "the cat sat on it"), ("a b c d", "x"), ("a b c d e", "a b c d")]
    whole = bleu([sentence_counts(said, [meant]) for said, meant in pairs])
    units = np.array([0, 1, 1])
    assert whole.without_each(units)[0] == pytest.approx(theirs(pairs[1:]), abs=1e-9)
