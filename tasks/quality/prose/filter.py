"""The rules over many texts: pieces numbered first, then every text judged, on all cores."""

import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from configs.quality import TextRules
from tasks.quality.compiled import compiled
from tasks.quality.prose.c4 import CITATION, C4Limits, Known, c4
from tasks.quality.prose.document import Text, new_room, spell
from tasks.quality.prose.fineweb import FineWebLimits, SignLimits, fineweb, signs
from tasks.quality.prose.gopher import GopherLimits, gopher
from tasks.quality.prose.repetition import RepetitionLimits, repetition
from tasks.quality.prose.rules import RULES
from tasks.quality.prose.scan import Bytes, characters
from tasks.quality.prose.vocabulary import Counts, Vocabulary


class Limits(NamedTuple):
    """Every family's thresholds, and whether it is asked."""

    asked: tuple[bool, bool, bool, bool, bool]
    gopher: GopherLimits
    repetition: RepetitionLimits
    c4: C4Limits
    fineweb: FineWebLimits
    signs: SignLimits


def read_limits(rules: TextRules) -> Limits:
    """Return the thresholds as the compiled rules take them."""
    default = TextRules()
    asked = [getattr(rules, family) is not None for family in RULES]
    return Limits(
        (asked[0], asked[1], asked[2], asked[3], asked[4]),
        GopherLimits(*_numbers(rules.gopher or default.gopher)),
        RepetitionLimits(*_numbers(rules.repetition or default.repetition)),
        C4Limits(*_numbers(rules.c4 or default.c4)),
        FineWebLimits(*_numbers(rules.fineweb or default.fineweb)),
        SignLimits(*_numbers(rules.signs or default.signs)),
    )


def _numbers(section: Any) -> Sequence[Any]:
    numbers = []
    for name, value in section.model_dump().items():
        shares = "float" in str(type(section).model_fields[name].annotation)
        if value is None:
            # A rule that is not asked: no number is beyond it.
            value = -math.inf if name.startswith("min") else math.inf
        elif shares and not isinstance(value, tuple):
            value = float(value)
        numbers.append(value)
    return numbers


Codes = npt.NDArray[np.int8]
FAMILIES = tuple(RULES)
_BATCH, _MOST_PIECES = 20_000, 2_000_000


class _Batch(NamedTuple):
    """Texts with their pieces' numbers; text ``i`` has those from ``begins[i]`` on."""

    data: Bytes
    offsets: Counts
    pieces: Counts
    begins: Counts


class ProseFilter:
    """Finds texts by rules; what it learns of the pieces of texts serves the next ones."""

    def __init__(self, rules: TextRules) -> None:
        self._rules = rules
        self._limits = read_limits(rules)
        self._vocabulary = Vocabulary()

    def find(self, texts: Any) -> dict[str, npt.NDArray[np.bool_]]:
        """Return rule -> the texts that it finds; the first of a family to find a text counts.

        Args:
            texts: An Arrow array of strings (n); null is read as empty.
        """
        codes = self.codes(texts)
        return {
            name: codes[:, column] == number
            for column, family in enumerate(FAMILIES)
            if getattr(self._rules, family) is not None
            for number, name in enumerate(RULES[family], start=1)
        }

    def codes(self, texts: Any) -> Codes:
        """Return the number of the rule that finds each text (n, families), 0 where none does."""
        chunks = texts.chunks if isinstance(texts, pa.ChunkedArray) else [texts]
        made = [np.zeros((0, len(FAMILIES)), np.int8)]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for chunk in chunks:
                for start in range(0, len(chunk), _BATCH):
                    if len(self._vocabulary) > _MOST_PIECES:
                        self._vocabulary = Vocabulary()
                    part = pc.fill_null(chunk.slice(start, _BATCH), "").cast(pa.large_string())
                    made.append(_filter_batch(part, self._vocabulary, self._limits, pool))
        return np.concatenate(made)


def _filter_batch(
    part: Any, vocabulary: Vocabulary, limits: Limits, pool: ThreadPoolExecutor
) -> Codes:
    data, offsets = string_bytes(part)
    batch = _Batch(data, offsets, *vocabulary.read(data, offsets))
    if limits.c4.remove_citations:
        cites = pc.match_substring_regex(part, CITATION)
        plain = pc.replace_substring_regex(part.filter(cites), CITATION, "")
        vocabulary.read(*string_bytes(plain))
    known = Known(vocabulary.table, vocabulary.features())
    codes = np.zeros((len(part), len(FAMILIES)), np.int8)
    edges = np.linspace(0, len(part), 4 * (os.cpu_count() or 1) + 1).astype(np.int64)
    jobs = [
        pool.submit(_filter_rows, batch, known, limits, int(a), int(b), codes)
        for a, b in zip(edges[:-1], edges[1:], strict=True)
    ]
    for job in jobs:
        job.result()
    return codes


def string_bytes(texts: Any) -> tuple[Bytes, Counts]:
    """Return the UTF-8 bytes of a large-string array and where each text begins (n + 1)."""
    _, places, content = texts.buffers()
    if len(texts) == 0 or content is None:
        return np.zeros(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    offsets = np.frombuffer(places, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(content, np.uint8), offsets


@compiled
def _filter_rows(
    batch: _Batch, known: Known, limits: Limits, first: int, last: int, codes: Codes
) -> None:
    words, size = _longest(batch, known, first, last)
    room = new_room(words, size)
    for row in range(first, last):
        start, end = batch.offsets[row], batch.offsets[row + 1]
        own = batch.pieces[batch.begins[row] : batch.begins[row + 1]]
        text = Text(batch.data, start, end, characters(batch.data, start, end), own)
        spelt = spell(own, known.words, room)
        if limits.asked[0]:
            codes[row, 0] = gopher(text, spelt, room, limits.gopher)
        if limits.asked[1]:
            codes[row, 1] = repetition(text, spelt, room, limits.repetition)
        if limits.asked[2]:
            codes[row, 2] = c4(text, known, room, limits.c4)
        if limits.asked[3]:
            codes[row, 3] = fineweb(text, spelt.number, room, limits.fineweb)
        if limits.asked[4]:
            chars = spelt.chars[: spelt.number].sum()
            codes[row, 4] = signs(text, known.words, chars, limits.signs)


@compiled
def _longest(batch: _Batch, known: Known, first: int, last: int) -> tuple[int, int]:
    """Return the words and bytes of the longest texts among the rows."""
    most, size, counts, pieces = 1, 1, known.words.words, batch.pieces
    for row in range(first, last):
        words = 0
        for place in range(batch.begins[row], batch.begins[row + 1]):
            words += counts[pieces[place]]
        most = max(most, words)
        size = max(size, batch.offsets[row + 1] - batch.offsets[row])
    return most, size
