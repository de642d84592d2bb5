import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from tasks.metrics.f1 import (
    Average,
    LabelledItems,
    f1,
    influence,
    support,
    without_each_group,
    without_each_item,
)

LABELS = ("a", "b", "c", "d")
AVERAGES: tuple[Average, ...] = ("macro", "micro", "weighted")
pairs = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 3)), min_size=2, max_size=40)


def labelled(rows: list[tuple[int, int]], average: Average) -> LabelledItems:
    gold, predicted = (np.array(x, dtype=np.int64) for x in zip(*rows, strict=True))
    return LabelledItems(gold, predicted, LABELS, average)


def by_sklearn(sample: LabelledItems, keep: np.ndarray, average: Average) -> float:
    whole = list(range(len(LABELS)))
    over = whole if average == "micro" else [k for k in whole if support(sample)[k]]
    return float(
        f1_score(
            sample.gold[keep], sample.predicted[keep], labels=over, average=average, zero_division=0
        )
    )


@pytest.mark.parametrize("average", AVERAGES)
@given(rows=pairs)
def test_f1_equals_scikit_learns(rows: list[tuple[int, int]], average: Average) -> None:
    sample = labelled(rows, average)
    everything = np.arange(len(rows))
    assert f1(sample) == pytest.approx(by_sklearn(sample, everything, average))


@pytest.mark.parametrize("average", AVERAGES)
@given(rows=pairs)
def test_leaving_an_item_out_equals_computing_without_it(
    rows: list[tuple[int, int]], average: Average
) -> None:
    sample = labelled(rows, average)
    slow = [
        by_sklearn(sample, np.delete(np.arange(len(rows)), i), average) for i in range(len(rows))
    ]
    assert without_each_item(sample) == pytest.approx(slow)


@given(rows=pairs)
def test_an_items_influence_is_what_a_little_more_of_it_does(rows: list[tuple[int, int]]) -> None:
    sample, often = labelled(rows, "macro"), 10_000
    found = influence(sample)
    for i in range(min(len(rows), 4)):
        before, after = (f1(_repeated(sample, often, more)) for more in ([], [i]))
        assert found[i] == pytest.approx((after - before) * often, abs=1e-3)
    assert found.sum() == pytest.approx(0.0, abs=1e-12)


def _repeated(sample: LabelledItems, often: int, more: list[int]) -> LabelledItems:
    gold, predicted = (
        np.append(np.tile(x, often), x[more]) for x in (sample.gold, sample.predicted)
    )
    return LabelledItems(gold, predicted, LABELS, "macro")


@pytest.mark.parametrize("average", AVERAGES)
@given(rows=pairs, groups=st.data())
def test_leaving_a_group_out_equals_computing_without_it(
    rows: list[tuple[int, int]], groups: st.DataObject, average: Average
) -> None:
    drawn = groups.draw(st.lists(st.integers(0, 4), min_size=len(rows), max_size=len(rows)))
    codes = np.unique(drawn, return_inverse=True)[1]
    if codes.max() == 0:
        return
    sample = labelled(rows, average)
    slow = [by_sklearn(sample, np.flatnonzero(codes != g), average) for g in range(codes.max() + 1)]
    assert without_each_group(sample, codes) == pytest.approx(slow)


def test_labels_without_gold_items_do_not_dilute_macro_f1() -> None:
    assert f1(labelled([(0, 0), (1, 1)], "macro")) == 1.0


def test_an_invalid_prediction_is_a_miss_and_no_false_alarm() -> None:
    assert f1(labelled([(0, 0), (0, -1)], "micro")) == pytest.approx(2 / 3)
    assert f1(labelled([(0, 0), (0, 1)], "micro")) == pytest.approx(1 / 2)
