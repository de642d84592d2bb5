"""Every different piece of text between spaces, divided into words once.

Texts repeat their pieces, so dividing them by regular expressions costs little once each differs.
"""

import unicodedata
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.quality.compiled import compiled
from tasks.quality.prose.scan import Bytes, hashed, space_at
from tasks.quality.prose.tokenizer import PUNCTUATION, SENTENCE_ENDS, STOP_WORDS, split_piece

CONTENT, ALPHABETIC, SENTENCE_END, PUNCTUATION_MARK = 1, 2, 4, 8
FIRST_STOP_WORD = 16
Counts = npt.NDArray[np.int64]
Hashes = npt.NDArray[np.uint64]
_BASE = 0x100000001B3
_MOST_WORDS = 300_000
_WRAP = (1 << 64) - 1


class Features(NamedTuple):
    """Pieces and their words as arrays.

    Attributes:
        first: Piece -> its first word.
        words: Piece -> its number of words.
        alnum: Piece -> characters that are letters or digits.
        address: Piece -> its characters where it is a web address, else 0.
        hashes: Word -> polynomial hash of its bytes.
        powers: Word -> the hash's base to the power of the word's bytes.
        chars: Word -> its characters.
        flags: Word -> what it is (``CONTENT`` and so on; stop words from ``FIRST_STOP_WORD``).
    """

    first: Counts
    words: Counts
    alnum: Counts
    address: Counts
    hashes: Hashes
    powers: Hashes
    chars: Counts
    flags: Counts


class PieceTable(NamedTuple):
    """Where pieces are found: hashes by slot, 0 where a slot is free, and the pieces' numbers."""

    hashes: Hashes
    numbers: Counts


class Numbered(NamedTuple):
    """Texts as the numbers of their pieces, and where each text's begin (n + 1)."""

    pieces: Counts
    begins: Counts


class Vocabulary:
    """Pieces by hash, growing as texts are read."""

    def __init__(self, stop_words: tuple[str, ...] = STOP_WORDS) -> None:
        self._stops = {word: FIRST_STOP_WORD << i for i, word in enumerate(stop_words)}
        self._words: dict[str, tuple[int, int, int, int]] = {}
        self._pieces: list[tuple[int, int, int, int]] = []
        self._parts: list[tuple[int, int, int, int]] = []
        self._features = _build_features([], [])
        self.table = PieceTable(np.zeros(1 << 16, np.uint64), np.zeros(1 << 16, np.int64))

    def __len__(self) -> int:
        return len(self._features.first) + len(self._pieces)

    def read(self, data: Bytes, offsets: Counts) -> Numbered:
        """Return every piece's number in order, and where each text's pieces begin (n + 1)."""
        pieces = np.zeros((int(offsets[-1] - offsets[0]) + len(offsets)) // 2 + 1, np.int64)
        found = Numbered(pieces, np.zeros(len(offsets), np.int64))
        row, content = 0, data.tobytes()
        while row < len(offsets) - 1:
            row, new = collect(data, offsets, self.table, found, row, len(self))
            for start, end in new.tolist():
                self._add(str(content[start:end], "utf-8"))
            if row < len(offsets) - 1:
                self.table = grow_table(self.table)
        return Numbered(pieces[: found.begins[-1]], found.begins)

    def features(self) -> Features:
        """Return what is known of all pieces so far."""
        if self._pieces:
            new = _build_features(self._pieces, self._parts)
            joined = map(np.concatenate, zip(self._features, new, strict=True))
            self._features = Features._make(joined)
            self._pieces, self._parts = [], []
        return self._features

    def _add(self, text: str) -> None:
        words = split_piece(text)
        alnum = len(text) if text.isalnum() else sum(map(str.isalnum, text))
        first = len(self._features.hashes) + len(self._parts)
        address = len(text) if text.startswith(("http://", "https://", "www.")) else 0
        self._pieces.append((first, len(words), alnum, address))
        self._parts += [self._describe_word(word) for word in words]

    def _describe_word(self, word: str) -> tuple[int, int, int, int]:
        if len(self._words) > _MOST_WORDS:
            self._words.clear()
        if word not in self._words:
            value, power = _hash_polynomial(word.encode())
            self._words[word] = (value, power, len(word), self._flags(word))
        return self._words[word]

    def _flags(self, word: str) -> int:
        flags = self._stops.get(word, 0)
        if word.isalpha():
            return flags | CONTENT | ALPHABETIC
        flags |= CONTENT if not PUNCTUATION.issuperset(word) else 0
        flags |= ALPHABETIC if any(map(str.isalpha, word)) else 0
        flags |= SENTENCE_END if word in SENTENCE_ENDS else 0
        marks = all(unicodedata.category(c).startswith("P") for c in word)
        return flags | (PUNCTUATION_MARK if marks else 0)


def _build_features(
    pieces: list[tuple[int, int, int, int]], parts: list[tuple[int, int, int, int]]
) -> Features:
    # Transposed into whole rows: compiled functions take arrays that lie in one piece.
    first, words, alnum, address = np.array(pieces, np.int64).reshape(-1, 4).T.copy()
    hashes, powers = np.array([part[:2] for part in parts], np.uint64).reshape(-1, 2).T.copy()
    chars, flags = np.array([part[2:] for part in parts], np.int64).reshape(-1, 2).T.copy()
    return Features(first, words, alnum, address, hashes, powers, chars, flags)


def _hash_polynomial(text: bytes) -> tuple[int, int]:
    value = 0
    for byte in text:
        value = (value * _BASE + byte + 1) & _WRAP
    return value, pow(_BASE, len(text), 1 << 64)


@compiled
def grow_table(table: PieceTable) -> PieceTable:
    """Return the same entries in a table four times as large."""
    keys, ids = table.hashes, table.numbers
    wide, values = np.zeros(4 * len(keys), np.uint64), np.zeros(4 * len(keys), np.int64)
    mask = len(wide) - 1
    for i in range(len(keys)):
        if keys[i] != 0:
            slot = np.int64(keys[i]) & mask
            while wide[slot] != 0:
                slot = (slot + 1) & mask
            wide[slot], values[slot] = keys[i], ids[i]
    return PieceTable(wide, values)


@compiled
def find_piece(data: Bytes, start: int, end: int, table: PieceTable) -> int:
    """Return the number of a piece that is known, -1 where it isn't."""
    keys, ids = table.hashes, table.numbers
    key = hashed(data, start, end)
    mask = len(keys) - 1
    slot = np.int64(key) & mask
    while keys[slot] != 0:
        if keys[slot] == key:
            return int(ids[slot])
        slot = (slot + 1) & mask
    return -1


@compiled
def collect(
    data: Bytes,
    offsets: Counts,
    table: PieceTable,
    out: Numbered,
    row: int,
    known: int,
) -> tuple[int, Counts]:
    """Number the pieces of texts, as far as the table's room goes.

    Args:
        data: UTF-8 bytes of all texts.
        offsets: Where each begins in ``data`` (n + 1).
        table: The pieces that are known.
        out: Gets every piece's number, and where each text's pieces begin.
        row: The text to go on with.
        known: How many pieces are known.

    Returns:
        The next text, and where the new pieces lie (k, 2); they are numbered in that order.
    """
    keys, ids = table.hashes, table.numbers
    pieces, begins = out.pieces, out.begins
    room = max(len(keys) // 2 - known, 0)
    new = np.zeros((room, 2), np.int64)
    made, place = 0, begins[row]
    # No text is begun that could fill the table on its own.
    while row < len(offsets) - 1 and made + (offsets[row + 1] - offsets[row] + 1) // 2 <= room:
        i, end = offsets[row], offsets[row + 1]
        while i < end:
            width = space_at(data, i, end)
            if width:
                i += width
                continue
            start = i
            while i < end and (32 < data[i] < 128 or space_at(data, i, end) == 0):
                i += 1
            key = hashed(data, start, i)
            slot = np.int64(key) & (len(keys) - 1)
            while keys[slot] != 0 and keys[slot] != key:
                slot = (slot + 1) & (len(keys) - 1)
            if keys[slot] == 0:
                keys[slot], ids[slot] = key, known + made
                new[made, 0], new[made, 1] = start, i
                made += 1
            pieces[place] = ids[slot]
            place += 1
        row += 1
        begins[row] = place
    return row, new[:made]
