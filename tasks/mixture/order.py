"""The order of sources in the plan: fair at every prefix, from any position on.

Worst-case fair queueing (WF2Q, Bennett and Zhang 1996) over the asked shares: of the sources whose
next row has started in the ideal fluid mixture, the one whose row is due first. With rows of one
unit that is Tijdeman's chairman assignment (1980). A row starts at used * total / quota and is due
a row's units later; both are kept as whole units rounded up, and a part in 1..quota of the last
of them, so that no quotient is ever inexact. Ties go by name.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

from tasks.mixture.permute import permute_into

Ints = npt.NDArray[np.int64]
NEVER = np.int64(2**62)
AHEAD = 512
"""Rows drawn at a time from one source: long enough to be fast, short enough to stay in cache."""


class Feed(NamedTuple):
    """What the order draws from in one stage; one entry a source, in the order of their names.

    Attributes:
        quota: Units asked; their ratio is the asked shares.
        draws: Rows drawn at the end of the stage, over every epoch and stage so far.
        rows: Rows there are.
        key: 64-bit keys of the permutations.
        offset: Where a source's row sizes begin in ``sizes``.
        sizes: Units of every row, all sources' one after the other; empty where each counts 1.
    """

    quota: Ints
    draws: Ints
    rows: Ints
    key: npt.NDArray[np.uint64]
    offset: Ints
    sizes: npt.NDArray[np.int32]


@njit(cache=True, nogil=True)
def order_rows(feed: Feed, taken: Ints, starts: Ints, source: npt.NDArray[np.int16]) -> int:
    """Fill the sources of the next positions, every row counting 1; return how many there were.

    Args:
        feed: What to draw from.
        taken: Rows drawn before, a source; moved on.
        starts: Shape (3, sources): whole units and part of each source's next start, and the
            units used in this stage; moved on.
        source: Index of the source, a position.
    """
    total, quota = feed.quota.sum(), np.maximum(feed.quota, 1)
    left, part = feed.draws - taken, starts[1] + total % quota
    due = starts[0] + total // quota + (part > quota)
    release, deadline = np.where(left > 0, starts[0], NEVER), np.where(left > 0, due, NEVER)
    part = np.where(part > quota, part - quota, part)
    step = (total // quota, total % quota, quota)
    count = _rows_in_turn(release, deadline, part, step, left, starts[2].sum(), source)
    drawn = feed.draws - taken - left
    taken += drawn
    for j in range(len(drawn)):
        starts[0, j], starts[1, j] = _after(starts[0, j], starts[1, j], drawn[j], total, quota[j])
    starts[2] += drawn
    return int(count)


@njit(cache=True, nogil=True)
def _rows_in_turn(
    release: Ints,
    deadline: Ints,
    part: Ints,
    step: tuple[Ints, Ints, Ints],
    left: Ints,
    spent: int,
    source: npt.NDArray[np.int16],
) -> int:
    units, rest, quota = step
    for k in range(len(source)):
        # Written without jumps and in place: which source is next can't be predicted.
        j, when = -1, NEVER
        for i in range(len(release)):
            due = deadline[i] if release[i] <= spent else NEVER
            j = i if due < when else j
            when = min(due, when)
        if j < 0:
            return k
        source[k] = j
        spent += 1
        release[j] = deadline[j]
        more = part[j] + rest[j]
        over = more > quota[j]
        deadline[j] += units[j] + (1 if over else 0)
        part[j] = more - quota[j] if over else more
        left[j] -= 1
        if left[j] == 0:
            release[j] = deadline[j] = NEVER
    return len(source)


@njit(cache=True)
def _refill(j: int, taken: int, feed: Feed, rows: Ints) -> int:
    """Fill the source's next rows of one epoch; return how many."""
    n = feed.rows[j]
    count = int(min(len(rows), n - taken % n, feed.draws[j] - taken))
    permute_into(rows[:count], taken % n, n, np.uint64(feed.key[j]), taken // n)
    return count


@njit(cache=True, nogil=True)
def order_units(feed: Feed, taken: Ints, starts: Ints, source: npt.NDArray[np.int16]) -> int:
    """Fill the sources of the next positions, rows counting their units; as ``order_rows``."""
    count, total = len(feed.quota), feed.quota.sum()
    rows, sizes = np.empty(AHEAD, np.int64), np.zeros((count, AHEAD), np.int64)
    at, have = np.zeros(count, np.int64), np.zeros(count, np.int64)
    release, deadline = np.full(count, NEVER), np.full(count, NEVER)
    for j in range(count):
        if taken[j] < feed.draws[j]:
            have[j] = _sizes_ahead(j, taken[j], feed, rows, sizes[j])
            release[j] = starts[0, j]
            deadline[j] = _after(starts[0, j], starts[1, j], sizes[j, 0], total, feed.quota[j])[0]
    spent = starts[2].sum()
    for k in range(len(source)):
        j, when = -1, NEVER
        for i in range(count):
            due = deadline[i] if release[i] <= spent else NEVER
            j = i if due < when else j
            when = min(due, when)
        if j < 0:
            j = int(np.argmin(deadline))
            if deadline[j] == NEVER:
                return k
        source[k], size, quota = j, sizes[j, at[j]], feed.quota[j]
        spent += size
        starts[0, j], starts[1, j] = _after(starts[0, j], starts[1, j], size, total, quota)
        starts[2, j], taken[j], at[j] = starts[2, j] + size, taken[j] + 1, at[j] + 1
        if at[j] == have[j]:
            if taken[j] == feed.draws[j]:
                release[j] = deadline[j] = NEVER
                continue
            have[j], at[j] = _sizes_ahead(j, taken[j], feed, rows, sizes[j]), 0
        release[j] = starts[0, j]
        deadline[j] = _after(starts[0, j], starts[1, j], sizes[j, at[j]], total, quota)[0]
    return len(source)


@njit(cache=True)
def _after(whole: int, part: int, size: int, total: int, quota: int) -> tuple[int, int]:
    """Return a start moved on by ``size * total / quota``; exact for totals below 2**40."""
    more = part + size * (total % quota)
    carry = (more - 1) // quota
    return whole + size * (total // quota) + carry, more - carry * quota


@njit(cache=True)
def _sizes_ahead(j: int, taken: int, feed: Feed, rows: Ints, sizes: Ints) -> int:
    count = _refill(j, taken, feed, rows)
    for i in range(count):
        sizes[i] = feed.sizes[feed.offset[j] + rows[i]]
    return count


@njit(cache=True, nogil=True)
def draw_rows(
    feed: Feed, taken: Ints, source: npt.NDArray[np.int16], row: Ints, epoch: npt.NDArray[np.int32]
) -> None:
    """Fill row and epoch of positions whose sources are known; ``taken`` is moved on."""
    count = len(feed.rows)
    rows, at = np.empty((count, AHEAD), np.int64), np.zeros(count, np.int64)
    have, passes = np.zeros(count, np.int64), np.zeros(count, np.int32)
    for k in range(len(source)):
        j = source[k]
        if at[j] == have[j]:
            have[j], at[j] = _refill(j, taken[j], feed, rows[j]), 0
            passes[j] = taken[j] // feed.rows[j]
        row[k], epoch[k] = rows[j, at[j]], passes[j]
        at[j] += 1
        taken[j] += 1
