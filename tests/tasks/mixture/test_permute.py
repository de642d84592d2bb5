import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.mixture.permute import permuted


@given(st.integers(1, 3000), st.integers(0, 2**64 - 1))
def test_every_row_comes_exactly_once(n, key):
    assert sorted(permuted(np.arange(n), n, key).tolist()) == list(range(n))


def test_any_part_can_be_computed_alone():
    whole = permuted(np.arange(1000), 1000, 5)
    assert permuted(np.arange(400, 450), 1000, 5).tolist() == whole[400:450].tolist()


def test_another_key_gives_another_order():
    assert permuted(np.arange(100), 100, 1).tolist() != permuted(np.arange(100), 100, 2).tolist()


def test_the_order_is_the_same_on_every_machine():
    assert permuted(np.arange(8), 8, 17).tolist() == [6, 4, 2, 0, 5, 7, 1, 3]
