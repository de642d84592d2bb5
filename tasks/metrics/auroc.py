"""The area under the receiver operating characteristic, as a mean of one value an item."""

import numpy as np

from tasks.metrics.arrays import Bools, Floats


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
