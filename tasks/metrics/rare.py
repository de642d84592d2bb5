"""Means of bounded values of which few differ: what was not seen may still be there."""

import numpy as np

from tasks.metrics.arrays import Floats, Ints
from tasks.metrics.intervals import Interval, exact_proportion

FEW = 5
"""Units that vary, below which their spread says little about how rare a change is."""


def by_unit(moved: Floats, clusters: Ints | None) -> Floats:
    """Return what each independent unit adds, scaled so that the mean stays.

    Args:
        moved: Of each item, shape (items,).
        clusters: Unit of each item, or None: every item is one.
    """
    if clusters is None:
        return moved
    sums = np.bincount(clusters, weights=moved).astype(np.float64)
    return np.asarray(sums * len(sums) / len(moved))


def effective(moved: Floats) -> float:
    """Return how many units carry the spread: the squared sum of squares over that of fourths.

    As many as moved where all moved equally far, 1 where one moved far and the others hardly
    (Kish 1965, 8.2, on squares). Student's interval rests on so many.
    """
    largest = float(np.abs(moved).max(initial=0.0))
    if largest == 0:
        return 0.0
    squares = np.square(moved / largest)  # fourths of small numbers vanish
    return float(squares.sum() ** 2 / np.square(squares).sum())


def unseen(moved: Floats, down: float, up: float, confidence: float) -> Interval:
    """Return the ends of the mean of ``moved`` where few moved, whatever the others may yet do.

    Of all values between 0 and an end with the same mean, those at either end alone vary most; so
    the sum of all falls, over the farthest fall, is taken for a count, and its exact upper bound
    (Clopper and Pearson 1934) for the share that falls all the way. Rises likewise. Neither is
    set off against the other.

    Args:
        moved: Of each unit, from the centre, shape (units,).
        down: How far a value can fall.
        up: How far it can rise.
        confidence: Two-sided.
    """
    return Interval(-_most(-moved, down, confidence), _most(moved, up, confidence))


def _most(moved: Floats, reach: float, confidence: float) -> float:
    n = len(moved)
    if reach <= 0:
        return 0.0
    count = min(float(moved[moved > 0].sum()) / reach, float(n))
    return reach * exact_proportion(count, n, confidence).high
