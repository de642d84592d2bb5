"""Overlap of training rows with test items: word windows when long, the whole when short.

What counts as an item occurring in a row, by the item's number of words (of
:func:`tasks.text.normal.words`, so that case, spacing and punctuation don't matter; an operator
counts as a word):

- 13 or more: any 13 words in a row are shared (Brown et al. 2020, appendix C). A window that more
  than 10 items of the suite have is wording that they share, not content, and says nothing by
  itself; an item without any other window is looked for as a whole.
- 8 to 12: the item occurs, as a whole, as a run of words.
- 2 to 7: the item stands by itself: as a message, a line, a sentence or a quotation, after a
  colon, or (where the full stop is missing) between words with a capital letter. As a mere part
  of a sentence it is a common phrase.
- 1: only as a whole message.

An item with choices is looked for with them, plain and lettered, by these rules, and its bare
question by the same ones except that below 8 words ("Which of these is true?") only a whole
message counts.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tasks.text.normal import pieces, words
from tasks.text.rows import Message

RULES = 2
"""Version of the rules above."""
GRAM, RUN, PHRASE = 13, 8, 2
"""Words of a window, and fewest words of an item found as a run and as a sentence."""
COMMON = 10
"""A window of more items than this is wording that they share."""

Words = tuple[str, ...]

_CUT = re.compile(
    r"[\n\t]|[.?!;:…。？！।॥؟۔።](?=\W|$)|[\"“”«»()\[\]{}*|`<>]|\s['‘’–—-]|['’]\s|^\W*['‘]"
)


class Item(NamedTuple):
    """A test item that has choices."""

    question: str
    choices: tuple[str, ...]


class OverlapIndex:
    """Finds the rows that contain a test item, a batch of rows at a time.

    Args:
        items: Texts, and items with choices.
    """

    def __init__(self, items: Iterable[str | Item]) -> None:
        self._items = list(dict.fromkeys(items))
        self._runs = NgramTable()
        # Form -> the first item that has it.
        self._whole: dict[Words, int] = {}
        self._alone: dict[Words, int] = {}
        self._run: dict[Words, int] = {}
        self._window_hashes = np.zeros(0, dtype=np.uint64)
        self._window_items = np.zeros(0, dtype=np.int32)
        long: list[Words] = []
        of_long: list[int] = []
        for number, item in enumerate(self._items):
            for form, bare in _forms(item):
                if len(form) >= GRAM:
                    long.append(form)
                    of_long.append(number)
                elif len(form) >= RUN:
                    self._run.setdefault(form, number)
                elif bare or len(form) < PHRASE:
                    self._whole.setdefault(form, number)
                else:
                    self._alone.setdefault(form, number)
        self._runs.add([*self._run, *self._alone])
        if long:
            self._add_windows(long, of_long)

    def _add_windows(self, long: Sequence[Words], of_long: Sequence[int]) -> None:
        hashes, of_item = self._runs.windows(long, GRAM)
        every, place = np.unique(hashes, return_inverse=True)
        # A window counts once an item. NumPy's own unique hashes, and badly so for such numbers.
        pairs = np.sort(place * len(long) + of_item)
        pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])]
        window, item = pairs // len(long), pairs % len(long)
        telling = np.bincount(window) <= COMMON
        self._runs.add_hashes(every[telling], GRAM)
        first = item[np.searchsorted(window, np.arange(len(every)))]
        self._window_hashes = every[telling]
        self._window_items = np.asarray(of_long, dtype=np.int32)[first[telling]]
        untold = np.bincount(item, weights=telling[window], minlength=len(long)) == 0
        for i in np.flatnonzero(untold):
            self._run.setdefault(long[int(i)], of_long[int(i)])
        self._runs.add([long[int(i)] for i in np.flatnonzero(untold)])

    def hits(self, messages: Sequence[Message]) -> bool:
        """Return whether the row contains an item of the index."""
        return bool(self.rows_hit([messages])[0])

    def rows_hit(self, rows: Sequence[Sequence[Message]]) -> npt.NDArray[np.bool_]:
        """Return which of the rows contain an item of the index."""
        hit = np.zeros(len(rows), dtype=bool)
        ids: list[int] = []
        ends = np.zeros(len(rows), dtype=np.int64)
        for i, messages in enumerate(rows):
            texts = [words(m["content"]) for m in messages]
            hit[i] = any(len(t) < RUN and tuple(t) in self._whole for t in texts)
            # No run holds the number 0, so that none crosses from row to row.
            ids += [*self._runs.numbers_of(w for t in texts for w in t), 0]
            ends[i] = len(ids)
        for size, places in self._runs.places(ids):
            for i in np.unique(np.searchsorted(ends, places, side="right")):
                hit[i] = hit[i] or size >= RUN or self._stands(rows[i], size)
        return hit

    def find_item(self, messages: Sequence[Message]) -> str | Item | None:
        """Return an item that the row contains, None where it contains none.

        Of several it is one that the row has in the fewest words.
        """
        texts = [words(m["content"]) for m in messages]
        for text in texts:
            if len(text) < RUN and tuple(text) in self._whole:
                return self._items[self._whole[tuple(text)]]
        said = [w for text in texts for w in text]
        for size, places in self._runs.places([*self._runs.numbers_of(said), 0]):
            for place in places:
                number = self._number_of(messages, tuple(said[place : place + size]))
                if number is not None:
                    return self._items[number]
        return None

    def _number_of(self, messages: Sequence[Message], run: Words) -> int | None:
        """Return the item that a run of words is of, where that tells that the row contains it."""
        if len(run) < RUN:
            stands = any(run in isolated_runs(m["content"], len(run)) for m in messages)
            return self._alone.get(run) if stands else None
        if run in self._run or len(run) != GRAM:
            return self._run.get(run)
        hashes, _ = self._runs.windows([run], GRAM)
        place = int(np.searchsorted(self._window_hashes, hashes[0]))
        known = self._window_hashes[place : place + 1].tolist() == hashes.tolist()
        return int(self._window_items[place]) if known else None

    def _stands(self, messages: Sequence[Message], size: int) -> bool:
        """Return whether an item of that many words stands by itself in a message."""
        return any(
            run in self._alone for m in messages for run in isolated_runs(m["content"], size)
        )


def isolated_runs(text: str, size: int) -> Iterator[tuple[str, ...]]:
    """Yield the runs of ``size`` words that begin and end where a text may be cut."""
    found, gaps = pieces(text)
    cut = [
        not 0 < i < len(found) or _titled(found[i]) or bool(_CUT.search(gap))
        for i, gap in enumerate(gaps)
    ]
    for i in range(len(found) - size + 1):
        if cut[i] and cut[i + size]:
            yield tuple(w.casefold() for w in found[i : i + size])


def _titled(word: str) -> bool:
    return word[:1].isupper() and word[1:2].islower()


def _forms(item: str | Item) -> Iterator[tuple[Words, bool]]:
    """Yield the words of every form an item may take, and whether it is a bare question.

    Forms without a single word (signs alone) can't be told from any other text and are none.
    """
    if isinstance(item, str):
        forms = [item]
    else:
        lettered = [f"{chr(ord('A') + n)}. {text}" for n, text in enumerate(item.choices)]
        forms = ["\n".join([item.question, *tail]) for tail in ([], item.choices, lettered)]
    for n, form in enumerate(forms):
        if found := tuple(words(form)):
            yield found, n == 0 and len(forms) > 1


# Looking up many runs of words in many texts at once, by hashes of numbered words.

_BASE = np.uint64(0x9E3779B97F4A7C15)
_BITS = 22
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


class NgramTable:
    """Runs of words of several lengths, found wherever they occur in a sequence of words.

    Words are numbered by the runs' own vocabulary, so that a run with any other word in it is
    ruled out without a look-up. Runs are compared by 64-bit hashes: against 10^6 runs, 10^9 words
    give a false match with a chance of about one in 10^4.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._tables: dict[int, Hashes] = {}
        self._maybe: dict[int, npt.NDArray[np.bool_]] = {}

    def windows(self, runs: Sequence[Sequence[str]], size: int) -> tuple[Hashes, Places]:
        """Return the hash of every window of ``size`` words in the runs, and the run it is of."""
        numbers, ids = self._numbers, []
        for run in runs:
            ids += [numbers.setdefault(w, len(numbers) + 1) for w in run]
        mixed = _mixed(np.array(ids, dtype=np.uint64))
        hashes = np.zeros(max(len(mixed) - size + 1, 0), dtype=np.uint64)
        for i in range(size):
            hashes = hashes * _BASE + mixed[i : i + len(hashes)]
        of_run = np.repeat(np.arange(len(runs)), [len(run) for run in runs])
        within = of_run[: len(hashes)] == of_run[size - 1 :]
        return hashes[within], of_run[: len(hashes)][within]

    def add(self, runs: Iterable[Sequence[str]]) -> None:
        """Add whole runs."""
        sizes: dict[int, list[Sequence[str]]] = {}
        for run in runs:
            sizes.setdefault(len(run), []).append(run)
        for size, alike in sizes.items():
            self.add_hashes(self.windows(alike, size)[0], size)

    def add_hashes(self, hashes: Hashes, size: int) -> None:
        """Add runs of ``size`` words by their hashes."""
        known = self._tables.get(size, np.zeros(0, dtype=np.uint64))
        table = self._tables[size] = np.union1d(known, hashes)
        self._maybe[size] = np.zeros(1 << _BITS, dtype=bool)
        self._maybe[size][table >> np.uint64(64 - _BITS)] = True

    def numbers_of(self, found: Iterable[str]) -> list[int]:
        """Return the words' numbers, 0 for words that no run has."""
        number = self._numbers.get
        return [number(w, 0) for w in found]

    def places(self, ids: Sequence[int]) -> Iterator[tuple[int, Places]]:
        """Yield each length of run and where runs of that length begin, shortest first."""
        numbers = np.array(ids, dtype=np.uint64)
        mixed, hashes = _mixed(numbers), np.zeros(len(numbers), dtype=np.uint64)
        unknown = np.concatenate([[0], np.cumsum(numbers == 0)])
        for size in range(1, min(max(self._tables, default=0), len(numbers)) + 1):
            hashes = hashes[: len(numbers) - size + 1] * _BASE + mixed[size - 1 :]
            if size not in self._tables:
                continue
            maybe = self._maybe[size][hashes >> np.uint64(64 - _BITS)]
            at = np.flatnonzero(maybe & (unknown[size:] == unknown[: len(hashes)]))
            yield size, at[_among(hashes[at], self._tables[size])]


def _among(hashes: Hashes, table: Hashes) -> npt.NDArray[np.bool_]:
    place = np.minimum(np.searchsorted(table, hashes), len(table) - 1)
    found: npt.NDArray[np.bool_] = table[place] == hashes
    return found


def _mixed(ids: Hashes) -> Hashes:
    """Return well-spread 64-bit values of small numbers (the finaliser of splitmix64)."""
    x = ids * _BASE
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Hashes = x ^ (x >> np.uint64(31))
    return mixed
