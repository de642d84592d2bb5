"""Reading UTF-8 bytes as Python reads strings: white space, line ends, characters, hashes.

Texts are bytes of an Arrow array, so nothing is decoded or copied. Hashes have 64 bits: two
different texts of one document are taken as equal with a chance of about 1 in 10^19.
"""

import numpy as np
import numpy.typing as npt

from tasks.quality.compiled import compiled

Bytes = npt.NDArray[np.uint8]

_PRIME = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)
_HALF = np.uint64(32)
_ONE = np.uint64(1)


@compiled
def space_at(data: Bytes, i: int, end: int) -> int:
    """Return the width in bytes of the white space that starts at ``i``, 0 where there is none."""
    b = data[i]
    if b < 0x80:
        return 1 if b == 32 or 9 <= b <= 13 or 28 <= b <= 31 else 0
    if b == 0xC2:
        return 2 if i + 1 < end and (data[i + 1] == 0x85 or data[i + 1] == 0xA0) else 0
    if i + 2 >= end or b < 0xE1 or b > 0xE3:
        return 0
    c, d = data[i + 1], data[i + 2]
    if b == 0xE1:
        return 3 if c == 0x9A and d == 0x80 else 0
    if b == 0xE3:
        return 3 if c == 0x80 and d == 0x80 else 0
    wide = c == 0x80 and (d <= 0x8A or d == 0xA8 or d == 0xA9 or d == 0xAF)
    return 3 if wide or (c == 0x81 and d == 0x9F) else 0


@compiled
def trim(data: Bytes, start: int, end: int) -> tuple[int, int]:
    """Return start and end without the white space at both ends (Python's ``str.strip``)."""
    while start < end:
        width = space_at(data, start, end)
        if width == 0:
            break
        start += width
    while start < end:
        if space_at(data, end - 1, end) == 1:
            end -= 1
        elif end - start >= 2 and space_at(data, end - 2, end) == 2:
            end -= 2
        elif end - start >= 3 and space_at(data, end - 3, end) == 3:
            end -= 3
        else:
            break
    return start, end


@compiled
def break_at(data: Bytes, i: int, end: int) -> int:
    """Return the width of the line end at ``i`` (Python's ``str.splitlines``), 0 where none is."""
    b = data[i]
    if b < 0x80:
        if b == 13:
            return 2 if i + 1 < end and data[i + 1] == 10 else 1
        return 1 if 10 <= b <= 12 or 28 <= b <= 30 else 0
    if b == 0xC2:
        return 2 if i + 1 < end and data[i + 1] == 0x85 else 0
    if b == 0xE2 and i + 2 < end and data[i + 1] == 0x80:
        return 3 if data[i + 2] == 0xA8 or data[i + 2] == 0xA9 else 0
    return 0


@compiled
def line_end(data: Bytes, i: int, end: int) -> tuple[int, int]:
    """Return where the line that holds ``i`` ends, and where the next one starts."""
    while i < end:
        # Most bytes are letters and spaces, which need no closer look.
        width = 0 if 31 < data[i] < 128 else break_at(data, i, end)
        if width:
            return i, i + width
        i += 1
    return end, end


@compiled
def characters(data: Bytes, start: int, end: int) -> int:
    """Return the number of characters of a range of bytes."""
    count = 0
    for i in range(start, end):
        count += (data[i] & 0xC0) != 0x80
    return count


@compiled
def mix_bits(value: np.uint64) -> np.uint64:
    """Return a hash of a hash whose every bit depends on every bit."""
    value = (value ^ (value >> _HALF)) * _MIX
    value = (value ^ (value >> _HALF)) * _PRIME
    return value ^ (value >> _HALF)


@compiled
def hashed(data: Bytes, start: int, end: int) -> np.uint64:
    """Return a hash of a range of bytes, never 0."""
    value = _PRIME
    for i in range(start, end):
        value = (value ^ np.uint64(data[i])) * _MIX
        value ^= value >> _HALF
    return mix_bits(value) | _ONE


@compiled
def same(data: Bytes, i: int, end: int, wanted: Bytes) -> bool:
    """Return whether the bytes at ``i`` are those wanted, capitals of ASCII read as small."""
    if end - i < len(wanted):
        return False
    for k in range(len(wanted)):
        b = data[i + k]
        if 65 <= b <= 90:
            b += 32
        if b != wanted[k]:
            return False
    return True
