"""Languages of rows by py3langid, whose model comes with it: nothing is fetched."""

import math
import os
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from configs.quality import LanguageLimits
from tasks.quality.checks.row_batch import RowBatch
from tasks.quality.checks.texts import Flags, join_texts
from tasks.quality.compiled import compiled
from tasks.quality.prose.scan import Bytes

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]


class Model(NamedTuple):
    """The model's tables.

    Attributes:
        following: Next state, by 256 times a state's row and the byte.
        rows: State -> its row.
        emitted: State -> the feature that reaching it counts, negative for none.
        table: Feature -> language -> weight.
        prior: Language -> weight.
        same: Language -> the first one of the same code.
    """

    following: npt.NDArray[np.uint32]
    rows: npt.NDArray[np.uint16]
    emitted: npt.NDArray[np.int32]
    table: Floats
    prior: Floats
    same: Integers


def classify(texts: Any) -> tuple[npt.NDArray[np.object_], Floats]:
    """Return the likeliest language of each text and how likely it is (n, n).

    Args:
        texts: An Arrow array of strings (n).
    """
    model, codes = _model()
    data, offsets = _encoded(texts)
    best = np.zeros(len(texts), np.int64)
    confidence = np.zeros(len(texts), np.float32)
    edges = np.linspace(0, len(texts), 4 * (os.cpu_count() or 1) + 1).astype(np.int64)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        jobs = [
            pool.submit(_classify, data, offsets, model, int(a), int(b), best, confidence)
            for a, b in zip(edges[:-1], edges[1:], strict=True)
        ]
    for job in jobs:
        job.result()
    return codes[best], confidence


def _encoded(texts: Any) -> tuple[Bytes, Integers]:
    """Return the bytes that the model reads: composed characters, shouting in small letters."""
    texts = texts.cast(pa.large_string())
    texts = pc.if_else(pc.utf8_is_upper(texts), pc.utf8_lower(texts), texts)
    # Arrow's own normalization takes characters apart in the form that should compose them.
    wide = pc.invert(pc.string_is_ascii(texts))
    composed = [unicodedata.normalize("NFC", text) for text in texts.filter(wide).to_pylist()]
    texts = pc.replace_with_mask(texts, wide, pa.array(composed, pa.large_string()))
    _, places, content = texts.buffers()
    if content is None or len(texts) == 0:
        return np.zeros(0, np.uint8), np.zeros(len(texts) + 1, np.int64)
    offsets = np.frombuffer(places, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    return np.frombuffer(content, np.uint8), offsets


@cache
def _model() -> tuple[Model, npt.NDArray[np.object_]]:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    known = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    codes = list(known.nb_classes)
    model = Model(
        np.asarray(known.tk_nextmove, np.uint32),
        np.asarray(known.tk_row, np.uint16),
        np.asarray(known.tk_output, np.int32),
        np.ascontiguousarray(known.nb_ptc, np.float32),
        np.asarray(known.nb_pc, np.float32),
        np.array([codes.index(code) for code in codes], np.int64),
    )
    return model, np.array(codes, object)


@compiled
def _classify(
    data: Bytes,
    offsets: Integers,
    model: Model,
    first: int,
    last: int,
    best: Integers,
    confidence: Floats,
) -> None:
    counts = np.zeros(len(model.table), np.int32)
    seen = np.zeros(len(model.table), np.int32)
    likely = np.zeros(len(model.prior), np.float32)
    for row in range(first, last):
        number, state = 0, np.int64(0)
        for i in range(offsets[row], offsets[row + 1]):
            state = np.int64(model.following[np.int64(model.rows[state]) * 256 + data[i]])
            feature = model.emitted[state]
            if feature >= 0:
                if counts[feature] == 0:
                    seen[number] = feature
                    number += 1
                counts[feature] += 1
        for language in range(len(likely)):
            likely[language] = model.prior[language] if number else np.float32(0)
        for k in range(number):
            weight = np.float32(math.log1p(counts[seen[k]]))
            counts[seen[k]] = 0
            for language in range(len(likely)):
                likely[language] += weight * model.table[seen[k], language]
        root = math.sqrt(max(offsets[row + 1] - offsets[row], 1))
        best[row], confidence[row] = _likeliest(likely, root, model.same)


@compiled
def _likeliest(likely: Floats, root: float, same: Integers) -> tuple[int, float]:
    most = likely.max()
    total = 0.0
    for language in range(len(likely)):
        likely[language] = math.exp((likely[language] - most) / root)
        total += likely[language]
    best = 0
    for language in range(len(likely)):
        if same[language] != language:
            likely[same[language]] += likely[language]
            likely[language] = 0
    for language in range(len(likely)):
        if likely[language] > likely[best]:
            best = language
    return best, likely[best] / total


UNSURE = "unsure"
_READ = 1_000
"""Characters read of a text: enough to be sure, and long texts cost no more."""


class Languages(NamedTuple):
    """The languages of texts, ``unsure`` where a text is short or could be several (n)."""

    codes: npt.NDArray[np.object_]

    def others(self, wanted: tuple[str, ...]) -> npt.NDArray[np.bool_]:
        """Return the texts that surely are in none of the languages wanted (n)."""
        return ~np.isin(self.codes, [*wanted, UNSURE])


def detect_languages(texts: Any, limits: LanguageLimits) -> Languages:
    """Return the language of every text; equal texts are judged once.

    Args:
        texts: An Arrow array of strings (n).
        limits: When a language is sure.
    """
    heads = pc.utf8_slice_codeunits(texts, 0, _READ).dictionary_encode()
    known = np.full(len(heads.dictionary), UNSURE, object)
    long = np.flatnonzero(np.asarray(pc.utf8_length(heads.dictionary)) >= limits.min_chars)
    codes, confidence = classify(heads.dictionary.take(pa.array(long)))
    sure = confidence >= limits.min_confidence
    known[long[sure]] = codes[sure]
    return Languages(known[np.asarray(heads.indices, dtype=np.int64)])


def find_other_languages(batch: RowBatch) -> Flags:
    """Return the rows that surely are in none of the languages wanted, and count all languages."""
    found = detect_languages(join_texts(batch.texts), batch.quality.language)
    batch.context.languages.update(found.codes.tolist())
    return found.others(batch.quality.languages)
