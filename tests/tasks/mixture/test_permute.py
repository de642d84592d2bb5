import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.mixture.permute import permute_into, permuted


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1), st.integers(0, 5))
def test_every_row_comes_exactly_once(n, key, epoch):
    assert sorted(permuted(n, n, key, epoch).tolist()) == list(range(n))


@given(st.integers(1, 2000), st.data())
def test_any_part_can_be_computed_alone(n, data):
    first = data.draw(st.integers(0, n - 1))
    count = data.draw(st.integers(0, n - first))
    out = np.empty(count, np.int64)
    permute_into(out, first, n, np.uint64(5), 0)
    assert out.tolist() == permuted(n, n, 5).tolist()[first : first + count]


def test_another_key_or_epoch_gives_another_order():
    one = permuted(100, 100, 1).tolist()
    assert one != permuted(100, 100, 2).tolist()
    assert one != permuted(100, 100, 1, epoch=1).tolist()


def test_neighbours_land_anywhere():
    places = permuted(200_000, 200_000, 17)
    steps = np.histogram(np.diff(places) % 200_000, bins=100)[0]
    expected = 199_999 / 100
    # Chi-square of 99 degrees of freedom: below 180 but once in a million.
    assert ((steps - expected) ** 2 / expected).sum() < 180


def test_the_order_is_the_same_on_every_machine():
    assert permuted(8, 8, 17).tolist() == [2, 1, 3, 4, 0, 7, 5, 6]
