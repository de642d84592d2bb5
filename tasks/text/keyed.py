"""Deterministic choice by keyed hashing: no global random state, no library's stream."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def key_of(seed: int, *names: str | int) -> int:
    """Return a 64-bit key from the recipe's seed and names (never from list positions)."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "little")


def keyed_rank(key: int, name: str) -> int:
    """Return a 64-bit rank of ``name`` under ``key``; sorting by it is a fixed shuffle."""
    digest = hashlib.blake2b(name.encode(), digest_size=8, key=key.to_bytes(8, "little")).digest()
    return int.from_bytes(digest, "little")


def keyed_sample(names: Sequence[str], count: int, key: int) -> list[int]:
    """Return the indexes of ``count`` of ``names``, chosen by rank, in ascending order.

    The choice of a smaller count is contained in that of a larger one.
    """
    order = sorted(range(len(names)), key=lambda i: (keyed_rank(key, names[i]), i))
    return sorted(order[:count])
