"""BLEU of a whole set of answers from the counts of each (Papineni et al. 2002), between 0 and 1.

The counts are sacrebleu's; the smoothing is its default for a corpus (Chen and Cherry 2014, method
3): the k-th order without a match counts as 1 / (2^k total).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.metrics.arrays import Floats
from tasks.metrics.pooled import Sums, divided

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
