import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from tasks.errors import EvaluationError
from tasks.metrics.label_sets import (
    ALARM,
    HIT,
    MISS,
    NOTHING,
    LabelSets,
    label_sets,
    padded,
    wrong_pairs,
)

LABELS = ("a", "b", "c", "d")
subsets = st.sets(st.integers(0, 3))
samples = st.lists(st.tuples(subsets, subsets), min_size=2, max_size=12).filter(
    lambda items: any(gold for gold, _ in items)
)
Items = list[tuple[set[int], set[int]]]


def made(items: Items, average: str) -> LabelSets:
    kinds = [[HIT] * len(g & p) + [ALARM] * len(p - g) + [MISS] * len(g - p) for g, p in items]
    codes = [[*sorted(g & p), *sorted(p - g), *sorted(g - p)] for g, p in items]
    return LabelSets(padded(codes), padded(kinds), LABELS, average)  # type: ignore[arg-type]


def theirs(items: Items, average: str, labels: list[int]) -> float:
    gold, said = (
        np.array([[x in item[k] for x in range(4)] for item in items], int) for k in (0, 1)
    )
    return float(f1_score(gold, said, labels=labels, average=average, zero_division=0))


@given(samples, st.sampled_from(["macro", "weighted"]))
def test_f1_is_that_of_scikit_learn_over_the_labels_in_gold(items: Items, average: str) -> None:
    present = sorted(set().union(*(gold for gold, _ in items)))
    assert made(items, average).value() == pytest.approx(theirs(items, average, present))


def slow(items: Items, average: str, gone: set[int], present: list[int]) -> float:
    """F1 over the labels of the whole sample, counted anew without some items."""
    left = [item for i, item in enumerate(items) if i not in gone]
    total = weight = 0.0
    for x in present:
        hits = sum(x in g and x in p for g, p in left)
        wrong = sum((x in g) != (x in p) for g, p in left)
        share = sum(x in g for g, _ in left) if average == "weighted" else 1
        total += share * (2 * hits / (2 * hits + wrong) if hits else 0.0)
        weight += share
    return total / weight if weight else 0.0


@given(samples, st.sampled_from(["macro", "weighted"]))
def test_without_each_item_is_the_f1_counted_anew(items: Items, average: str) -> None:
    present = sorted(set().union(*(gold for gold, _ in items)))
    expected = [slow(items, average, {i}, present) for i in range(len(items))]
    assert made(items, average).without_each() == pytest.approx(expected)


@given(samples, st.sampled_from(["macro", "weighted"]), st.data())
def test_without_each_group_is_the_f1_counted_anew(
    items: Items, average: str, data: st.DataObject
) -> None:
    groups = [data.draw(st.integers(0, 2)) for _ in items]
    order = {g: i for i, g in enumerate(dict.fromkeys(groups))}
    units = np.array([order[g] for g in groups])
    present = sorted(set().union(*(gold for gold, _ in items)))
    expected = [
        slow(items, average, {i for i, u in enumerate(units) if u == unit}, present)
        for unit in range(len(order))
    ]
    assert made(items, average).without_each(units) == pytest.approx(expected)


def test_a_label_outside_the_list_is_a_false_alarm_of_none() -> None:
    sets = LabelSets(np.array([[0, NOTHING]]), np.array([[HIT, ALARM]]), ("a",))
    assert sets.value() == 1.0


def rows(items: list[tuple[object, object]], labels: list[str] | None) -> pa.Table:
    table = pa.table(
        {
            "gold": [json.dumps(gold) for gold, _ in items],
            "prediction": [json.dumps(said) for _, said in items],
        }
    )
    return table.replace_schema_metadata({b"labels": json.dumps(labels)} if labels else None)


def said(label: str, gold: int | None = None, right: int = 0, whole: bool = False) -> object:
    return {"label": label, "gold": gold, "right": right, "whole": whole}


def test_labels_are_read_at_every_level() -> None:
    items = [
        ([{"label": "A > x"}, {"label": "B > y"}], [said("A > z", 0, 1), said("C", None)]),
        ([{"label": "A > x"}], [said("A > x", 0, 2, True)]),
    ]
    table = rows(items, ["A > x", "B > y", "A > z"])
    coarse, fine = label_sets(table, "macro", 1), label_sets(table, "macro", 2)
    assert coarse.labels == ("A", "B")
    # A: 2 hits; B: 1 miss.
    assert coarse.value() == pytest.approx((1 + 0) / 2)
    # A > x: 1 hit and 1 miss, F1 2/3; B > y missed; A > z isn't in gold.
    assert fine.value() == label_sets(table, "macro").value() == pytest.approx((2 / 3 + 0) / 2)
    assert label_sets(table, "weighted").value() == pytest.approx(2 * (2 / 3) / 3)
    assert wrong_pairs(table) == [("A > x", "A > z")]
    assert wrong_pairs(table, 1) == []


def test_a_flat_label_may_hold_the_sign_between_levels() -> None:
    table = rows([([{"label": "a > b"}], [said("a > b", 0, 1, True)])], ["a > b"])
    assert label_sets(table, "macro").value() == 1.0


def test_a_gold_label_outside_the_list_is_refused() -> None:
    table = rows([([{"label": "a"}], []), ([{"label": "b"}], [])], ["a"])
    with pytest.raises(EvaluationError, match="gold label 'b' is not in"):
        label_sets(table, "macro")
    assert label_sets(rows([([{"label": "b"}], [])], None), "macro").labels == ("b",)
