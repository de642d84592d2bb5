"""One text as the rules see it: its bytes, its words and room to work in."""

from typing import NamedTuple

import numpy as np

from tasks.quality.rules.compiled import compiled
from tasks.quality.rules.repeats import Table, Words, new_table
from tasks.quality.rules.scan import Bytes
from tasks.quality.rules.vocabulary import Counts, Features, Hashes


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
        powers: As in :class:`tasks.quality.rules.repeats.Words`.
        chars: As in :class:`tasks.quality.rules.repeats.Words`.
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
