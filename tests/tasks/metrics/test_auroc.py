import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.metrics.auroc import auroc_shares
from tasks.metrics.intervals import mean_error

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
