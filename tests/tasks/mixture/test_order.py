from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tasks.mixture.order import fair_order

SIZES = st.dictionaries(
    st.sampled_from("abcdefgh"),
    st.lists(st.integers(1, 60), min_size=1, max_size=40),
    min_size=1,
    max_size=8,
)


@given(SIZES)
def test_every_prefix_is_within_the_longest_row_of_the_exact_shares(sizes):
    longest = max(max(rows) for rows in sizes.values())
    totals = {n: sum(rows) for n, rows in sizes.items()}
    used, taken = Counter(), Counter()
    for name in fair_order(sizes):
        used[name] += sizes[name][taken[name]]
        taken[name] += 1
        spent = sum(used.values())
        for n in sizes:
            assert abs(used[n] - spent * totals[n] / sum(totals.values())) <= longest


@given(SIZES)
def test_every_row_is_placed_and_none_twice(sizes):
    assert Counter(fair_order(sizes)) == {n: len(rows) for n, rows in sizes.items()}


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 50), min_size=2))
def test_with_rows_as_unit_every_prefix_is_within_one_row(counts):
    total, used = sum(counts.values()), Counter()
    for i, name in enumerate(fair_order({n: [1] * c for n, c in counts.items()}), 1):
        used[name] += 1
        assert all(abs(used[n] - i * c / total) < 1 + 1e-9 for n, c in counts.items())


def test_the_order_of_the_mapping_does_not_matter():
    sizes = {"a": [3, 1, 2], "b": [1, 1], "c": [5]}
    assert fair_order(sizes) == fair_order(dict(reversed(sizes.items())))
