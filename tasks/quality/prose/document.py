"""One text as the rules see it: its bytes, its words and room to work in."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.quality.compiled import compiled
from tasks.quality.prose.scan import Bytes, mix_bits
from tasks.quality.prose.vocabulary import Counts, Features, Hashes

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
def empty_table(table: Table, entries: int) -> int:
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
    mask = empty_table(table, grams)
    hashes, chars, counts = words.hashes, words.chars, table.counts
    for i in range(grams):
        key = np.uint64(n)
        for k in range(i, i + n):
            key = mix_bits(key * _PRIME + hashes[k] + np.uint64(chars[k]))
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
    mask = empty_table(table, max(words.number, 1))
    covered, i, counts = 0, 0, table.counts
    hashes, powers, lengths = words.hashes, words.powers, words.chars
    while i < words.number - n + 1:
        joined, chars = np.uint64(0), 0
        for k in range(i, i + n):
            joined = joined * powers[k] + hashes[k]
            chars += lengths[k]
        slot = add(table, mix_bits(joined + np.uint64(chars)), mask)
        if counts[slot] > 1:
            covered += chars
            i += n
        else:
            i += 1
    return covered


class Text(NamedTuple):
    """A text: ``start`` to ``end`` of ``data``, and the numbers of its pieces, in order."""

    data: Bytes
    start: int
    end: int
    chars: int
    pieces: Counts


class Room(NamedTuple):
    """Arrays that are used again for every text of a thread.

    Attributes:
        table: For counting repeats.
        slots: One number a word.
        hashes: One a word, as the next ones.
        powers: As in :class:`tasks.quality.prose.document.Words`.
        chars: As in :class:`tasks.quality.prose.document.Words`.
        flags: What each word is.
        line: Bytes of a line that is written anew.
    """

    table: Table
    slots: Counts
    hashes: Hashes
    powers: Hashes
    chars: Counts
    flags: Counts
    line: Bytes


@compiled
def new_room(words: int, size: int) -> Room:
    """Return room for texts of so many words and bytes."""
    return Room(
        new_table(max(words, size + 1)),
        np.zeros(words, np.int64),
        np.zeros(words, np.uint64),
        np.zeros(words, np.uint64),
        np.zeros(words, np.int64),
        np.zeros(words, np.int64),
        np.zeros(size, np.uint8),
    )


@compiled
def spell(pieces: Counts, known: Features, room: Room) -> Words:
    """Return the words of pieces, laid out in the room."""
    number = 0
    first, counts, hashes, powers = known.first, known.words, known.hashes, known.powers
    chars, flags = known.chars, known.flags
    own_hashes, own_powers, own_chars, own_flags = room.hashes, room.powers, room.chars, room.flags
    for piece in pieces:
        for k in range(first[piece], first[piece] + counts[piece]):
            own_hashes[number] = hashes[k]
            own_powers[number] = powers[k]
            own_chars[number] = chars[k]
            own_flags[number] = flags[k]
            number += 1
    return Words(number, own_hashes, own_powers, own_chars)
