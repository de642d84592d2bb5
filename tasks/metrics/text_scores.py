"""Comparing two texts by their words, as SQuAD's evaluation does (Rajpurkar et al. 2016).

Normalised: lower case, no ASCII punctuation, no English articles, single spaces.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.metrics.arrays import Floats
from tasks.metrics.pooled import Sums, divided
from tasks.text.normal import to_nfc

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> str:
    """Return a text's normal form."""
    lower = to_nfc(text).lower().translate(_NO_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", lower).split())


def exact(said: str, meant: str) -> float:
    """Return 1 where the texts are the same but for space around them (in NFC), else 0."""
    return float(to_nfc(said).strip() == to_nfc(meant).strip())


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


# The final number of a worked answer, as GSM8K is scored (Cobbe et al. 2021).

_STRICT = re.compile(r"#{4} (-?[0-9.,]+)")
_FLEXIBLE = re.compile(r"-?[$0-9.,]{2,}|-?[0-9]+")
_BEFORE = re.compile(r".*#{4} ", re.DOTALL)


def strict_number(answer: str) -> str | None:
    """Return the number after the first "#### ", or None."""
    found = _STRICT.search(answer)
    return found.group(1).strip() if found else None


def flexible_number(answer: str) -> str | None:
    """Return the last thing that looks like a number, or None."""
    found = _FLEXIBLE.findall(answer)
    return str(found[-1]).strip() if found else None


def same_number(said: str | None, meant: str) -> float:
    """Return 1 where what was said is what was meant (a worked answer or its number), else 0."""
    return float(said is not None and bare(said) == bare(meant))


def bare(text: str) -> str:
    """Return a text without what doesn't count when numbers are compared."""
    text = _BEFORE.sub("", text.replace(",", "").replace("$", ""))
    return (text[:-1] if text.endswith(".") else text).lower()


# BLEU of a whole set of answers from the counts of each (Papineni et al. 2002), between 0 and 1.

ORDERS = 4
COUNTS = (
    *(f"bleu_match_{n}" for n in range(1, ORDERS + 1)),
    *(f"bleu_total_{n}" for n in range(1, ORDERS + 1)),
    "bleu_said",
    "bleu_meant",
)
"""Names of an answer's counts: n-grams matched and said, words said and meant."""


@dataclass(frozen=True)
class Bleu(Sums):
    """BLEU over the items' counts, columns in the order of ``COUNTS``."""

    def of(self, sums: Floats) -> Floats:
        """Return the BLEU of each row of counts."""
        matches, totals = sums[:, :ORDERS], sums[:, ORDERS : 2 * ORDERS]
        said, meant = sums[:, -2], sums[:, -1]
        missed = (matches == 0) & (totals > 0)
        halved = 2.0 ** np.cumsum(missed, axis=1)
        shares = divided(np.where(missed, 1.0 / halved, matches), totals)
        defined = (totals > 0).all(axis=1) & (matches > 0).any(axis=1)
        safe = np.where(shares > 0, shares, 1.0)
        mean = np.exp(np.log(safe).mean(axis=1))
        short = np.exp(np.minimum(0.0, 1.0 - divided(meant, said)))
        return np.asarray(np.where(defined, mean * short, 0.0))


def bleu(scores: Sequence[Mapping[str, float]]) -> Bleu:
    """Return what BLEU is computed from, given each item's counts by name."""
    return Bleu(np.array([[s[name] for name in COUNTS] for s in scores], np.float64))


def sentence_counts(said: str, meant: Sequence[str], tokenize: str = "13a") -> dict[str, float]:
    """Return sacrebleu's counts of one answer against its references, by name.

    Args:
        said: The answer.
        meant: One or more references; the one nearest in length gives the length.
        tokenize: sacrebleu's tokeniser.
    """
    from sacrebleu.metrics.bleu import BLEU

    found = BLEU(tokenize=tokenize, effective_order=True).sentence_score(said, list(meant))
    values = [*found.counts, *found.totals, found.sys_len, found.ref_len]
    return dict(zip(COUNTS, map(float, values), strict=True))
