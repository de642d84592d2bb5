"""The compiled inner loops of near-duplicate search. Imported only where it is used.

A set is a sorted run of 64-bit keys of which the upper 20 bits count how often the shingle occurs
and the others are its hash, so that the rarest come first. Two sets with a Jaccard similarity of
at least t share one of the first ``|x| - ceil(t |x|) + 1`` elements of each (Chaudhuri, Ganti and
Kaushik 2006; Bayardo, Ma and Srikant 2007), so that only sets that do are compared, and none that
is similar is missed.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.quality.compiled import compiled

_EPSILON = 1e-9
_COUNT_SHIFT = np.uint64(44)
_COUNT_MAX = np.uint32((1 << 20) - 1)
_BASE = np.uint64(0x9E3779B97F4A7C15)
_M1, _M2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S1, _S2, _S3 = np.uint64(30), np.uint64(27), np.uint64(31)
Keys = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
Places = npt.NDArray[np.int32]


class Sets(NamedTuple):
    """Sets one after the other.

    Attributes:
        keys: Elements, sorted within each set.
        starts: Where each set begins, and the end.
        kinds: Sets of two different kinds are never similar; -1 is similar to any.
        threshold: Jaccard similarity.
    """

    keys: Keys
    starts: Ints
    kinds: Ints
    threshold: float


class _Index(NamedTuple):
    """Which sets have an element among their first ones, as lists that grow at the head.

    Attributes:
        table: Element by slot, 0 where there is none.
        head: Slot -> the newest entry of its list, -1 for none.
        owner: Entry -> its set.
        following: Entry -> the one before it, -1 for none.
        seen: Set -> the set that it was compared with last.
        parent: Set -> a set that it is similar to.
    """

    table: Keys
    head: Places
    owner: Places
    following: Places
    seen: Places
    parent: Ints


@compiled
def _mix(x: np.uint64) -> np.uint64:
    x = (x ^ (x >> _S1)) * _M1
    x = (x ^ (x >> _S2)) * _M2
    return x ^ (x >> _S3)


@compiled
def _hash_words(chars: npt.NDArray[np.uint32], start: int, end: int, out: Keys) -> int:
    count, word = 0, np.uint64(0)
    for i in range(start, end):
        if chars[i] == 32:
            out[count] = _mix(word)
            count, word = count + 1, np.uint64(0)
        else:
            word = word * _BASE + np.uint64(chars[i]) + np.uint64(1)
    out[count] = _mix(word)
    return count + 1


@compiled
def make_shingles(
    chars: npt.NDArray[np.uint32], ends: Ints, n: int, by_word: bool, places: Ints
) -> tuple[Keys, Ints]:
    """Return the sets of texts one after the other, each sorted, and their sizes.

    Args:
        chars: Code points of all texts.
        ends: Where each text ends.
        n: Units of a shingle.
        by_word: Whether a unit is a word, instead of a character.
        places: Where each set has room, one more than there are texts.
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


@compiled
def sort_rarest_first(keys: Keys, starts: Ints, bits: int) -> None:
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


@compiled
def _is_similar(keys: Keys, a: int, a_end: int, b: int, b_end: int, threshold: float) -> bool:
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


@compiled
def _find_slot(table: Keys, key: np.uint64) -> np.uint64:
    mask = np.uint64(len(table) - 1)
    slot = _mix(key) & mask
    while table[slot] != 0 and table[slot] != key:
        slot = (slot + np.uint64(1)) & mask
    return slot


@compiled
def _prefix_end(sets: Sets, s: int) -> int:
    """Return the end of the elements of a set one of which every similar set shares."""
    size = sets.starts[s + 1] - sets.starts[s]
    if size == 0:
        return int(sets.starts[s])
    return int(sets.starts[s] + size - int(np.ceil(sets.threshold * size - _EPSILON)) + 1)


@compiled
def _count_shared(sets: Sets) -> int:
    """Return how many elements of prefixes occur more than once."""
    room = 0
    for s in range(len(sets.starts) - 1):
        for i in range(sets.starts[s], _prefix_end(sets, s)):
            room += (sets.keys[i] >> _COUNT_SHIFT) > 1
    return room


@compiled
def _find_root(parent: Ints, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@compiled
def _may_be_similar(sets: Sets, s: int, c: int) -> bool:
    """Return whether kinds and sizes allow two sets to be similar."""
    kinds, starts = sets.kinds, sets.starts
    if kinds[c] >= 0 and kinds[s] >= 0 and kinds[c] != kinds[s]:
        return False
    size, other = starts[s + 1] - starts[s], starts[c + 1] - starts[c]
    return bool(min(size, other) >= sets.threshold * max(size, other) - _EPSILON)


@compiled
def _join_earlier(sets: Sets, index: _Index, s: int, every: bool) -> None:
    """Join a set to those before it that it is similar to: to all, or to the first found."""
    # Taken out of the loop: reading an array from a tuple counts a reference.
    keys, starts, threshold = sets.keys, sets.starts, sets.threshold
    table, head, owner, following = index.table, index.head, index.owner, index.following
    seen, parent = index.seen, index.parent
    for i in range(starts[s], _prefix_end(sets, s)):
        e = -1
        if (keys[i] >> _COUNT_SHIFT) > 1:
            e = head[_find_slot(table, keys[i])]
        while e >= 0:
            c = owner[e]
            e = following[e]
            known = seen[c] == s or (every and _find_root(parent, c) == _find_root(parent, s))
            seen[c] = s
            if known or not _may_be_similar(sets, s, c):
                continue
            if _is_similar(keys, starts[s], starts[s + 1], starts[c], starts[c + 1], threshold):
                parent[_find_root(parent, s)] = _find_root(parent, c)
                if not every:
                    return


@compiled
def join_similar(sets: Sets, every: bool) -> Ints:
    """Return for each set, in order, the one it is similar to.

    Args:
        sets: Sets, the rarest elements of each first (:func:`sort_rarest_first`).
        every: Join all similar sets: each gets the root of its component. Else each set is
            compared with the earlier ones that are similar to none themselves, and gets the one
            it is similar to, or itself.
    """
    room, number = _count_shared(sets), len(sets.starts) - 1
    slots = 16
    while slots < 2 * room:
        slots *= 2
    index = _Index(
        np.zeros(slots, dtype=np.uint64),
        np.full(slots, -1, dtype=np.int32),
        np.empty(room, dtype=np.int32),
        np.empty(room, dtype=np.int32),
        np.full(number, -1, dtype=np.int32),
        np.arange(number),
    )
    keys, parent, posted = sets.keys, index.parent, 0
    for s in range(number):
        _join_earlier(sets, index, s, every)
        for i in range(sets.starts[s], _prefix_end(sets, s)):
            if (every or parent[s] == s) and (keys[i] >> _COUNT_SHIFT) > 1:
                slot = _find_slot(index.table, keys[i])
                index.table[slot] = keys[i]
                index.owner[posted], index.following[posted] = s, index.head[slot]
                index.head[slot] = posted
                posted += 1
    for s in range(number):
        parent[s] = _find_root(parent, s)
    return parent
