"""A keyed permutation of 0..n-1 that any worker can evaluate at any point."""

import numpy as np
import numpy.typing as npt
from numba import njit

Ints = npt.NDArray[np.int64]
Salts = npt.NDArray[np.uint64]
ROUNDS = 4
"""Enough for a permutation that nobody tells from a random one (Luby and Rackoff 1988)."""
_LOW, _HALF, _GOLDEN = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, inline="always")
def _mix(x: np.uint64) -> np.uint64:
    """Return the SplitMix64 finaliser of a value (Steele, Lea and Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@njit(cache=True, inline="always")
def _below(value: np.uint64, salt: np.uint64, span: np.uint64) -> np.uint64:
    """Return a keyed hash of ``value`` in 0..span-1; products of 32 bits, which vectorise."""
    h = ((value ^ salt) & _LOW) * np.uint64(0x9E3779B1)
    h = ((h ^ (h >> _HALF) ^ (salt >> _HALF)) & _LOW) * np.uint64(0x85EBCA77)
    h = (h ^ (h >> _HALF)) & _LOW
    return (h * span) >> _HALF


@njit(cache=True, inline="always")
def _network(x: np.uint64, y: np.uint64, a: np.uint64, b: np.uint64, salts: Salts) -> np.uint64:
    x += _below(y, salts[0], a)
    x = min(x, x - a)
    y += _below(x, salts[1], b)
    y = min(y, y - b)
    x += _below(y, salts[2], a)
    x = min(x, x - a)
    y += _below(x, salts[3], b)
    y = min(y, y - b)
    return x * b + y


@njit(cache=True)
def _salts(key: np.uint64, epoch: int) -> Salts:
    salts = np.empty(ROUNDS, np.uint64)
    state = _mix(key ^ _mix(np.uint64(epoch) + _GOLDEN))
    for i in range(ROUNDS):
        state = _mix(state + _GOLDEN)
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
    salts = _salts(key, epoch)
    left, right, done = np.uint64(first) // b, np.uint64(first) % b, np.int64(0)
    while done < len(out):
        run = min(np.int64(len(out) - done), np.int64(b - right))
        # One straight loop a row of the grid, which the compiler turns into vector instructions.
        for i in range(run):
            out[done + i] = _network(left, right + np.uint64(i), a, b, salts)
        for i in range(done, done + run):
            while np.uint64(out[i]) >= np.uint64(n):
                out[i] = _network(np.uint64(out[i]) // b, np.uint64(out[i]) % b, a, b, salts)
        left, right, done = left + np.uint64(1), np.uint64(0), done + run


def permuted(count: int, n: int, key: int, epoch: int = 0) -> Ints:
    """Return where the points 0..count-1 go under the permutation of 0..n-1."""
    out = np.empty(count, dtype=np.int64)
    permute_into(out, 0, n, np.uint64(key), epoch)
    return out
