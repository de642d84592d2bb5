"""A metric's value and interval on one sample, and on the paired difference of two."""

import math
from typing import NamedTuple, assert_never

import numpy as np

from tasks.errors import EvaluationError
from tasks.metrics import f1
from tasks.metrics.arrays import Bools, Floats, Ints
from tasks.metrics.f1 import Labelled
from tasks.metrics.intervals import (
    Error,
    Interval,
    exact_proportion,
    jackknife_error,
    mean_error,
    no_flips,
    paired_score,
    t_widths,
    wilson,
)
from tasks.metrics.pooled import Pooled
from tasks.metrics.values import ItemValues, Numbers, Ratio, aligned

FEW = 5
"""Units that vary, below which their spread says little about how rare a change is."""


class Difference(NamedTuple):
    """A paired difference, second minus first.

    Attributes:
        value: The difference of the two metrics.
        low: Lower end of its two-sided interval.
        high: Upper end.
        n: Items.
        variance: Of one item's contribution: with many items the standard error is about
            sqrt(variance / n).
        gained: Items that were 0 (or wrong) in the first and 1 (or right) in the second; None
            where items aren't marked.
        lost: The other way round.
        df: Degrees of freedom of its error.
    """

    value: float
    low: float
    high: float
    n: int
    variance: float
    gained: int | None
    lost: int | None
    df: float = math.inf


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
    return _t_interval((items, None), value, _error(items), confidence)


def difference(first: ItemValues, second: ItemValues, confidence: float = 0.95) -> Difference:
    """Return second minus first, paired by item id, with its two-sided interval.

    Proportions: Tango's score interval, corrected at its ends. Means: paired t. F1 and ratios:
    delete-one jackknife-t of the difference. Strata and clusters as for one sample.

    Raises:
        EvaluationError: The two don't have the same items, or fewer than two independent ones.
    """
    second = aligned(first, second)
    _refuse_lone(first)
    n, value = len(first), point(second) - point(first)
    gained, lost = flips(first, second)
    if gained is not None and lost is not None and _is_proportion(first) and first.clusters is None:
        low, high = paired_score(gained, lost, n, confidence)
        # Where nothing flipped, one flip is assumed: else no number of items could be named.
        variance = max(gained + lost, 1) / n - value**2
        return Difference(value, low, high, n, variance, gained, lost)
    error = _error(first, second)
    low, high = _t_interval((first, second), value, error, confidence)
    variance = max(_variance(first, second, error), 1 / n if _is_bounded(first) else 0.0)
    return Difference(value, low, high, n, variance, gained, lost, error.df)


def _variance(first: ItemValues, second: ItemValues, error: Error) -> float:
    """Return the variance of one item's contribution that more items would show.

    With few items a class the jackknife's is too large and the linearised one too small, by about
    as much (Efron and Stein 1981; seen in simulations of macro F1). Intervals keep the larger.
    """
    n, a, b = len(first), first.data, second.data
    found = n * error.se**2
    if not (isinstance(a, Labelled) and isinstance(b, Labelled) and a.average == "macro"):
        return found
    moved = _sums(f1.influence(b) - f1.influence(a), first.clusters)
    return (found + n * float(moved @ moved)) / 2


def above(items: ItemValues, threshold: float, confidence: float = 0.95) -> Difference:
    """Return how far one sample's metric is above a threshold, with its two-sided interval.

    Independent proportions: the exact interval, since an absolute requirement is no place for an
    approximation. Everything else as :func:`interval`.
    """
    _refuse_lone(items)
    n, value, error = len(items), point(items), _error(items)
    if _is_proportion(items) and items.clusters is None:
        low, high = exact_proportion(round(value * n), n, confidence)
    else:
        low, high = _t_interval((items, None), value, error, confidence)
    spread = max(n * error.se**2, 1 / n if _is_bounded(items) else 0.0)
    return Difference(value - threshold, low - threshold, high - threshold, n, spread, None, None,
                      error.df)  # fmt: skip


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
    sample: tuple[ItemValues, ItemValues | None], value: float, error: Error, confidence: float
) -> Interval:
    """Return a t interval; a bounded metric's is never narrower than few changes warrant."""
    items, other = sample
    below, above = t_widths(error, confidence)
    if not _is_bounded(items):
        return Interval(value - below, value + above)
    if _varied(items, other) < FEW:
        least = no_flips(_units(items), confidence)
        below, above = max(below, least), max(above, least)
    return Interval(max(0.0 if other is None else -1.0, value - below), min(1.0, value + above))


def _varied(items: ItemValues, other: ItemValues | None) -> int:
    """Return the independent units that differ: between two samples, or from most of the sample."""
    if other is not None:
        return _units_with(items, _changed(items, other))
    if isinstance(items.data, Pooled):
        _, kind, often = np.unique(items.data.held(), axis=0, return_inverse=True,
                                   return_counts=True)  # fmt: skip
        return _units_with(items, kind.reshape(-1) != often.argmax())
    marks = _marks(items)
    assert marks is not None
    return min(_units_with(items, marks), _units_with(items, ~marks))


def _changed(items: ItemValues, other: ItemValues) -> Bools:
    if isinstance(items.data, Pooled) and isinstance(other.data, Pooled):
        first, second = items.data.held(), other.data.held()
        # Items have as many labels as they have; the wider table is padded with nothing.
        wide = max(first.shape[1], second.shape[1])
        padded = [np.pad(h, ((0, 0), (0, wide - h.shape[1])), constant_values=-1.0)
                  for h in (first, second)]  # fmt: skip
        return np.asarray((padded[0] != padded[1]).any(axis=1))
    return np.asarray(_answers(items) != _answers(other))


def _answers(items: ItemValues) -> Floats | Ints:
    data = items.data
    assert not isinstance(data, Ratio | Pooled)
    return data.predicted if isinstance(data, Labelled) else data.values


def _units_with(items: ItemValues, of: Bools) -> int:
    return int(of.sum()) if items.clusters is None else len(np.unique(items.clusters[of]))


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
