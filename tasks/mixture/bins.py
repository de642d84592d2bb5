"""Best-fit-decreasing bin packing and the gather of token runs, compiled."""

import numpy as np
import numpy.typing as npt
from numba import njit

Ints = npt.NDArray[np.int64]


def best_fit_decreasing(lengths: Ints, capacity: int) -> Ints:
    """Return the bin of each item: longest first, into the fullest bin that still has room.

    Best fit decreasing (Johnson 1974), equal lengths in the order given. Bins are numbered as
    they are opened.

    Args:
        lengths: Item sizes, 1 to ``capacity`` each, int64.
        capacity: Size of a bin.
    """
    bins: Ints = _best_fit(lengths, np.argsort(-lengths, kind="stable"), capacity)
    return bins


@njit(cache=True)
def _best_fit(lengths: Ints, order: Ints, capacity: int) -> Ints:
    # Open bins are kept by the space left in them: a stack for each space, and a tree over the
    # spaces that occur, so that an item costs O(log capacity).
    leaves = 1
    while leaves <= capacity:
        leaves *= 2
    occurs = np.zeros(2 * leaves, np.bool_)
    top = np.full(capacity + 1, -1, np.int64)
    below = np.full(len(lengths), -1, np.int64)
    bins = np.empty(len(lengths), np.int64)
    opened = 0
    for item in order:
        space = _smallest(occurs, leaves, lengths[item])
        if space < 0:
            chosen, space = opened, capacity
            opened += 1
        else:
            chosen = top[space]
            top[space] = below[chosen]
            if top[space] < 0:
                _forget(occurs, leaves, space)
        left = space - lengths[item]
        if top[left] < 0:
            _remember(occurs, leaves, left)
        below[chosen], top[left] = top[left], chosen
        bins[item] = chosen
    return bins


@njit(cache=True)
def _smallest(occurs: npt.NDArray[np.bool_], leaves: int, least: int) -> int:
    """Return the smallest space that occurs and is at least ``least``; -1 where there is none."""
    node = leaves + least
    if occurs[node]:
        return least
    while node > 1:
        if node % 2 == 0 and occurs[node + 1]:
            node += 1
            while node < leaves:
                node = 2 * node if occurs[2 * node] else 2 * node + 1
            return int(node - leaves)
        node //= 2
    return -1


@njit(cache=True)
def _remember(occurs: npt.NDArray[np.bool_], leaves: int, space: int) -> None:
    node = leaves + space
    while node and not occurs[node]:
        occurs[node] = True
        node //= 2


@njit(cache=True)
def _forget(occurs: npt.NDArray[np.bool_], leaves: int, space: int) -> None:
    node = leaves + space
    occurs[node] = False
    node //= 2
    while node and not (occurs[2 * node] or occurs[2 * node + 1]):
        occurs[node] = False
        node //= 2


@njit(cache=True)
def gather(
    values: npt.NDArray[np.int32], starts: Ints, lengths: Ints, out: npt.NDArray[np.int32]
) -> None:
    """Copy the runs of ``values`` one after the other into ``out``, which has their exact size."""
    at = 0
    for start, length in zip(starts, lengths):  # noqa: B905 (numba knows no strict)
        out[at : at + length] = values[start : start + length]
        at += length
