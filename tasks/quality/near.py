"""Near-duplicates among texts: an exact similarity join on sets of word or character n-grams.

Two texts are near-duplicates where the Jaccard similarity of their n-gram sets reaches the
threshold: of words for documents, and of characters for short texts, where one word out of a few
makes another message but an inflection or a slip of the keyboard does not. Texts near the border
are compared both ways. Every pair is found, so the result depends on nothing but the texts and
the order they are ranked in: not on hashing seeds, bands, batches or threads.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from configs.quality import NearDuplicates

Ints = npt.NDArray[np.int64]
Sets = tuple[npt.NDArray[np.uint64], Ints]
"""Keys of all sets one after the other, and the size of each."""
BATCH, THREADS = 20_000, 2
BORDER = 1.25
"""Texts this much longer than ``short_words`` are compared on characters too."""


def kept_of(texts: Sequence[str], kinds: Ints, settings: NearDuplicates) -> Ints:
    """Return for each text the earlier, kept one it nearly repeats; itself where it is kept.

    A text goes only if it is similar to one that stays, and no two that stay are similar.

    Args:
        texts: In normal form (:func:`tasks.text.normal.normal`), the ones to keep first.
        kinds: Texts of different kinds (labels) are never duplicates; -1 goes with any.
        settings: Threshold and n-grams.
    """
    kept = np.arange(len(texts))
    for rows, sets, _ in _views(texts, settings):
        rows_left = kept[rows] == rows
        keys, starts = _chosen(sets, rows_left)
        left = rows[rows_left]
        kept[left] = left[_join(keys, starts, kinds[left], settings.threshold, every=False)]
    while (kept[kept] != kept).any():
        kept = kept[kept]
    return kept


def together(texts: Sequence[str], settings: NearDuplicates) -> Ints:
    """Return for each text the first one of its component: near-duplicates, directly or not."""
    roots = np.arange(len(texts))
    for rows, sets, _ in _views(texts, settings):
        keys, starts = _chosen(sets, np.ones(len(rows), dtype=bool))
        kinds = np.full(len(rows), -1)
        found = rows[_join(keys, starts, kinds, settings.threshold, every=True)]
        roots = _united(roots, rows, found)
    return roots


def _united(roots: Ints, rows: Ints, found: Ints) -> Ints:
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    every = np.arange(len(roots))
    left, right = np.concatenate([every, rows]), np.concatenate([roots, found])
    graph = coo_array((np.ones(len(left), dtype=bool), (left, right)), shape=(len(roots),) * 2)
    component = connected_components(graph, directed=False)[1]
    first = np.full(component.max(initial=-1) + 1, len(roots))
    np.minimum.at(first, component, every)
    united: Ints = first[component]
    return united


def _views(texts: Sequence[str], settings: NearDuplicates) -> Iterator[tuple[Ints, Sets, bool]]:
    """Yield the rows compared on characters, then those compared on words, with their sets."""
    words = np.array([text.count(" ") + 1 for text in texts], dtype=np.int64)
    by_chars = np.flatnonzero(words < settings.short_words * BORDER)
    by_words = np.flatnonzero(words >= settings.short_words)
    for rows, n, is_word in ((by_chars, settings.chars, False), (by_words, settings.words, True)):
        if len(rows) > 1:
            yield rows, _sets([texts[int(i)] for i in rows], n, is_word), is_word


def _sets(texts: Sequence[str], n: int, by_word: bool) -> Sets:
    batches = [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]
    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(lambda batch: _batch(batch, n, by_word), batches))
    return np.concatenate([m[0] for m in made]), np.concatenate([m[1] for m in made])


def _batch(texts: Sequence[str], n: int, by_word: bool) -> Sets:
    from tasks.quality.kernels import shingles

    chars = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    ends = np.cumsum([len(text) for text in texts])
    places = np.concatenate([[0], np.cumsum([len(text) + 1 for text in texts])])
    made: Sets = shingles(chars, ends, n, by_word, places)
    return made[0].copy(), made[1]


def _chosen(sets: Sets, rows: npt.NDArray[np.bool_]) -> tuple[Any, Ints]:
    keys, sizes = sets
    if not rows.all():
        keys, sizes = keys[np.repeat(rows, sizes)], sizes[rows]
    return keys, np.concatenate([[0], np.cumsum(sizes)])


def _join(keys: Any, starts: Ints, kinds: Ints, threshold: float, *, every: bool) -> Ints:
    from tasks.quality.kernels import join, rarest_first

    bits = int(np.clip(np.ceil(np.log2(len(keys) + 1)) + 1, 10, 26))
    rarest_first(keys, starts, bits)
    joined: Ints = join(keys, starts, kinds, threshold, every)
    return joined
