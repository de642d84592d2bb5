import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tasks.gates.power import (
    bearable_spread,
    first_level,
    items_to_decide,
    needed_items,
    resolvable,
    second_level,
)
from tasks.metrics.intervals import paired_score
from tasks.metrics.paired import difference
from tasks.metrics.values import ItemValues, Numbers


@pytest.mark.parametrize(
    ("discordance", "margin", "items"),
    [(0.1, 0.01, 6183), (0.2, 0.01, 12366), (0.1, 0.02, 1546), (0.2, 0.03, 1374)],
)
def test_the_items_for_a_margin_are_those_of_the_usual_table(
    discordance: float, margin: float, items: int
) -> None:
    assert needed_items(discordance, margin, 0.05) == pytest.approx(items, abs=1)


def test_no_number_of_items_is_named_where_none_would_do() -> None:
    assert needed_items(0.1, 0.0, 0.05) is None
    assert needed_items(0.1, 1e-9, 0.05) is None


def test_the_items_named_give_the_power_promised() -> None:
    rng = np.random.default_rng(0)
    n = needed_items(0.2, 0.05, 0.05)
    assert n is not None
    flips = rng.multinomial(n, [0.1, 0.1, 0.8], size=2000)
    passed = np.mean([paired_score(int(g), int(w), n, 0.9).low > -0.05 for g, w, _ in flips])
    assert 0.77 <= passed <= 0.83


def test_the_smallest_margin_of_so_many_items_needs_just_so_many() -> None:
    for n, discordance in ((541, 0.1), (14_042, 0.2)):
        margin = resolvable(n, discordance, 0.05)
        assert needed_items(discordance, margin, 0.05) == pytest.approx(n, abs=1)
        assert bearable_spread(n, margin, 0.05) == pytest.approx(discordance**0.5)
    assert resolvable(541, 0.1, 0.05) == pytest.approx(0.034, abs=5e-4)


def test_few_degrees_of_freedom_ask_for_more_items() -> None:
    plain = needed_items(0.2, 0.05, 0.05)
    few = needed_items(0.2, 0.05, 0.05, (4.0, 500))
    assert plain is not None
    assert few is not None
    assert 1.05 * plain < few < 1.4 * plain


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


def marks(
    first: list[float], second: list[float], span: tuple[float, float] | None = None
) -> tuple[ItemValues, ItemValues]:
    ids = tuple(str(i) for i in range(len(first)))
    return tuple(  # type: ignore[return-value]
        ItemValues(ids, Numbers(np.array(v), proportion=span is None, span=span))
        for v in (first, second)
    )


@pytest.mark.parametrize("margin", [0.02, 0.05, 0.1])
def test_the_items_named_where_hardly_anything_flips_are_those_that_pass(margin: float) -> None:
    found = difference(*marks([1.0] * 29 + [0.0], [1.0] * 30), 0.9)
    n = items_to_decide(found, margin, 0.05, True, True)
    assert n is not None
    share = 1 / 30
    se = (share / n) ** 0.5

    def clears(items: int) -> bool:
        flips = share * items / 2
        return -paired_score(flips, flips, items, 0.9).low + 0.8416 * se <= margin

    assert clears(n)
    assert not clears(int(n * 0.98) - 1)


def test_what_may_go_unseen_is_counted_in_the_items_named() -> None:
    """Nothing moved: only the doubt of a rare move of twelve nats is left."""
    found = difference(*marks([-2.0] * 50, [-2.0] * 50, (-12.0, 0.0)), 0.9)
    n = items_to_decide(found, 0.1, 0.05, True, True)
    assert n is not None
    assert 12 * (1 - 0.05 ** (1 / n)) <= 0.1 < 12 * (1 - 0.05 ** (1 / (n - 1)))
