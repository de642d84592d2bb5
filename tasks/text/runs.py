"""Looking up many runs of words in many texts at once, by hashes of numbered words."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

_BASE = np.uint64(0x9E3779B97F4A7C15)
_BITS = 22
Hashes = npt.NDArray[np.uint64]
Places = npt.NDArray[np.int64]


class RunTable:
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
