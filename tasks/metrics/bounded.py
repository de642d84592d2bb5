"""Intervals that know how far a bounded metric could move where few items were seen to."""

import numpy as np

from tasks.metrics.arrays import Bools, Floats, Ints
from tasks.metrics.f1 import LabelledItems
from tasks.metrics.intervals import Error, Interval, exact_proportion, no_flips, t_widths
from tasks.metrics.pooled import Pooled
from tasks.metrics.values import ItemValues, Numbers, Ratio


def t_interval(
    sample: tuple[ItemValues, ItemValues | None], value: float, error: Error, confidence: float
) -> Interval:
    """Return a t interval; a bounded metric's is never narrower than few changes warrant.

    Args:
        sample: Items, and the second model's where the value is a difference.
        value: Of the metric, or of the difference.
        error: Its own.
        confidence: Two-sided.
    """
    items, other = sample
    below, above = t_widths(error, confidence)
    ends = _ends(items, other)
    if ends is None:
        return Interval(value - below, value + above)
    width, mean = ends[1] - ends[0], isinstance(items.data, Numbers)
    few = _carrying(items, other) < FEW
    # Of clusters there are few enough that this would be all that counted.
    if few or (mean and items.clusters is None):
        least = width * no_flips(units(items), confidence)
        below, above = max(below, least), max(above, least)
    low, high = value - below, value + above
    if few and mean:
        far = _unseen(items, other, ends, confidence)
        low, high = min(low, far.low), max(high, far.high)
    if isinstance(items.data, Numbers) and not items.data.proportion and items.data.span is None:
        return Interval(low, high)
    least_value, most = ends if other is None else (-width, width)
    return Interval(max(least_value, low), min(most, high))


def least_variance(items: ItemValues, other: ItemValues | None = None) -> float:
    """Return the variance of an item's contribution were one to move all the way."""
    ends = _ends(items, other)
    return 0.0 if ends is None else (ends[1] - ends[0]) ** 2 / len(items)


def units(items: ItemValues) -> int:
    """Return the independent units: items, or clusters of them."""
    return len(items) if items.clusters is None else int(items.clusters.max()) + 1


def _ends(items: ItemValues, other: ItemValues | None = None) -> tuple[float, float] | None:
    """Return the ends of what an item's value can be.

    Where they aren't known and few items vary, the least and the largest value seen stand for
    them; where many do, the spread says enough, and None is returned, as for what has no ends.
    """
    data = items.data
    if isinstance(data, Numbers) and not data.proportion:
        return data.span or _ends_seen(items, other)
    bounded = data.bounded if isinstance(data, Pooled) else not isinstance(data, Ratio)
    return (0.0, 1.0) if bounded else None


def _ends_seen(items: ItemValues, other: ItemValues | None) -> tuple[float, float] | None:
    if np.count_nonzero(_moved(items, other)) >= FEW:
        return None
    values = np.concatenate(
        [x.data.values for x in (items, other) if x is not None and isinstance(x.data, Numbers)]
    )
    return float(values.min()), float(values.max())


def _moved(items: ItemValues, other: ItemValues | None) -> Floats:
    """Return how far each unit moved: to the second sample, or from the median of the first."""
    assert isinstance(items.data, Numbers)
    values = items.data.values
    if other is None:
        return by_unit(values - np.median(values), items.clusters)
    assert isinstance(other.data, Numbers)
    return by_unit(other.data.values - values, items.clusters)


def _unseen(
    items: ItemValues, other: ItemValues | None, ends: tuple[float, float], confidence: float
) -> Interval:
    """Return how far a mean may reach where few items carry its spread."""
    moved = _moved(items, other)
    assert isinstance(items.data, Numbers)
    middle = float(np.median(items.data.values)) if other is None else 0.0
    width = ends[1] - ends[0]
    down, up = (width, width) if other is not None else (middle - ends[0], ends[1] - middle)
    low, high = unseen(moved, down, up, confidence)
    return Interval(middle + low, middle + high)


def _carrying(items: ItemValues, other: ItemValues | None) -> float:
    """Return how many independent units carry the spread, in effect; those that differ, of F1."""
    if isinstance(items.data, Numbers):
        return effective(_moved(items, other))
    return _varied(items, other)


def _varied(items: ItemValues, other: ItemValues | None) -> int:
    """Return the independent units that differ: between two samples, or from most of the sample."""
    if other is not None:
        return _units_with(items, _changed(items, other))
    if isinstance(items.data, Pooled):
        _, kind, often = np.unique(
            items.data.held(), axis=0, return_inverse=True, return_counts=True
        )
        return _units_with(items, kind.reshape(-1) != often.argmax())
    assert isinstance(items.data, LabelledItems)
    marks = items.data.gold == items.data.predicted
    return min(_units_with(items, marks), _units_with(items, ~marks))


def _changed(items: ItemValues, other: ItemValues) -> Bools:
    if isinstance(items.data, Pooled) and isinstance(other.data, Pooled):
        first, second = items.data.held(), other.data.held()
        # Items have as many labels as they have; the wider table is padded with nothing.
        wide = max(first.shape[1], second.shape[1])
        padded = [
            np.pad(h, ((0, 0), (0, wide - h.shape[1])), constant_values=-1.0)
            for h in (first, second)
        ]
        return np.asarray((padded[0] != padded[1]).any(axis=1))
    assert isinstance(items.data, LabelledItems)
    assert isinstance(other.data, LabelledItems)
    return np.asarray(items.data.predicted != other.data.predicted)


def _units_with(items: ItemValues, of: Bools) -> int:
    return int(of.sum()) if items.clusters is None else len(np.unique(items.clusters[of]))


# Means of bounded values of which few differ: what was not seen may still be there.

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
