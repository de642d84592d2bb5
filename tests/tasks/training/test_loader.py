import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
from tasks.text.masks import IGNORED  # noqa: E402
from tasks.training.loader import MicroBatches, Shape  # noqa: E402

LENGTHS = st.lists(st.integers(2, 80), min_size=1, max_size=40)


def row(length, source="a"):
    ids = list(range(1, length + 1))
    return {
        "row_id": f"{source}{length}",
        "input_ids": ids,
        "labels": [IGNORED, *ids[1:]],
        "source": source,
    }


@given(LENGTHS, st.integers(80, 400))
def test_every_row_is_in_one_micro_batch_within_the_budget(lengths, budget):
    groups = MicroBatches(Shape(0, budget), ["a"]).groups([row(n) for n in lengths])
    assert sorted(len(r["input_ids"]) for g in groups for r in g) == sorted(lengths)
    assert all(len(g) * max(len(r["input_ids"]) for r in g) <= budget for g in groups)


def test_a_row_over_the_budget_goes_alone():
    groups = MicroBatches(Shape(0, 10), ["a"]).groups([row(20), row(3), row(3)])
    assert [len(g) for g in groups] == [1, 2]


def test_padding_is_on_the_left_and_never_supervised():
    (micro,) = MicroBatches(Shape(0, 100), ["a", "b"])([row(5), row(3, "b")])["micro"]
    assert micro["input_ids"].tolist() == [[1, 2, 3, 4, 5], [0, 0, 1, 2, 3]]
    assert micro["labels"].tolist() == [[IGNORED, 2, 3, 4, 5], [IGNORED] * 3 + [2, 3]]
    assert micro["attention_mask"].sum(1).tolist() == [5, 3]
    assert micro["source"].tolist() == [[0] * 5, [1] * 5]


def test_the_first_token_of_a_padded_row_is_not_predicted_from_padding():
    text = {"row_id": "t", "input_ids": [4, 5], "labels": [4, 5], "source": "a"}
    (micro,) = MicroBatches(Shape(0, 100), ["a"])([row(4), text])["micro"]
    assert micro["labels"][1].tolist() == [IGNORED, IGNORED, IGNORED, 5]
