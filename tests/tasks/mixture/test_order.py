"""Order, through the plan that draws by it, and the permutation of the rows of a source."""

import numpy as np
from budgets import examples
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.mixture.order import permute, permute_into
from tasks.mixture.plan import make_plan

NAMES = [f"s{i:02}" for i in range(40)]


@st.composite
def mixtures(draw):
    """Row sizes and quotas of 2 to 40 sources; quotas up to three passes over a source."""
    names = NAMES[: draw(st.integers(2, 40))]
    longest = draw(st.sampled_from([1, 3, 30, 400]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    sizes = {n: random.integers(1, longest + 1, random.integers(1, 60)) for n in names}
    most = {n: int(s.sum()) for n, s in sizes.items()}
    whole = draw(st.booleans())
    return sizes, {n: most[n] if whole else int(random.integers(1, 3 * most[n] + 1)) for n in names}


def walk(sizes, quotas, seed=17, rows_exact=False):
    """Return the units of each position and, after each, the units used of every source."""
    plan = make_plan([quotas], sizes, seed, rows_exact)
    part = plan.rows(0, len(plan))
    units = np.array([sizes[plan.names[s]][r] for s, r in zip(part.source, part.row, strict=True)])
    used = np.zeros((len(plan), len(plan.names)), np.int64)
    used[np.arange(len(plan)), part.source] = units
    return plan, units, np.cumsum(used, axis=0)


@settings(max_examples=examples(1000))
@given(mixtures())
def test_every_prefix_is_within_the_longest_row_of_the_asked_shares(mixture):
    sizes, quotas = mixture
    plan, units, used = walk(sizes, quotas)
    shares = np.array([quotas[n] for n in plan.names]) / sum(quotas.values())
    longest = max(s.max() for s in sizes.values())
    assert np.abs(used - np.cumsum(units)[:, None] * shares).max() <= longest


@given(st.dictionaries(st.sampled_from(NAMES), st.integers(1, 50), min_size=2))
def test_with_rows_as_unit_every_prefix_is_within_one_row(quotas):
    ones = {n: np.ones(20, np.int64) for n in quotas}
    plan, _, used = walk(ones, quotas, rows_exact=True)
    shares = np.array([quotas[n] for n in plan.names]) / sum(quotas.values())
    positions = np.arange(1, len(plan) + 1)[:, None]
    assert np.abs(used - positions * shares).max() < 1


@given(mixtures())
def test_rows_and_units_agree_where_every_row_counts_one(mixture):
    sizes, quotas = mixture
    ones = {n: np.ones(len(s), np.int64) for n, s in sizes.items()}
    by_rows, by_units = (make_plan([quotas], ones, 17, exact) for exact in (True, False))
    assert by_rows.digest() == by_units.digest()


def test_the_order_of_the_sources_does_not_matter():
    sizes = {"a": np.array([3, 1, 2]), "b": np.array([1, 1]), "c": np.array([5])}
    quotas = {"a": 6, "b": 2, "c": 5}
    again = make_plan([dict(reversed(quotas.items()))], dict(reversed(sizes.items())), 17, False)
    assert make_plan([quotas], sizes, 17, False).digest() == again.digest()


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1), st.integers(0, 5))
def test_every_row_comes_exactly_once(n, key, epoch):
    assert sorted(permute(n, n, key, epoch).tolist()) == list(range(n))


@given(st.integers(1, 2000), st.data())
def test_any_part_can_be_computed_alone(n, data):
    first = data.draw(st.integers(0, n - 1))
    count = data.draw(st.integers(0, n - first))
    out = np.empty(count, np.int64)
    permute_into(out, first, n, np.uint64(5), 0)
    assert out.tolist() == permute(n, n, 5).tolist()[first : first + count]


def test_another_key_or_epoch_gives_another_order():
    one = permute(100, 100, 1).tolist()
    assert one != permute(100, 100, 2).tolist()
    assert one != permute(100, 100, 1, epoch=1).tolist()


def test_neighbours_land_anywhere():
    places = permute(200_000, 200_000, 17)
    steps = np.histogram(np.diff(places) % 200_000, bins=100)[0]
    expected = 199_999 / 100
    # Chi-square of 99 degrees of freedom: below 180 but once in a million.
    assert ((steps - expected) ** 2 / expected).sum() < 180


def test_a_permutation_is_the_same_on_every_machine():
    assert permute(8, 8, 17).tolist() == [2, 1, 3, 4, 0, 7, 5, 6]
