"""Languages of rows by py3langid, whose model comes with it: nothing is fetched."""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from configs.quality import LanguageLimits

UNSURE = "unsure"
_READ = 1_000
"""Characters read of a text: enough to be sure, and long texts cost no more."""


class Languages(NamedTuple):
    """The languages of texts, ``unsure`` where a text is short or could be several (n)."""

    codes: npt.NDArray[np.object_]

    def others(self, wanted: tuple[str, ...]) -> npt.NDArray[np.bool_]:
        """Return the texts that surely are in none of the languages wanted (n)."""
        return ~np.isin(self.codes, [*wanted, UNSURE])


def languages(texts: Any, limits: LanguageLimits) -> Languages:
    """Return the language of every text; equal texts are judged once.

    Args:
        texts: An Arrow array of strings (n).
        limits: When a language is sure.
    """
    from tasks.quality.checks.language_scores import classify

    heads = pc.utf8_slice_codeunits(texts, 0, _READ).dictionary_encode()
    known = np.full(len(heads.dictionary), UNSURE, object)
    long = np.flatnonzero(np.asarray(pc.utf8_length(heads.dictionary)) >= limits.min_chars)
    codes, confidence = classify(heads.dictionary.take(pa.array(long)))
    sure = confidence >= limits.min_confidence
    known[long[sure]] = codes[sure]
    return Languages(known[np.asarray(heads.indices, dtype=np.int64)])
