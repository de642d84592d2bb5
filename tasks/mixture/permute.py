"""A keyed permutation of 0..n-1 that any worker can evaluate at any point."""

import numpy as np
import numpy.typing as npt

from tasks.text.keyed import key_of

U64 = npt.NDArray[np.uint64]
ROUNDS = 6


def mix(x: U64) -> U64:
    """Return the SplitMix64 finaliser of each value (Steele, Lea and Flood 2014)."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def permuted(points: npt.NDArray[np.int64], n: int, key: int) -> npt.NDArray[np.int64]:
    """Return where each point of 0..n-1 goes under the permutation of that key.

    A balanced Feistel network over the next even number of bits; values that fall outside walk
    on through the network until they are inside (Black and Rogaway 2002), so it is a bijection.
    """
    if n < 2:
        return points.copy()
    half = (max((n - 1).bit_length(), 2) + 1) // 2
    values = points.astype(np.uint64)
    outside = np.ones(len(values), dtype=bool)
    while outside.any():
        values[outside] = _network(values[outside], half, key)
        outside = values >= np.uint64(n)
    return values.astype(np.int64)


def _network(values: U64, half: int, key: int) -> U64:
    mask = np.uint64((1 << half) - 1)
    left, right = values >> np.uint64(half), values & mask
    for i in range(ROUNDS):
        salt = np.uint64(key_of(key, "feistel", i))
        left, right = right, left ^ (mix(right ^ salt) & mask)
    return (left << np.uint64(half)) | right
