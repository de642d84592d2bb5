"""Calibration: whether a model's confidence in its choice is how often it is right.

The confidence is the softmax over the log-probabilities of a question's choices, taken at the
likeliest one. Expected calibration error (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017,
eq. 5): over equal-width bins of confidence, the mean of |accuracy - confidence| weighted by their
items. Bins are closed above, as in Guo et al.: the first holds [0, 0.1], the next (0.1, 0.2].
It is biased upwards where bins hold few items, so the Brier score stands beside it: that is a mean
over items and needs no bins.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tasks.metrics.arrays import Bools, Floats, Ints
from tasks.metrics.pooled import Pooled, sums_by

BINS = 10


class Bin(NamedTuple):
    """Items of like confidence: their number, mean confidence and share of right answers."""

    low: float
    high: float
    items: int
    confidence: float
    accuracy: float


@dataclass(frozen=True)
class Calibration(Pooled):
    """Confidence in the answer given and whether it was right; both float64, shape (items,)."""

    confidence: Floats
    right: Floats

    def value(self) -> float:
        """Return the expected calibration error."""
        return float(np.abs(self._gaps().sum(axis=0)).sum() / len(self.right))

    def without_each(self, units: Ints | None = None) -> Floats:
        """Return the error without each unit in turn, float64, shape (units,)."""
        gaps, ones = self._gaps(), np.ones((len(self.right), 1))
        if units is not None:
            gaps, ones = sums_by(units, gaps), sums_by(units, ones)
        left = len(self.right) - ones[:, 0]
        return np.asarray(np.abs(gaps.sum(axis=0) - gaps).sum(axis=1) / np.maximum(left, 1.0))

    def held(self) -> Floats:
        """Return confidence and right, shape (items, 2)."""
        return np.column_stack([self.confidence, self.right])

    def bins(self) -> list[Bin]:
        """Return the bins that hold items, from low confidence to high."""
        found, where = [], self._bin()
        for k in np.unique(where):
            inside = where == k
            found.append(
                Bin(
                    k / BINS,
                    (k + 1) / BINS,
                    int(inside.sum()),
                    float(self.confidence[inside].mean()),
                    float(self.right[inside].mean()),
                )
            )
        return found

    def _bin(self) -> Ints:
        # The tenths are compared as written: 0.3 belongs to the bin that ends there.
        edges = np.arange(1, BINS) / BINS
        return np.searchsorted(edges, self.confidence, side="left").astype(np.int64)

    def _gaps(self) -> Floats:
        """Return confidence minus right in the item's bin, 0 elsewhere; shape (items, bins)."""
        out = np.zeros((len(self.right), BINS))
        out[np.arange(len(self.right)), self._bin()] = self.confidence - self.right
        return out


def confidences(logprobs: Floats) -> Floats:
    """Return the softmax over each row of choices; shape (items, choices), padding is -inf."""
    shifted = np.exp(logprobs - logprobs.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))


def calibration(logprobs: Floats, gold: Ints) -> Calibration:
    """Return what the error is computed from.

    Args:
        logprobs: Log-probability of each choice, shape (items, choices), padded with -inf.
        gold: Index of the right choice, shape (items,).
    """
    chances = confidences(logprobs)
    return Calibration(chances.max(axis=1), (chances.argmax(axis=1) == gold).astype(np.float64))


def brier(logprobs: Floats, gold: Ints) -> Floats:
    """Return each item's Brier score (Brier 1950): squared distance of the chances from the truth.

    Between 0 and 2, summed over the choices; lower is better.
    """
    chances = confidences(logprobs)
    truth = np.zeros_like(chances)
    truth[np.arange(len(gold)), gold] = 1.0
    return np.asarray(((chances - truth) ** 2).sum(axis=1))


# The area under the receiver operating characteristic, as a mean of one value an item.


def auroc_shares(scores: Floats, positive: Bools) -> Floats:
    """Return a value an item whose mean is the AUROC, float64, shape (items,).

    The AUROC is the share of pairs (a positive, a negative item) in which the positive has the
    higher score, ties counting half. Each item's share of the pairs it is in (DeLong et al. 1988,
    Biometrics 44:837-845) is spread about the AUROC by items / items of its side, so that the mean
    is the AUROC, and the variance of the mean, with the two sides as strata, is DeLong's; that of
    the paired difference of two models' values likewise.

    Args:
        scores: Finite, shape (items,).
        positive: Which items should score higher; at least one, and not all.
    """
    high, low = np.sort(scores[positive]), np.sort(scores[~positive])
    below = (_below(low, scores, "left") + _below(low, scores, "right")) / 2 / len(low)
    above = 1 - (_below(high, scores, "left") + _below(high, scores, "right")) / 2 / len(high)
    share = np.where(positive, below, above)
    value = share[positive].mean()
    sides = np.where(positive, len(high), len(low))
    return np.asarray(value + (share - value) * len(scores) / sides, dtype=np.float64)


def _below(others: Floats, scores: Floats, side: str) -> Floats:
    return np.searchsorted(others, scores, side=side).astype(np.float64)  # type: ignore[call-overload,no-any-return]
