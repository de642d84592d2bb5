import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.metrics.calibration import Calibration, auroc_shares, brier, calibration, confidences
from tasks.metrics.intervals import mean_error

items = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=2, max_size=30)


def made(pairs: list[tuple[float, bool]]) -> Calibration:
    return Calibration(*(np.array([p[k] for p in pairs], float) for k in (0, 1)))


def slow(pairs: list[tuple[float, bool]]) -> float:
    total = 0.0
    for k in range(10):
        inside = [p for p in pairs if k / 10 < p[0] <= (k + 1) / 10 or (k == 0 and p[0] == 0)]
        total += abs(sum(p[1] for p in inside) - sum(p[0] for p in inside))
    return total / len(pairs)


@given(items)
def test_the_error_is_that_of_bins_counted_one_by_one(pairs: list[tuple[float, bool]]) -> None:
    assert made(pairs).value() == pytest.approx(slow(pairs))


@given(items)
def test_without_each_item_is_the_error_counted_anew(pairs: list[tuple[float, bool]]) -> None:
    expected = [slow(pairs[:i] + pairs[i + 1 :]) for i in range(len(pairs))]
    assert made(pairs).without_each() == pytest.approx(expected)


@given(items)
def test_without_each_group_is_the_error_counted_anew(pairs: list[tuple[float, bool]]) -> None:
    units = np.arange(len(pairs)) % 2
    expected = [slow([p for i, p in enumerate(pairs) if i % 2 != u]) for u in (0, 1)]
    assert made(pairs).without_each(units) == pytest.approx(expected)


def test_the_error_is_that_worked_out_by_hand() -> None:
    found = made([(0.25, True), (0.3, False), (0.9, True), (0.95, True)])
    # Bins (0.2, 0.3]: accuracy 1/2 against 0.275; (0.8, 0.9]: 1 against 0.9; the last: 1, 0.95.
    assert found.value() == pytest.approx((2 * 0.225 + 0.1 + 0.05) / 4)
    assert [(b.low, b.high, b.items, b.accuracy) for b in found.bins()] == [
        (0.2, pytest.approx(0.3), 2, 0.5),
        (0.8, 0.9, 1, 1.0),
        (0.9, 1.0, 1, 1.0),
    ]
    assert sum(b.items for b in found.bins()) == 4


def test_confidence_is_the_share_of_the_likeliest_choice() -> None:
    logprobs = np.log([[0.1, 0.3, 0.0 + 1e-300], [0.02, 0.02, 0.06]])
    logprobs[0, 2] = -np.inf
    assert confidences(logprobs) == pytest.approx(np.array([[0.25, 0.75, 0], [0.2, 0.2, 0.6]]))
    found = calibration(logprobs, np.array([1, 0]))
    assert found.confidence == pytest.approx([0.75, 0.6])
    assert found.right.tolist() == [1.0, 0.0]
    expected = [0.25**2 * 2, 0.8**2 + 0.2**2 + 0.6**2]
    assert brier(logprobs, np.array([1, 0])) == pytest.approx(expected)


def test_a_model_that_is_as_sure_as_it_is_right_has_no_error() -> None:
    rng = np.random.default_rng(3)
    sure = rng.uniform(0.25, 1.0, 200_000)
    assert Calibration(sure, (rng.random(200_000) < sure) * 1.0).value() < 0.01


LEVELS = st.integers(-3, 3)


@given(st.lists(LEVELS, min_size=1, max_size=30), st.lists(LEVELS, min_size=1, max_size=30))
def test_the_mean_is_the_share_of_pairs_in_order(high: list[int], low: list[int]) -> None:
    pairs = [(a > b) + 0.5 * (a == b) for a in high for b in low]
    scores = np.array([*high, *low], dtype=np.float64)
    positive = np.array([True] * len(high) + [False] * len(low))
    assert auroc_shares(scores, positive).mean() == pytest.approx(sum(pairs) / len(pairs))


def test_the_error_is_that_of_resampling() -> None:
    rng = np.random.default_rng(3)
    scores = np.concatenate([rng.normal(0.7, 1, 60), rng.normal(0, 1, 140)])
    positive = np.arange(200) < 60
    shares = auroc_shares(scores, positive)
    error = mean_error(shares, positive.astype(np.int64), None).se
    drawn = []
    for _ in range(500):
        picked = np.concatenate([rng.integers(0, 60, 60), rng.integers(60, 200, 140)])
        drawn.append(auroc_shares(scores[picked], positive).mean())
    assert error == pytest.approx(np.std(drawn), rel=0.15)
