"""Gopher's rules on repetition (Rae et al. 2021, table A1)."""

from typing import NamedTuple

from tasks.quality.compiled import compiled
from tasks.quality.prose.document import (
    Room,
    Table,
    Text,
    Words,
    add,
    empty_table,
    repeated_grams,
    top_gram,
)
from tasks.quality.prose.scan import Bytes, characters, hashed, trim


class RepetitionLimits(NamedTuple):
    """Thresholds as numbers; infinite where a rule is not asked."""

    max_paragraphs: float
    max_paragraph_chars: float
    max_lines: float
    max_line_chars: float
    max_top_grams: tuple[float, float, float]
    max_grams: tuple[float, float, float, float, float, float]


@compiled
def repetition(text: Text, words: Words, room: Room, limits: RepetitionLimits) -> int:
    """Return the number of the first rule, from 1, that finds the text; 0 where none does."""
    if text.chars == 0:
        return 14
    start, end = trim(text.data, text.start, text.end)
    parts, again, chars = repeated_parts(text.data, start, end, 2, room.table)
    if again / parts > limits.max_paragraphs:
        return 1
    if chars / text.chars > limits.max_paragraph_chars:
        return 2
    parts, again, chars = repeated_parts(text.data, text.start, text.end, 1, room.table)
    if again / parts > limits.max_lines:
        return 3
    if chars / text.chars > limits.max_line_chars:
        return 4
    return _grams(text, words, room, limits)


@compiled
def _grams(text: Text, words: Words, room: Room, limits: RepetitionLimits) -> int:
    for i in range(3):
        if words.number >= i + 2:
            covered = top_gram(room.table, words, i + 2, room.slots)
            if covered / text.chars > limits.max_top_grams[i]:
                return 5 + i
    for i in range(6):
        if repeated_grams(room.table, words, i + 5) / text.chars > limits.max_grams[i]:
            return 8 + i
    return 0


@compiled
def repeated_parts(
    data: Bytes, start: int, end: int, feeds: int, table: Table
) -> tuple[int, int, int]:
    """Return the parts of a range, those that occurred before, and their characters.

    Args:
        data: Bytes.
        start: Where the range starts.
        end: Where it ends.
        feeds: Line feeds in a row that part it, at least: 1 for lines, 2 for paragraphs.
        table: For counting.
    """
    mask = empty_table(table, _most_parts(data, start, end, feeds))
    parts, again, chars, i = 0, 0, 0, start
    while True:
        stop, after = _part_end(data, i, end, feeds)
        slot = add(table, hashed(data, i, stop), mask)
        parts += 1
        if table.counts[slot] > 1:
            again += 1
            chars += characters(data, i, stop)
        if stop == end and after == end:
            break
        i = after
    return parts, again, chars


@compiled
def _part_end(data: Bytes, i: int, end: int, feeds: int) -> tuple[int, int]:
    """Return where a part ends, and where the next starts: end and end after the last."""
    while i < end:
        if data[i] == 10:
            after = i
            while after < end and data[after] == 10:
                after += 1
            if after - i >= feeds:
                return i, after
            i = after
        else:
            i += 1
    return end, end


@compiled
def _most_parts(data: Bytes, start: int, end: int, feeds: int) -> int:
    parts = 1
    for i in range(start, end):
        parts += data[i] == 10
    return parts
