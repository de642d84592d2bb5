"""Comparing two texts by their words, as SQuAD's evaluation does (Rajpurkar et al. 2016).

Normalised: lower case, no ASCII punctuation, no English articles, single spaces.
"""

import re
import string
from collections import Counter

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Return a text's normal form."""
    lower = text.lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", lower).split())


def exact(said: str, meant: str) -> float:
    """Return 1 where the texts are the same but for space around them, else 0."""
    return float(said.strip() == meant.strip())


def quasi_exact(said: str, meant: str) -> float:
    """Return 1 where the normal forms are the same, else 0."""
    return float(normalised(said) == normalised(meant))


def token_f1(said: str, meant: str) -> float:
    """Return the F1 of the normal forms' words, as bags; 1 where both have none."""
    one, other = normalised(said).split(), normalised(meant).split()
    if not one or not other:
        return float(one == other)
    shared = (Counter(one) & Counter(other)).total()
    return 2 * shared / (len(one) + len(other))
