"""The compiled inner loops of near-duplicate search. Imported only where it is used.

A set is a sorted run of 64-bit keys of which the upper 20 bits count how often the shingle occurs
and the others are its hash, so that the rarest come first. Two sets with a Jaccard similarity of
at least t share one of the first ``|x| - ceil(t |x|) + 1`` elements of each (Chaudhuri, Ganti and
Kaushik 2006; Bayardo, Ma and Srikant 2007), so that only sets that do are compared, and none that
is similar is missed.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import njit

_EPSILON = 1e-9
_COUNT_SHIFT = np.uint64(44)
_COUNT_MAX = np.uint32((1 << 20) - 1)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S1, _S2, _S3 = np.uint64(30), np.uint64(27), np.uint64(31)
Ints = npt.NDArray[Any]


def _compiled(function: Any) -> Any:
    return njit(cache=True, nogil=True)(function)


def _mixed(x: Any) -> Any:
    x = (x ^ (x >> _S1)) * _M1
    x = (x ^ (x >> _S2)) * _M2
    return x ^ (x >> _S3)


_mix = _compiled(_mixed)


def _word_hashes(chars: Ints, start: int, end: int, out: Ints) -> Any:
    count, word = 0, np.uint64(0)
    for i in range(start, end):
        if chars[i] == 32:
            out[count] = _mix(word)
            count, word = count + 1, np.uint64(0)
        else:
            word = word * _BASE + np.uint64(chars[i]) + np.uint64(1)
    out[count] = _mix(word)
    return count + 1


_hash_words = _compiled(_word_hashes)


def _shingles(chars: Ints, ends: Ints, n: int, by_word: bool, places: Ints) -> Any:
    """Return the sets of texts one after the other, each sorted, and their sizes.

    ``chars`` are the code points of all texts, ``ends`` where each ends, ``places`` where each
    set has room: one more than there are texts.
    """
    out = np.empty(places[-1], dtype=np.uint64)
    sizes = np.zeros(len(ends), dtype=np.int64)
    filled, start = 0, 0
    for t in range(len(ends)):
        end = ends[t]
        units = np.empty(end - start + 1, dtype=np.uint64)
        if by_word:
            count = _hash_words(chars, start, end, units)
        else:
            count = end - start
            for i in range(count):
                units[i] = _mix(np.uint64(chars[start + i]) + np.uint64(1))
        start = end
        if count == 0:
            continue
        own = np.empty(max(count - n + 1, 1), dtype=np.uint64)
        for i in range(len(own)):
            hashed = np.uint64(0)
            for j in range(i, min(i + n, count)):
                hashed = hashed * _BASE + units[j]
            own[i] = _mix(hashed)
        own.sort()
        first = filled
        for i in range(len(own)):
            if i == 0 or own[i] != own[i - 1]:
                out[filled] = own[i]
                filled += 1
        sizes[t] = filled - first
    return out[:filled], sizes


def _rarest_first(keys: Ints, starts: Ints, bits: int) -> None:
    """Put how often each shingle occurs in front of its hash, and sort each set again."""
    counts = np.zeros(1 << bits, dtype=np.uint32)
    shift = np.uint64(64 - bits)
    for i in range(len(keys)):
        counts[keys[i] >> shift] += np.uint32(1)
    for i in range(len(keys)):
        count = np.uint64(min(counts[keys[i] >> shift], _COUNT_MAX))
        keys[i] = (count << _COUNT_SHIFT) | (keys[i] >> np.uint64(20))
    for s in range(len(starts) - 1):
        keys[starts[s] : starts[s + 1]].sort()


def _similar(keys: Ints, a: int, a_end: int, b: int, b_end: int, threshold: float) -> Any:
    total = (a_end - a) + (b_end - b)
    need = int(np.ceil(threshold / (1 + threshold) * total - _EPSILON))
    shared = 0
    while a < a_end and b < b_end:
        if shared + min(a_end - a, b_end - b) < need:
            return False
        if keys[a] == keys[b]:
            shared, a, b = shared + 1, a + 1, b + 1
        elif keys[a] < keys[b]:
            a += 1
        else:
            b += 1
    return shared >= need


_alike = _compiled(_similar)


def _slot_of(table: Ints, key: Any) -> Any:
    mask = np.uint64(len(table) - 1)
    slot = _mix(key) & mask
    while table[slot] != 0 and table[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


_slot = _compiled(_slot_of)


def _prefix(size: int, threshold: float) -> Any:
    return size - int(np.ceil(threshold * size - _EPSILON)) + 1


_prefix_of = _compiled(_prefix)


def _room(keys: Ints, starts: Ints, threshold: float) -> Any:
    """Return how many elements of prefixes occur more than once."""
    room = 0
    for s in range(len(starts) - 1):
        size = starts[s + 1] - starts[s]
        for i in range(starts[s], starts[s] + (_prefix_of(size, threshold) if size else 0)):
            room += (keys[i] >> _COUNT_SHIFT) > 1
    return room


_room_of = _compiled(_room)


def _root(parent: Ints, i: int) -> Any:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


_root_of = _compiled(_root)


def _may_be_alike(starts: Ints, kinds: Ints, s: int, c: int, threshold: float) -> Any:
    """Return whether kinds and sizes allow two sets to be similar."""
    if kinds[c] >= 0 and kinds[s] >= 0 and kinds[c] != kinds[s]:
        return False
    size, other = starts[s + 1] - starts[s], starts[c + 1] - starts[c]
    return min(size, other) >= threshold * max(size, other) - _EPSILON


_comparable = _compiled(_may_be_alike)


def _search(
    keys: Ints,
    starts: Ints,
    kinds: Ints,
    threshold: float,
    every: bool,
    s: int,
    last: int,
    table: Ints,
    head: Ints,
    of_set: Ints,
    following: Ints,
    seen: Ints,
    parent: Ints,
) -> None:
    """Join a set to those before it that it is similar to: to all, or to the first found."""
    for i in range(starts[s], last):
        e = -1
        if (keys[i] >> _COUNT_SHIFT) > 1:
            e = head[_slot(table, keys[i])]
        while e >= 0:
            c = of_set[e]
            e = following[e]
            known = seen[c] == s or (every and _root_of(parent, c) == _root_of(parent, s))
            seen[c] = s
            if known or not _comparable(starts, kinds, s, c, threshold):
                continue
            if _alike(keys, starts[s], starts[s + 1], starts[c], starts[c + 1], threshold):
                parent[_root_of(parent, s)] = _root_of(parent, c)
                if not every:
                    return


_searched = _compiled(_search)


def _join(keys: Ints, starts: Ints, kinds: Ints, threshold: float, every: bool) -> Any:
    """Return for each set, in order, the one it is similar to.

    Args:
        keys: Sets one after the other.
        starts: Where each begins, and the end.
        kinds: Sets of two different kinds are never similar; -1 is similar to any.
        threshold: Jaccard similarity.
        every: Join all similar sets: each gets the root of its component. Else each set is
            compared with the earlier ones that are similar to none themselves, and gets the one
            it is similar to, or itself.
    """
    room, sets = _room_of(keys, starts, threshold), len(starts) - 1
    slots = 16
    while slots < 2 * room:
        slots *= 2
    table, head = np.zeros(slots, dtype=np.uint64), np.full(slots, -1, dtype=np.int32)
    of_set, following = np.empty(room, dtype=np.int32), np.empty(room, dtype=np.int32)
    seen, parent, posted = np.full(sets, -1, dtype=np.int32), np.arange(sets), 0
    for s in range(sets):
        size = starts[s + 1] - starts[s]
        last = starts[s] + (_prefix_of(size, threshold) if size else 0)
        _searched(
            keys,
            starts,
            kinds,
            threshold,
            every,
            s,
            last,
            table,
            head,
            of_set,
            following,
            seen,
            parent,
        )
        for i in range(starts[s], last):
            if (every or parent[s] == s) and (keys[i] >> _COUNT_SHIFT) > 1:
                slot = _slot(table, keys[i])
                table[slot] = keys[i]
                of_set[posted], following[posted] = s, head[slot]
                head[slot] = posted
                posted += 1
    for s in range(sets):
        parent[s] = _root_of(parent, s)
    return parent


shingles = _compiled(_shingles)
rarest_first = _compiled(_rarest_first)
join = _compiled(_join)
