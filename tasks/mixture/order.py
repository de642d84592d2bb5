"""The order of sources in the plan and of the rows inside each, from any position on.

Sources take turns by worst-case fair queueing (WF2Q, Bennett and Zhang 1996) over the asked shares:
of the sources whose next row has started in the ideal fluid mixture, the one whose row is due
first, so that every prefix is fair. With rows of one unit that is Tijdeman's chairman assignment
(1980). A row starts at used * total / quota and is due a row's units later; both are kept as whole
units rounded up, and a part in 1..quota of the last of them, so that no quotient is ever inexact.
Ties go by name.

Rows of a source come in the order of a keyed permutation, another one in every epoch, which anyone
can evaluate at any point.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit

Ints = npt.NDArray[np.int64]
Salts = npt.NDArray[np.uint64]
NEVER = np.int64(2**62)
AHEAD = 512
"""Rows drawn at a time from one source: long enough to be fast, short enough to stay in cache."""
ROUNDS = 4
"""Enough for a permutation that nobody tells from a random one (Luby and Rackoff 1988)."""
_LOW, _HALF, _GOLDEN = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(0x9E3779B97F4A7C15)


class StageQuota(NamedTuple):
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


class Times(NamedTuple):
    """When the next row of each source starts and is due, in units of the whole stage.

    Attributes:
        release: Start, whole units rounded up.
        deadline: End, whole units rounded up.
        part: Which part of the deadline's last unit is meant, 1 to the source's quota.
    """

    release: Ints
    deadline: Ints
    part: Ints


class Step(NamedTuple):
    """How far a source's times move with a row of one unit: ``total / quota``, and the rest."""

    units: Ints
    rest: Ints
    quota: Ints


@njit(cache=True, nogil=True)
def order_rows(stage: StageQuota, taken: Ints, starts: Ints, source: npt.NDArray[np.int16]) -> int:
    """Fill the sources of the next positions, every row counting 1; return how many there were.

    Args:
        stage: What to draw from.
        taken: Rows drawn before, a source; moved on.
        starts: Shape (3, sources): whole units and part of each source's next start, and the
            units used in this stage; moved on.
        source: Index of the source, a position.
    """
    total, quota = stage.quota.sum(), np.maximum(stage.quota, 1)
    left, part = stage.draws - taken, starts[1] + total % quota
    due = starts[0] + total // quota + (part > quota)
    release, deadline = np.where(left > 0, starts[0], NEVER), np.where(left > 0, due, NEVER)
    part = np.where(part > quota, part - quota, part)
    times, step = Times(release, deadline, part), Step(total // quota, total % quota, quota)
    count = _take_turns(times, step, left, starts[2].sum(), source)
    drawn = stage.draws - taken - left
    taken += drawn
    for j in range(len(drawn)):
        starts[0, j], starts[1, j] = _advance(starts[0, j], starts[1, j], drawn[j], total, quota[j])
    starts[2] += drawn
    return int(count)


@njit(cache=True, nogil=True)
def _take_turns(
    times: Times, step: Step, left: Ints, spent: int, source: npt.NDArray[np.int16]
) -> int:
    release, deadline, part = times
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
def _read_rows(j: int, taken: int, stage: StageQuota, rows: Ints) -> int:
    """Fill the source's next rows of one epoch; return how many."""
    n = stage.rows[j]
    count = int(min(len(rows), n - taken % n, stage.draws[j] - taken))
    permute_into(rows[:count], taken % n, n, np.uint64(stage.key[j]), taken // n)
    return count


@njit(cache=True, nogil=True)
def order_units(stage: StageQuota, taken: Ints, starts: Ints, source: npt.NDArray[np.int16]) -> int:
    """Fill the sources of the next positions, rows counting their units; as ``order_rows``."""
    count, total = len(stage.quota), stage.quota.sum()
    rows, sizes = np.empty(AHEAD, np.int64), np.zeros((count, AHEAD), np.int64)
    at, have = np.zeros(count, np.int64), np.zeros(count, np.int64)
    release, deadline = np.full(count, NEVER), np.full(count, NEVER)
    for j in range(count):
        if taken[j] < stage.draws[j]:
            have[j] = _read_sizes(j, taken[j], stage, rows, sizes[j])
            release[j] = starts[0, j]
            deadline[j] = _advance(starts[0, j], starts[1, j], sizes[j, 0], total, stage.quota[j])[
                0
            ]
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
        source[k], size, quota = j, sizes[j, at[j]], stage.quota[j]
        spent += size
        starts[0, j], starts[1, j] = _advance(starts[0, j], starts[1, j], size, total, quota)
        starts[2, j], taken[j], at[j] = starts[2, j] + size, taken[j] + 1, at[j] + 1
        if at[j] == have[j]:
            if taken[j] == stage.draws[j]:
                release[j] = deadline[j] = NEVER
                continue
            have[j], at[j] = _read_sizes(j, taken[j], stage, rows, sizes[j]), 0
        release[j] = starts[0, j]
        deadline[j] = _advance(starts[0, j], starts[1, j], sizes[j, at[j]], total, quota)[0]
    return len(source)


@njit(cache=True)
def _advance(whole: int, part: int, size: int, total: int, quota: int) -> tuple[int, int]:
    """Return a start moved on by ``size * total / quota``; exact for totals below 2**40."""
    more = part + size * (total % quota)
    carry = (more - 1) // quota
    return whole + size * (total // quota) + carry, more - carry * quota


@njit(cache=True)
def _read_sizes(j: int, taken: int, stage: StageQuota, rows: Ints, sizes: Ints) -> int:
    count = _read_rows(j, taken, stage, rows)
    for i in range(count):
        sizes[i] = stage.sizes[stage.offset[j] + rows[i]]
    return count


@njit(cache=True, nogil=True)
def draw_rows(
    stage: StageQuota,
    taken: Ints,
    source: npt.NDArray[np.int16],
    row: Ints,
    epoch: npt.NDArray[np.int32],
) -> None:
    """Fill row and epoch of positions whose sources are known; ``taken`` is moved on."""
    count = len(stage.rows)
    rows, at = np.empty((count, AHEAD), np.int64), np.zeros(count, np.int64)
    have, passes = np.zeros(count, np.int64), np.zeros(count, np.int32)
    for k in range(len(source)):
        j = source[k]
        if at[j] == have[j]:
            have[j], at[j] = _read_rows(j, taken[j], stage, rows[j]), 0
            passes[j] = taken[j] // stage.rows[j]
        row[k], epoch[k] = rows[j, at[j]], passes[j]
        at[j] += 1
        taken[j] += 1


@njit(cache=True, inline="always")
def _scramble(x: np.uint64) -> np.uint64:
    """Return the SplitMix64 finaliser of a value (Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, inline="always")
def _hash_below(value: np.uint64, salt: np.uint64, span: np.uint64) -> np.uint64:
    """Return a keyed hash of ``value`` in 0..span-1; products of 32 bits, which vectorise."""
    h = ((value ^ salt) & _LOW) * np.uint64(0x9E3779B1)
    h = ((h ^ (h >> _HALF) ^ (salt >> _HALF)) & _LOW) * np.uint64(0x85EBCA77)
    h = (h ^ (h >> _HALF)) & _LOW
    return (h * span) >> _HALF


@njit(cache=True, inline="always")
def _run_network(x: np.uint64, y: np.uint64, a: np.uint64, b: np.uint64, salts: Salts) -> np.uint64:
    x += _hash_below(y, salts[0], a)
    x = min(x, x - a)
    y += _hash_below(x, salts[1], b)
    y = min(y, y - b)
    x += _hash_below(y, salts[2], a)
    x = min(x, x - a)
    y += _hash_below(x, salts[3], b)
    y = min(y, y - b)
    return x * b + y


@njit(cache=True)
def _make_salts(key: np.uint64, epoch: int) -> Salts:
    salts = np.empty(ROUNDS, np.uint64)
    state = _scramble(key ^ _scramble(np.uint64(epoch) + _GOLDEN))
    for i in range(ROUNDS):
        state = _scramble(state + _GOLDEN)
        salts[i] = state
    return salts


@njit(cache=True, nogil=True)
def permute_into(out: Ints, first: int, n: int, key: np.uint64, epoch: int) -> None:
    """Fill ``out`` with where the points ``first``, ``first + 1``, ... of 0..n-1 go.

    A generalised Feistel network over a grid of a x b points, a * b just over n, with sums
    modulo a and b in turn (Black and Rogaway 2002, method 3). What lands outside walks on through
    the network until it is inside, so it is a bijection; few do, since the grid fits closely.

    Args:
        out: One entry a point.
        first: First point.
        n: Size of the set, below 2**62.
        key: 64 bits, from seed and source name.
        epoch: Every pass has a permutation of its own.
    """
    a = np.uint64(np.ceil(np.sqrt(float(n))))
    b = (np.uint64(n) + a - np.uint64(1)) // a
    salts = _make_salts(key, epoch)
    left, right, done = np.uint64(first) // b, np.uint64(first) % b, np.int64(0)
    while done < len(out):
        run = min(np.int64(len(out) - done), np.int64(b - right))
        # One straight loop a row of the grid, which the compiler turns into vector instructions.
        for i in range(run):
            out[done + i] = _run_network(left, right + np.uint64(i), a, b, salts)
        for i in range(done, done + run):
            while np.uint64(out[i]) >= np.uint64(n):
                out[i] = _run_network(np.uint64(out[i]) // b, np.uint64(out[i]) % b, a, b, salts)
        left, right, done = left + np.uint64(1), np.uint64(0), done + run


def permute(count: int, n: int, key: int, epoch: int = 0) -> Ints:
    """Return where the points 0..count-1 go under the permutation of 0..n-1."""
    out = np.empty(count, dtype=np.int64)
    permute_into(out, 0, n, np.uint64(key), epoch)
    return out
