import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tasks.gating.spending import first_level, second_level


@given(alpha=st.floats(0.005, 0.2), fraction=st.floats(0.02, 0.98))
def test_both_looks_together_spend_the_whole_error(alpha: float, fraction: float) -> None:
    spent = first_level(alpha, fraction)
    second = second_level(alpha, spent, fraction)
    assert 0 < spent < alpha
    assert alpha - spent - 1e-9 <= second <= alpha + 1e-9
    together = stats.multivariate_normal([0, 0], [[1, fraction**0.5], [fraction**0.5, 1]])
    passed = 1 - together.cdf([stats.norm.isf(spent), stats.norm.isf(second)])
    assert passed == pytest.approx(alpha, abs=2e-4)


def test_two_equal_looks_have_the_published_boundary() -> None:
    """2.157 and 2.201: Pocock-like spending of 0.025, one-sided, at halves of the items."""
    spent = first_level(0.025, 0.5)
    boundary = stats.norm.isf([spent, second_level(0.025, spent, 0.5)])
    assert boundary == pytest.approx([2.157, 2.201], abs=5e-4)


def test_a_second_look_at_the_same_items_has_the_whole_error() -> None:
    assert second_level(0.05, first_level(0.05, 0.25), 1.0) == 0.05


def test_simulated_candidates_at_the_threshold_pass_no_more_often_than_they_may() -> None:
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(400_000, 4))
    one, two = steps[:, 0], steps.sum(axis=1) / 2
    spent = first_level(0.05, 0.25)
    level = second_level(0.05, spent, 0.25)
    passed = (one > stats.norm.isf(spent)) | (two > stats.norm.isf(level))
    assert passed.mean() == pytest.approx(0.05, abs=0.0015)
    assert ((one > 1.645) | (two > 1.645)).mean() > 0.08
