"""A metric's value and interval on one sample, and on the paired difference of two."""

from typing import NamedTuple, assert_never

import numpy as np

from tasks.errors import EvaluationError
from tasks.metrics import f1
from tasks.metrics.arrays import Bools, Floats, Ints
from tasks.metrics.f1 import Labelled
from tasks.metrics.intervals import (
    Error,
    Interval,
    jackknife_error,
    mean_error,
    no_flips,
    t_half_width,
    tango,
    wilson,
)
from tasks.metrics.pooled import Pooled
from tasks.metrics.values import ItemValues, Numbers, Ratio, aligned


class Difference(NamedTuple):
    """A paired difference, second minus first.

    Attributes:
        value: The difference of the two metrics.
        low: Lower end of its two-sided interval.
        high: Upper end.
        n: Items.
        variance: Of one item's contribution: the standard error is about sqrt(variance / n).
        gained: Items that were 0 (or wrong) in the first and 1 (or right) in the second; None
            where items aren't marked.
        lost: The other way round.
    """

    value: float
    low: float
    high: float
    n: int
    variance: float
    gained: int | None
    lost: int | None


def point(items: ItemValues) -> float:
    """Return the metric's value."""
    data = items.data
    match data:
        case Numbers():
            return float(data.values.mean())
        case Ratio():
            return float(data.numerator.sum() / data.denominator.sum())
        case Labelled():
            return f1.f1(data)
        case Pooled():
            return data.value()
        case _:
            assert_never(data)


def interval(items: ItemValues, confidence: float = 0.95) -> Interval:
    """Return the metric's two-sided interval.

    Proportions: Wilson, or cluster-robust t where items depend on each other. Means: t, stratified
    or cluster-robust. F1 and ratios: delete-one (or delete-one-cluster) jackknife-t.

    Raises:
        EvaluationError: Fewer than two independent items: there is no interval.
    """
    _refuse_lone(items)
    value = point(items)
    if _is_proportion(items) and items.clusters is None:
        return wilson(round(value * len(items)), len(items), confidence)
    return _t_interval(items, value, _error(items), confidence)


def difference(first: ItemValues, second: ItemValues, confidence: float = 0.95) -> Difference:
    """Return second minus first, paired by item id, with its two-sided interval.

    Proportions: Tango's score interval. Means: paired t. F1 and ratios: delete-one jackknife-t of
    the difference. Strata and clusters as for one sample.

    Raises:
        EvaluationError: The two don't have the same items, or fewer than two independent ones.
    """
    second = aligned(first, second)
    _refuse_lone(first)
    n, value = len(first), point(second) - point(first)
    gained, lost = flips(first, second)
    if gained is not None and lost is not None and _is_proportion(first) and first.clusters is None:
        low, high = tango(gained, lost, n, confidence)
        # Where nothing flipped, one flip is assumed: else no number of items could be named.
        variance = max(gained + lost, 1) / n - value**2
        return Difference(value, low, high, n, variance, gained, lost)
    error = _error(first, second)
    low, high = _t_interval(first, value, error, confidence, low=-1.0)
    variance = max(n * error.se**2, 1 / n if _is_bounded(first) else 0.0)
    return Difference(value, low, high, n, variance, gained, lost)


def flips(first: ItemValues, second: ItemValues) -> tuple[int | None, int | None]:
    """Return how many aligned items went from 0 to 1 (wrong to right), and from 1 to 0."""
    before, after = _marks(first), _marks(second)
    if before is None or after is None:
        return None, None
    return int((~before & after).sum()), int((before & ~after).sum())


def _marks(items: ItemValues) -> Bools | None:
    data = items.data
    if isinstance(data, Labelled):
        return np.asarray(data.gold == data.predicted)
    return np.asarray(data.values > 0.5) if _is_proportion(items) else None  # type: ignore[union-attr]


def _is_proportion(items: ItemValues) -> bool:
    return isinstance(items.data, Numbers) and items.data.proportion


def _is_bounded(items: ItemValues) -> bool:
    pooled = isinstance(items.data, Pooled) and items.data.bounded
    return pooled or isinstance(items.data, Labelled) or _is_proportion(items)


def _units(items: ItemValues) -> int:
    return len(items) if items.clusters is None else int(items.clusters.max()) + 1


def _refuse_lone(items: ItemValues) -> None:
    if _units(items) < 2:
        raise EvaluationError("an interval needs at least two independent items.",
                              where="metrics", fix="evaluate more items.")  # fmt: skip


def _t_interval(
    items: ItemValues, value: float, error: Error, confidence: float, low: float = 0.0
) -> Interval:
    half = t_half_width(error, confidence)
    if not _is_bounded(items):
        return Interval(value - half, value + half)
    half = max(half, no_flips(_units(items), confidence))
    return Interval(max(low, value - half), min(1.0, value + half))


def _error(items: ItemValues, other: ItemValues | None = None) -> Error:
    """Return the error of the metric, or of ``other``'s minus this one's."""
    values = _contribution(items)
    if other is not None:
        values = _contribution(other) - values
    if isinstance(items.data, Numbers):
        return mean_error(values, items.strata, items.clusters)
    return jackknife_error(values)


def _contribution(items: ItemValues) -> Floats:
    """Return each item's value, or the metric without each independent unit."""
    data = items.data
    match data:
        case Numbers():
            return data.values
        case Ratio():
            return _ratio_without(data, items.clusters)
        case Pooled():
            return data.without_each(items.clusters)
        case Labelled() if items.clusters is None:
            return f1.without_each_item(data)
        case Labelled():
            return f1.without_each_group(data, items.clusters)
        case _:
            assert_never(data)


def _ratio_without(data: Ratio, clusters: Ints | None) -> Floats:
    top, bottom = (_sums(x, clusters) for x in (data.numerator, data.denominator))
    return np.asarray((top.sum() - top) / (bottom.sum() - bottom))


def _sums(values: Floats, clusters: Ints | None) -> Floats:
    if clusters is None:
        return values
    return np.bincount(clusters, weights=values).astype(np.float64)
