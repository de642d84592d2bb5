"""Near-duplicates among texts: an exact similarity join on sets of word or character n-grams.

Two texts are near-duplicates where the Jaccard similarity of their n-gram sets reaches the
threshold: of words for documents, and of characters for short texts, where one word out of a few
makes another message but an inflection or a slip of the keyboard does not. Texts near the border
are compared both ways. Every pair is found, so the result depends on nothing but the texts and
the order they are ranked in: not on hashing seeds, bands, batches or threads.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from configs.quality import NearDuplicates

Ints = npt.NDArray[np.int64]
BATCH, THREADS = 20_000, 2
BORDER = 1.25
"""Texts this much longer than ``short_words`` are compared on characters too."""


class _View(NamedTuple):
    """Some of the texts as sets of n-grams.

    Attributes:
        rows: Which texts.
        keys: Elements of their sets, one set after the other.
        sizes: How many each set has.
    """

    rows: Ints
    keys: npt.NDArray[np.uint64]
    sizes: Ints


def find_kept(texts: Sequence[str], kinds: Ints, settings: NearDuplicates) -> Ints:
    """Return for each text the earlier, kept one it nearly repeats; itself where it is kept.

    A text goes only if it is similar to one that stays, and no two that stay are similar.

    Args:
        texts: In normal form (:func:`tasks.text.normal.normal`), the ones to keep first.
        kinds: Texts of different kinds (labels) are never duplicates; -1 goes with any.
        settings: Threshold and n-grams.
    """
    kept = np.arange(len(texts))
    for view in _build_views(texts, settings):
        left = kept[view.rows] == view.rows
        rows = view.rows[left]
        kept[rows] = rows[_join(view, left, kinds[rows], settings.threshold, every=False)]
    while (kept[kept] != kept).any():
        kept = kept[kept]
    return kept


def group_similar(texts: Sequence[str], settings: NearDuplicates) -> Ints:
    """Return for each text the first one of its component: near-duplicates, directly or not."""
    roots = np.arange(len(texts))
    for view in _build_views(texts, settings):
        every, kinds = np.ones(len(view.rows), dtype=bool), np.full(len(view.rows), -1)
        found = view.rows[_join(view, every, kinds, settings.threshold, every=True)]
        roots = _unite(roots, view.rows, found)
    return roots


def _unite(roots: Ints, rows: Ints, found: Ints) -> Ints:
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


def _build_views(texts: Sequence[str], settings: NearDuplicates) -> Iterator[_View]:
    """Yield the texts compared on characters, then those compared on words."""
    words = np.array([text.count(" ") + 1 for text in texts], dtype=np.int64)
    by_chars = np.flatnonzero(words < settings.short_words * BORDER)
    by_words = np.flatnonzero(words >= settings.short_words)
    for rows, n, is_word in ((by_chars, settings.chars, False), (by_words, settings.words, True)):
        if len(rows) > 1:
            yield _build_view(rows, [texts[int(i)] for i in rows], n, is_word)


def _build_view(rows: Ints, texts: Sequence[str], n: int, by_word: bool) -> _View:
    from tasks.quality.jaccard import make_shingles

    def shingle(batch: Sequence[str]) -> tuple[npt.NDArray[np.uint64], Ints]:
        chars = np.frombuffer("".join(batch).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
        ends = np.cumsum([len(text) for text in batch])
        places = np.concatenate([[0], np.cumsum([len(text) + 1 for text in batch])])
        keys, sizes = make_shingles(chars, ends, n, by_word, places)
        return keys.copy(), sizes

    with ThreadPoolExecutor(THREADS) as pool:
        made = list(pool.map(shingle, [texts[i : i + BATCH] for i in range(0, len(texts), BATCH)]))
    return _View(rows, np.concatenate([m[0] for m in made]), np.concatenate([m[1] for m in made]))


def _join(
    view: _View, chosen: npt.NDArray[np.bool_], kinds: Ints, threshold: float, *, every: bool
) -> Ints:
    """Return for each chosen text of a view the one that it is similar to, as places among them."""
    from tasks.quality.jaccard import Sets, join_similar, sort_rarest_first

    # Sorted in place: a view is joined once.
    keys = view.keys if chosen.all() else view.keys[np.repeat(chosen, view.sizes)]
    starts = np.concatenate([[0], np.cumsum(view.sizes[chosen])])
    bits = int(np.clip(np.ceil(np.log2(len(keys) + 1)) + 1, 10, 26))
    sort_rarest_first(keys, starts, bits)
    return join_similar(Sets(keys, starts, kinds, threshold), every)
