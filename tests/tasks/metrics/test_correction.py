import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.metrics.correction import corrected, effective_items, interval, share
from tasks.metrics.values import ItemValues, Numbers
from tasks.text.refusals.labelled import Labelled

DETECTOR = Labelled(90, 100, 160, 200)


def items(seen: list[bool], clusters: list[int] | None = None) -> ItemValues:
    values = np.array([share(s, DETECTOR) for s in seen])
    ids = tuple(str(i) for i in range(len(seen)))
    return ItemValues(ids, Numbers(values), None, None if clusters is None else np.array(clusters))


def test_the_rate_is_that_of_rogan_and_gladen() -> None:
    # 45 of 100 seen, Se 0.9, Sp 0.8: (0.45 + 0.8 - 1) / (0.9 + 0.8 - 1).
    found = corrected(items([True] * 45 + [False] * 55), DETECTOR)
    assert found.value == pytest.approx(0.25 / 0.7)
    assert found.low < found.value < found.high
    assert found.n == 100


def test_a_rate_below_what_errors_alone_give_is_nought() -> None:
    found = corrected(items([True] * 5 + [False] * 95), DETECTOR)
    assert found.value == 0.0
    assert found.low == 0.0


def test_a_detector_known_from_few_labels_widens_the_interval() -> None:
    few, many = Labelled(18, 20, 32, 40), Labelled(9000, 10000, 16000, 20000)
    wide, narrow = interval(0.45, 300, few), interval(0.45, 300, many)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


@given(st.integers(1, 400), st.data())
def test_the_interval_lies_between_nought_and_one(n: int, data: st.DataObject) -> None:
    seen = data.draw(st.integers(0, n))
    low, high = interval(seen / n, n, DETECTOR)
    assert 0 <= low <= high <= 1


def test_the_interval_covers_the_true_rate_as_often_as_it_says() -> None:
    rng = np.random.default_rng(17)
    se, sp, n, runs = 0.89, 0.94, 250, 500
    for rate in (0.05, 0.3, 0.8):
        covered = 0
        for _ in range(runs):
            detector = Labelled(rng.binomial(279, se), 279, rng.binomial(550, sp), 550)
            seen = rng.binomial(n, rate * se + (1 - rate) * (1 - sp)) / n
            low, high = interval(seen, n, detector)
            covered += low <= rate <= high
        assert covered / runs >= 0.925


def test_items_that_depend_on_each_other_count_for_fewer() -> None:
    seen = [True] * 40 + [False] * 60
    alone, joined = items(seen), items(seen, [i // 10 for i in range(100)])
    values = np.array(seen, dtype=np.float64)
    assert effective_items(values, alone) == 100
    assert effective_items(values, joined) == pytest.approx(9, abs=1.5)
    wide, narrow = corrected(joined, DETECTOR), corrected(alone, DETECTOR)
    assert wide.high - wide.low > 2 * (narrow.high - narrow.low)
    assert wide.value == narrow.value
