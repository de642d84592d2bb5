"""Gopher's rules on words and lines (Rae et al. 2021, appendix A)."""

from typing import NamedTuple

from tasks.quality.compiled import compiled
from tasks.quality.prose.document import Room, Text, Words
from tasks.quality.prose.scan import Bytes, line_end, trim
from tasks.quality.prose.vocabulary import ALPHABETIC, CONTENT, FIRST_STOP_WORD


class GopherLimits(NamedTuple):
    """Thresholds as numbers; infinite where a rule is not asked."""

    min_words: int
    max_words: int
    min_word_length: float
    max_word_length: float
    max_symbols: float
    max_bullet_lines: float
    max_ellipsis_lines: float
    min_alphabetic: float
    min_stop_words: int


@compiled
def gopher(text: Text, words: Words, room: Room, limits: GopherLimits) -> int:
    """Return the number of the first rule, from 1, that finds the text; 0 where none does."""
    found = _by_words(words, room, limits)
    if found:
        return found
    hashes, ellipses = _symbols(text)
    if hashes / words.number > limits.max_symbols:
        return 5
    if ellipses / words.number > limits.max_symbols:
        return 6
    bullets, cut, lines = _lines(text)
    if lines and bullets / lines > limits.max_bullet_lines:
        return 7
    if lines and cut / lines > limits.max_ellipsis_lines:
        return 8
    return _by_kinds(words, room, limits)


@compiled
def _by_words(words: Words, room: Room, limits: GopherLimits) -> int:
    number, chars = 0, 0
    flags, lengths = room.flags, words.chars
    for i in range(words.number):
        if flags[i] & CONTENT:
            number += 1
            chars += lengths[i]
    if number < limits.min_words or number == 0:
        return 1
    if number > limits.max_words:
        return 2
    if chars / number < limits.min_word_length:
        return 3
    return 4 if chars / number > limits.max_word_length else 0


@compiled
def _by_kinds(words: Words, room: Room, limits: GopherLimits) -> int:
    alphabetic, stops, flags = 0, 0, room.flags
    for i in range(words.number):
        alphabetic += (flags[i] & ALPHABETIC) != 0
        stops |= flags[i]
    if alphabetic / words.number < limits.min_alphabetic:
        return 9
    different = 0
    stops //= FIRST_STOP_WORD
    while stops:
        different += stops & 1
        stops >>= 1
    return 10 if different < limits.min_stop_words else 0


@compiled
def _symbols(text: Text) -> tuple[int, int]:
    """Return how many hashes and ellipses a text has."""
    data = text.data
    hashes, ellipses, i = 0, 0, text.start
    while i < text.end:
        b = data[i]
        if b == 0x23:
            hashes += 1
        elif b == 0x2E and i + 2 < text.end and data[i + 1] == 0x2E and data[i + 2] == 0x2E:
            ellipses += 1
            i += 2
        elif b == 0xE2 and data[i + 1] == 0x80 and data[i + 2] == 0xA6:
            ellipses += 1
        i += 1
    return hashes, ellipses


@compiled
def _lines(text: Text) -> tuple[int, int, int]:
    """Return the lines that start with a bullet, those that end with an ellipsis, and all."""
    bullets, cut, lines, i = 0, 0, 0, text.start
    while i < text.end:
        start = i
        end, i = line_end(text.data, start, text.end)
        lines += 1
        start, end = trim(text.data, start, end)
        bullets += _is_bullet(text.data, start, end)
        cut += ends_cut(text.data, start, end)
    return bullets, cut, lines


@compiled
def _is_bullet(data: Bytes, start: int, end: int) -> bool:
    if start < end and data[start] == 0x2D:
        return True
    dot = start + 2 < end and data[start] == 0xE2 and data[start + 1] == 0x80
    return bool(dot and data[start + 2] == 0xA2)


@compiled
def ends_cut(data: Bytes, start: int, end: int) -> bool:
    """Return whether a range of bytes ends with an ellipsis, as one sign or three."""
    if end - start < 3:
        return False
    a, b, c = data[end - 3], data[end - 2], data[end - 1]
    dots = a == 0x2E and b == 0x2E and c == 0x2E
    return bool(dots or (a == 0xE2 and b == 0x80 and c == 0xA6))
