"""Counting what occurs more than once in a document, exactly as sets of strings would."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.quality.rules.compiled import compiled
from tasks.quality.rules.scan import mixed

_PRIME = np.uint64(0x9E3779B97F4A7C15)


class Table(NamedTuple):
    """A hash table that is emptied by raising its stamp.

    Attributes:
        keys: What is kept, by slot.
        stamps: When; a slot of another stamp is empty.
        counts: How often.
        stamp: One value, today's.
    """

    keys: npt.NDArray[np.uint64]
    stamps: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    stamp: npt.NDArray[np.int64]


class Words(NamedTuple):
    """The words of a document, in order.

    Attributes:
        number: How many there are; the arrays may be longer.
        hashes: Polynomial hash of each word's bytes.
        powers: The base to the power of its length, so that hashes of joined words follow.
        chars: Its length in characters.
    """

    number: int
    hashes: npt.NDArray[np.uint64]
    powers: npt.NDArray[np.uint64]
    chars: npt.NDArray[np.int64]


@compiled
def new_table(entries: int) -> Table:
    """Return a table with room for so many entries at a time."""
    size = 16
    while size < 2 * entries:
        size *= 2
    return Table(
        np.zeros(size, np.uint64),
        np.zeros(size, np.int64),
        np.zeros(size, np.int64),
        np.zeros(1, np.int64),
    )


@compiled
def add(table: Table, key: np.uint64, mask: int) -> int:
    """Count a key and return its slot; ``mask`` is a power of two less 1, within the table."""
    slot = np.int64(key) & mask
    stamp, stamps, keys, counts = table.stamp[0], table.stamps, table.keys, table.counts
    while stamps[slot] == stamp:
        if keys[slot] == key:
            counts[slot] += 1
            return int(slot)
        slot = (slot + 1) & mask
    stamps[slot] = stamp
    keys[slot] = key
    counts[slot] = 1
    return int(slot)


@compiled
def emptied(table: Table, entries: int) -> int:
    """Empty the table and return the mask to use for so many entries."""
    table.stamp[0] += 1
    size = 16
    while size < 2 * entries:
        size *= 2
    return size - 1


@compiled
def top_gram(table: Table, words: Words, n: int, slots: npt.NDArray[np.int64]) -> int:
    """Return the characters that the commonest n-gram covers, spaces within included.

    Of several as common the first counts.
    """
    grams = words.number - n + 1
    mask = emptied(table, grams)
    hashes, chars, counts = words.hashes, words.chars, table.counts
    for i in range(grams):
        key = np.uint64(n)
        for k in range(i, i + n):
            key = mixed(key * _PRIME + hashes[k] + np.uint64(chars[k]))
        slots[i] = add(table, key, mask)
    best, place = 0, 0
    for i in range(grams):
        if counts[slots[i]] > best:
            best, place = counts[slots[i]], i
    length = n - 1
    for k in range(place, place + n):
        length += chars[k]
    return best * length


@compiled
def repeated_grams(table: Table, words: Words, n: int) -> int:
    """Return the characters of n-grams that occurred before, counted without overlap.

    An n-gram is its words written without spaces, as the reference compares them.
    """
    mask = emptied(table, max(words.number, 1))
    covered, i, counts = 0, 0, table.counts
    hashes, powers, lengths = words.hashes, words.powers, words.chars
    while i < words.number - n + 1:
        joined, chars = np.uint64(0), 0
        for k in range(i, i + n):
            joined = joined * powers[k] + hashes[k]
            chars += lengths[k]
        slot = add(table, mixed(joined + np.uint64(chars)), mask)
        if counts[slot] > 1:
            covered += chars
            i += n
        else:
            i += 1
    return covered
