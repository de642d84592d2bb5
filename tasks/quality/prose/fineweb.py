"""FineWeb's rules on lines (Penedo et al. 2024, section 3.6), and the share of signs in a text."""

from typing import NamedTuple

import numpy as np

from tasks.quality.compiled import compiled
from tasks.quality.prose.document import Room, Text, add, empty_table
from tasks.quality.prose.scan import Bytes, characters, hashed, trim
from tasks.quality.prose.tokenizer import TERMINAL
from tasks.quality.prose.vocabulary import Features

_TERMINAL = np.array(sorted(map(ord, TERMINAL)), np.int64)


class FineWebLimits(NamedTuple):
    """Thresholds as numbers; infinite where a rule is not asked."""

    min_whole_lines: float
    max_short_lines: float
    short_line: int
    max_line_chars: float
    max_line_ends: float


class SignLimits(NamedTuple):
    """Thresholds as numbers; infinite where a rule is not asked."""

    max_addresses: float
    min_alphanumeric: float


class _Lines(NamedTuple):
    number: int
    whole: int
    short: int
    again: int
    feeds: int


@compiled
def fineweb(text: Text, words: int, room: Room, limits: FineWebLimits) -> int:
    """Return the number of the first rule, from 1, that finds the text; 0 where none does."""
    lines = _lines(text, room, limits.short_line)
    if lines.number == 0:
        return 1
    if lines.whole / lines.number < limits.min_whole_lines:
        return 2
    if lines.short / lines.number > limits.max_short_lines:
        return 3
    if lines.again / (text.chars - lines.feeds) > limits.max_line_chars:
        return 4
    return 5 if lines.feeds / words > limits.max_line_ends else 0


@compiled
def _lines(text: Text, room: Room, short: int) -> _Lines:
    data, feeds = text.data, 0
    for i in range(text.start, text.end):
        feeds += data[i] == 10
    table = room.table
    mask = empty_table(table, feeds + 1)
    number, whole, shorts, again, start = 0, 0, 0, 0, text.start
    for i in range(text.start, text.end + 1):
        if i < text.end and data[i] != 10:
            continue
        first, last = trim(data, start, i)
        if first < last:
            chars = characters(data, start, i)
            number += 1
            whole += _ends_whole(data, start, i)
            shorts += chars <= short
            if table.counts[add(table, hashed(data, start, i), mask)] > 1:
                again += chars
        start = i + 1
    return _Lines(number, whole, shorts, again, feeds)


@compiled
def _ends_whole(data: Bytes, start: int, end: int) -> bool:
    """Return whether a line's last character ends sentences."""
    i = end - 1
    while i > start and (data[i] & 0xC0) == 0x80:
        i -= 1
    point = np.int64(data[i])
    if point >= 0x80:
        point &= 0x1F if end - i == 2 else (0x0F if end - i == 3 else 0x07)
        for k in range(i + 1, end):
            point = (point << 6) | (data[k] & 0x3F)
    low, high = 0, len(_TERMINAL)
    while low < high:
        middle = (low + high) // 2
        if _TERMINAL[middle] < point:
            low = middle + 1
        else:
            high = middle
    return low < len(_TERMINAL) and _TERMINAL[low] == point


@compiled
def signs(text: Text, known: Features, words_chars: int, limits: SignLimits) -> int:
    """Return 1 for too many addresses, 2 for too few letters and digits, 0 otherwise.

    Args:
        text: A text.
        known: What is known of its pieces.
        words_chars: Its characters other than white space.
        limits: Thresholds.
    """
    if words_chars == 0:
        return 0
    addresses, alnum = 0, 0
    in_addresses, letters = known.address, known.alnum
    for piece in text.pieces:
        addresses += in_addresses[piece]
        alnum += letters[piece]
    if addresses / words_chars > limits.max_addresses:
        return 1
    return 2 if alnum / words_chars < limits.min_alphanumeric else 0
