"""Overlap of training rows with test items: whole text when short, word n-grams when long."""

from collections.abc import Iterable, Sequence

from tasks.text.normal import words
from tasks.text.rows import Message, full_text

GRAM = 13
"""Words that must agree in a row (Brown et al. 2020, appendix C)."""


class OverlapIndex:
    """Finds rows that contain a test item.

    An item of at least 13 words matches a row that shares any 13 words in a row with it. A
    shorter one matches only a message that equals it as a whole after normalisation, since common
    phrases would hit otherwise.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._whole: set[tuple[str, ...]] = set()
        self._grams: set[int] = set()
        for text in texts:
            self._add(words(text))

    def _add(self, item: list[str]) -> None:
        if len(item) < GRAM:
            self._whole.add(tuple(item))
        else:
            self._grams.update(_grams(item))

    def hits(self, messages: Sequence[Message]) -> bool:
        """Return whether the row contains an item of the index."""
        if any(tuple(words(m["content"])) in self._whole for m in messages):
            return True
        return any(g in self._grams for g in _grams(words(full_text(messages))))


def _grams(item: list[str]) -> Iterable[int]:
    return (hash(tuple(item[i : i + GRAM])) for i in range(len(item) - GRAM + 1))
