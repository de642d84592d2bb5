"""Languages of rows by py3langid, whose model comes with it: nothing is fetched."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from configs.checks import LanguageLimits

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
    heads = pc.utf8_slice_codeunits(texts, 0, _READ).dictionary_encode()
    known = np.array([_language(text, limits) for text in heads.dictionary.to_pylist()], object)
    codes = known[np.asarray(heads.indices, dtype=np.int64)] if len(texts) else known
    return Languages(codes)


def _language(text: str, limits: LanguageLimits) -> str:
    if len(text) < limits.min_chars:
        return UNSURE
    code, confidence = _identifier().classify(text)
    return str(code) if confidence >= limits.min_confidence else UNSURE


@cache
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
