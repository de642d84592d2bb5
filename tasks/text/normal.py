"""One normal form for comparing texts."""

import re
import unicodedata

_WORD = re.compile(r"\w+", re.UNICODE)


def words(text: str) -> list[str]:
    """Return the case-folded words of a text, compatibility forms unified, punctuation gone."""
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())


def normal(text: str) -> str:
    """Return the words of a text joined by single spaces."""
    return " ".join(words(text))
