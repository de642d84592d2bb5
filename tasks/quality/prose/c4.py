"""C4's rules (Raffel et al. 2020, section 2.2): which lines are kept, and what is left then.

Only whether a document is dropped is decided here; the text stays as it is.
"""

from typing import NamedTuple

import numpy as np

from tasks.quality.compiled import compiled
from tasks.quality.prose.document import Room, Text
from tasks.quality.prose.gopher import ends_cut
from tasks.quality.prose.scan import Bytes, characters, line_end, same, space_at, trim
from tasks.quality.prose.vocabulary import (
    PUNCTUATION_MARK,
    SENTENCE_END,
    Counts,
    Features,
    PieceTable,
    find_piece,
)

_PHRASES = (
    "lorem ipsum",
    "javascript",
    "terms of use",
    "privacy policy",
    "cookie policy",
    "uses cookies",
    "use of cookies",
    "use cookies",
)
CITATION = r"\[[0-9]*\]|\[edit\]|\[citation needed\]"
_EDIT = np.frombuffer(b"edit]", np.uint8)
_NEEDED = np.frombuffer(b"citation needed]", np.uint8)
_LOREM, _SCRIPT, *_POLICIES = (np.frombuffer(p.encode(), np.uint8) for p in _PHRASES)
_TERMS, _PRIVACY, _COOKIE, _USES, _USE_OF, _USE = _POLICIES
_L, _J, _P, _T, _C, _U = (ord(letter) for letter in "ljptcu")


class C4Limits(NamedTuple):
    """Thresholds and switches as numbers."""

    min_sentences: int
    min_line_words: int
    max_word_chars: int
    terminal_mark: bool
    remove_citations: bool
    lorem_ipsum: bool
    javascript: bool
    curly_bracket: bool
    policy: bool


class Known(NamedTuple):
    """What is known of pieces: where to find them, and their words."""

    table: PieceTable
    words: Features


@compiled
def c4(text: Text, known: Known, room: Room, limits: C4Limits) -> int:
    """Return the number of the rule, from 1, that finds the text; 0 where none does."""
    sentences, piece, i = 0, 0, text.start
    while i < text.end:
        start = i
        end, i = line_end(text.data, start, text.end)
        start, end = trim(text.data, start, end)
        pieces, longest = _pieces(text.data, start, end)
        own = text.pieces[piece : piece + pieces]
        piece += pieces
        if longest > limits.max_word_chars or (pieces < limits.min_line_words and pieces == 0):
            continue
        data = text.data
        if limits.remove_citations and _cites(data, start, end):
            start, end = 0, _without_citations(data, start, end, room.line)
            data, own = room.line, own[:0]
        if limits.terminal_mark and not _is_whole(data, start, end):
            continue
        if pieces < limits.min_line_words:
            continue
        found = _content(data, start, end, limits)
        if found == 1 or found == 2:
            return found
        if found == 0:
            sentences += _sentences(data, start, end, own, known)
    return 3 if sentences < limits.min_sentences else 0


@compiled
def _pieces(data: Bytes, start: int, end: int) -> tuple[int, int]:
    """Return how many pieces stand between spaces, and the longest one's characters."""
    number, longest, i = 0, 0, start
    while i < end:
        width = space_at(data, i, end)
        if width:
            i += width
            continue
        first = i
        while i < end and (32 < data[i] < 128 or space_at(data, i, end) == 0):
            i += 1
        number += 1
        if i - first > longest:
            longest = max(longest, characters(data, first, i))
    return number, longest


@compiled
def _citation(data: Bytes, i: int, end: int) -> int:
    """Return the width of the citation that starts at ``i``, 0 where there is none."""
    if data[i] != 0x5B:
        return 0
    k = i + 1
    while k < end and 48 <= data[k] <= 57:
        k += 1
    if k < end and data[k] == 0x5D:
        return k + 1 - i
    if _exactly(data, i + 1, end, _EDIT):
        return 1 + len(_EDIT)
    return 1 + len(_NEEDED) if _exactly(data, i + 1, end, _NEEDED) else 0


@compiled
def _exactly(data: Bytes, i: int, end: int, wanted: Bytes) -> bool:
    if end - i < len(wanted):
        return False
    k = 0
    while k < len(wanted) and data[i + k] == wanted[k]:
        k += 1
    return k == len(wanted)


@compiled
def _cites(data: Bytes, start: int, end: int) -> bool:
    i = start
    while i < end and (data[i] != 0x5B or not _citation(data, i, end)):
        i += 1
    return i < end


@compiled
def _without_citations(data: Bytes, start: int, end: int, out: Bytes) -> int:
    """Write a range without its citations to ``out`` and return its length."""
    size, i = 0, start
    while i < end:
        width = _citation(data, i, end) if data[i] == 0x5B else 0
        if width:
            i += width
        else:
            out[size] = data[i]
            size += 1
            i += 1
    return size


@compiled
def _is_whole(data: Bytes, start: int, end: int) -> bool:
    """Return whether a line ends like a sentence: . ? ! or a quote, but no ellipsis."""
    if start >= end:
        return False
    last = data[end - 1]
    mark = last == 0x2E or last == 0x3F or last == 0x21 or last == 0x22 or last == 0x27
    return mark and not ends_cut(data, start, end)


@compiled
def _content(data: Bytes, start: int, end: int, limits: C4Limits) -> int:
    """Return 1 for filler, 2 for a curly bracket, 3 for a line that isn't kept, 0 otherwise."""
    lorem, script, policy, bracket = False, False, False, False
    for i in range(start, end):
        b = data[i] | 0x20
        if b == _L:
            lorem |= same(data, i, end, _LOREM)
        elif b == _J:
            script |= same(data, i, end, _SCRIPT)
        elif b in (_P, _T, _C, _U):
            policy |= _is_policy(data, i, end, b)
        elif data[i] == 0x7B:
            bracket = True
    if lorem and limits.lorem_ipsum:
        return 1
    if script and limits.javascript:
        return 3
    if bracket and limits.curly_bracket:
        return 2
    return 3 if policy and limits.policy else 0


@compiled
def _is_policy(data: Bytes, i: int, end: int, letter: int) -> bool:
    if letter == _P:
        return same(data, i, end, _PRIVACY)
    if letter == _T:
        return same(data, i, end, _TERMS)
    if letter == _C:
        return same(data, i, end, _COOKIE)
    return same(data, i, end, _USES) or same(data, i, end, _USE_OF) or same(data, i, end, _USE)


@compiled
def _sentences(data: Bytes, start: int, end: int, own: Counts, known: Known) -> int:
    """Return the sentences of a line: one begins at a word after a mark that ends one.

    Marks that follow belong to the sentence before; white space other than one space is a word
    of its own, as the reference's tokenizer has it.
    """
    sentences, ended, number, i = 1, False, 0, start
    # Taken out of the loop: reading an array from a tuple counts a reference, which both threads
    # would do for the same arrays.
    flags, firsts, counts = known.words.flags, known.words.first, known.words.words
    while i < end:
        first = i
        while i < end and space_at(data, i, end):
            i += space_at(data, i, end)
        if ended and (i - first > 1 or (i > first and data[first] != 32)):
            sentences, ended = sentences + 1, False
        first = i
        while i < end and (32 < data[i] < 128 or space_at(data, i, end) == 0):
            i += 1
        if i == first:
            break
        piece = own[number] if len(own) else find_piece(data, first, i, known.table)
        number += 1
        begin = firsts[piece]
        for k in range(begin, begin + counts[piece]):
            ends = (flags[k] & SENTENCE_END) != 0
            if ended and not ends and not flags[k] & PUNCTUATION_MARK:
                sentences, ended = sentences + 1, False
            elif ends:
                ended = True
    return sentences
