import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tasks.mixture.bins import best_fit_decreasing, gather

CAPACITY = 40
LENGTHS = st.lists(st.integers(1, CAPACITY), min_size=1, max_size=80)


def plain(lengths: list[int], capacity: int) -> list[int]:
    """Best fit decreasing, looked for in every bin."""
    spaces: list[int] = []
    bins = [0] * len(lengths)
    for item in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        fits = [(space, b) for b, space in enumerate(spaces) if space >= lengths[item]]
        if not fits:
            spaces.append(capacity)
            fits = [(capacity, len(spaces) - 1)]
        bins[item] = min(fits)[1]
        spaces[bins[item]] -= lengths[item]
    return bins


def first_fit(lengths: list[int], capacity: int) -> int:
    spaces: list[int] = []
    for length in lengths:
        found = next((b for b, space in enumerate(spaces) if space >= length), len(spaces))
        if found == len(spaces):
            spaces.append(capacity)
        spaces[found] -= length
    return len(spaces)


@given(LENGTHS)
def test_there_are_as_many_bins_as_by_looking_through_all_of_them(lengths: list[int]) -> None:
    found = best_fit_decreasing(np.array(lengths), CAPACITY)
    assert found.max() + 1 == max(plain(lengths, CAPACITY)) + 1
    assert sorted(set(found.tolist())) == list(range(found.max() + 1))


@given(LENGTHS)
def test_no_bin_is_over_full_and_no_two_would_fit_into_one(lengths: list[int]) -> None:
    filled = np.bincount(best_fit_decreasing(np.array(lengths), CAPACITY), weights=lengths)
    assert filled.max() <= CAPACITY
    assert len(filled) < 2 or np.sort(filled)[:2].sum() > CAPACITY


def test_bins_are_never_more_than_first_fit_opens_on_chat_lengths() -> None:
    draw = np.random.default_rng(3)
    for _ in range(40):
        lengths = np.clip(draw.lognormal(3, 1, 300), 1, 200).astype(np.int64)
        found = best_fit_decreasing(lengths, 200).max() + 1
        assert found <= first_fit(lengths.tolist(), 200)


def test_runs_are_copied_in_the_order_asked() -> None:
    out = np.empty(5, dtype=np.int32)
    gather(np.arange(10, dtype=np.int32), np.array([7, 0]), np.array([2, 3]), out)
    assert out.tolist() == [7, 8, 0, 1, 2]
