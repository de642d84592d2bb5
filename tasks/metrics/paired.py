"""A metric's value and interval on one sample, and on the paired difference of two."""

import math
from dataclasses import replace
from typing import NamedTuple, assert_never

import numpy as np

from tasks.errors import EvaluationError
from tasks.metrics import correction, f1
from tasks.metrics.arrays import Bools, Floats, Ints
from tasks.metrics.bounded import (
    Movement,
    Unseen,
    by_unit,
    carriers,
    doubt,
    t_interval,
    unit_sizes,
    units,
    unseen_movement,
)
from tasks.metrics.f1 import LabelledItems
from tasks.metrics.intervals import (
    Error,
    Interval,
    exact_proportion,
    jackknife_error,
    mean_error,
    paired_score,
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
        variance: Of one item's contribution: with many items the standard error is about
            sqrt(variance / n).
        gained: Items that were 0 (or wrong) in the first and 1 (or right) in the second; None
            where items aren't marked.
        lost: The other way round.
        df: Degrees of freedom of its error.
        lean: Skewness of the value over 6, with so many items.
        unseen: What no item was seen to do may move the value by, where that is known.
        carriers: Units that together carry half the spread, of those there are; None where items
            are right or wrong.
        doubt: Why the interval can't be trusted; empty where it can.
        clipped: Share of items of either sample that lay beyond the metric's ends.
    """

    value: float
    low: float
    high: float
    n: int
    variance: float
    gained: int | None
    lost: int | None
    df: float = math.inf
    lean: float = 0.0
    unseen: Unseen | None = None
    carriers: tuple[int, int] | None = None
    doubt: str = ""
    clipped: float = 0.0


def point(items: ItemValues) -> float:
    """Return the metric's value; a corrected rate is cut to 0 to 1."""
    data = items.data
    match data:
        case Numbers() if data.corrected:
            return min(1.0, max(0.0, float(data.values.mean())))
        case Numbers():
            return float(data.values.mean())
        case Ratio():
            return float(data.numerator.sum() / data.denominator.sum())
        case LabelledItems():
            return f1.f1(data)
        case Pooled():
            return data.value()
        case _:
            assert_never(data)


def interval(items: ItemValues, confidence: float = 0.95) -> Interval:
    """Return the metric's two-sided interval.

    Proportions, and means whose values are all 0 or 1: Wilson, or cluster-robust t where items
    depend on each other. Means: t, stratified or cluster-robust. Corrected rates: see
    ``correction``. F1 and ratios: delete-one (or delete-one-cluster) jackknife-t.

    Raises:
        EvaluationError: Fewer than two independent items: there is no interval.
    """
    _refuse_lone(items)
    if _is_corrected(items):
        return correction.ends(items, confidence=confidence)
    items, value = _marked(items)[0], point(items)
    if _is_proportion(items) and items.clusters is None:
        return wilson(round(value * len(items)), len(items), confidence)
    return t_interval(items, None, _movement(items), confidence)


def difference(first: ItemValues, second: ItemValues, confidence: float = 0.95) -> Difference:
    """Return second minus first, paired by item id, with its two-sided interval.

    Proportions: Tango's score interval, corrected at its ends. Means: paired t. F1 and ratios:
    delete-one jackknife-t of the difference. Strata and clusters as for one sample. Corrected
    rates: the difference of what the detector saw, over its power; both the rates may be cut to
    0 to 1, their difference is not.

    Raises:
        EvaluationError: The two don't have the same items, or fewer than two independent ones.
    """
    second = aligned(first, second)
    _refuse_lone(first)
    if _is_corrected(first):
        return _of_seen(correction.seen(first), correction.seen(second), confidence)
    first, second = _marked(first, second)
    n, value = len(first), point(second) - point(first)
    gained, lost = flips(first, second)
    if gained is not None and lost is not None and _is_proportion(first) and first.clusters is None:
        low, high = paired_score(gained, lost, n, confidence)
        # Where nothing flipped, one flip is assumed: else no number of items could be named.
        variance = max(gained + lost, 1) / n - value**2
        return Difference(value, low, high, n, variance, gained, lost)
    found = _movement(first, second)
    low, high = t_interval(first, second, found, confidence)
    return Difference(
        found.value,
        low,
        high,
        n,
        _variance(first, second, found.error),
        gained,
        lost,
        found.error.df,
        found.error.lean,
        unseen_movement(first, second),
        _carriers(first, found),
        doubt(first, found.moved),
        max(_clipped(first), _clipped(second)),
    )


def _of_seen(first: ItemValues, second: ItemValues, confidence: float) -> Difference:
    """Return the difference of two corrected rates from that of the rates that were seen."""
    found = difference(first, second, confidence)
    low, high = correction.scaled(Interval(found.low, found.high), confidence)
    weakest = correction.power_range(confidence).low
    return found._replace(
        value=found.value / correction.power(),
        low=low,
        high=high,
        variance=found.variance / weakest**2,
    )


def _variance(first: ItemValues, second: ItemValues, error: Error) -> float:
    """Return the variance of one item's contribution that more items would show.

    With few items a class the jackknife's is too large and the linearised one too small, by about
    as much (Efron and Stein 1981; seen in simulations of macro F1). Intervals keep the larger.
    """
    n, a, b = len(first), first.data, second.data
    found = n * error.se**2
    if not (isinstance(a, LabelledItems) and isinstance(b, LabelledItems) and a.average == "macro"):
        return found
    moved = _sums(f1.influence(b) - f1.influence(a), first.clusters)
    return (found + n * float(moved @ moved)) / 2


def above(items: ItemValues, threshold: float, confidence: float = 0.95) -> Difference:
    """Return how far one sample's metric is above a threshold, with its two-sided interval.

    Independent proportions: the exact interval, since an absolute requirement is no place for an
    approximation. Everything else as :func:`interval`.
    """
    _refuse_lone(items)
    if _is_corrected(items):
        low, high = correction.ends(items, confidence=confidence)
        value, spread = point(items), correction.spread_above(items, threshold, confidence)
        return Difference(
            value - threshold, low - threshold, high - threshold, len(items), spread, None, None
        )
    [items] = _marked(items)
    n, found = len(items), _movement(items)
    if _is_proportion(items) and items.clusters is None:
        low, high = exact_proportion(round(found.value * n), n, confidence)
    else:
        low, high = t_interval(items, None, found, confidence)
    return Difference(
        found.value - threshold,
        low - threshold,
        high - threshold,
        n,
        n * found.error.se**2,
        None,
        None,
        found.error.df,
        found.error.lean,
        unseen_movement(items),
        _carriers(items, found),
        doubt(items, found.moved),
        _clipped(items),
    )


def flips(first: ItemValues, second: ItemValues) -> tuple[int | None, int | None]:
    """Return how many aligned items went from 0 to 1 (wrong to right), and from 1 to 0."""
    before, after = _marks(first), _marks(second)
    if before is None or after is None:
        return None, None
    return int((~before & after).sum()), int((before & ~after).sum())


def _marks(items: ItemValues) -> Bools | None:
    data = items.data
    if isinstance(data, LabelledItems):
        return np.asarray(data.gold == data.predicted)
    return np.asarray(data.values > 0.5) if _is_proportion(items) else None  # type: ignore[union-attr]


def _is_proportion(items: ItemValues) -> bool:
    return isinstance(items.data, Numbers) and items.data.proportion


def _is_corrected(items: ItemValues) -> bool:
    return isinstance(items.data, Numbers) and items.data.corrected


def _marked(*samples: ItemValues) -> list[ItemValues]:
    """Return the samples as proportions if every value is 0 or 1, whatever they were declared."""
    data = [items.data for items in samples if isinstance(items.data, Numbers)]
    if len(data) < len(samples) or not all(_only_marks(d) for d in data):
        return list(samples)
    return [
        replace(items, data=replace(d, proportion=True))
        for items, d in zip(samples, data, strict=True)
    ]


def _only_marks(data: Numbers) -> bool:
    fits = not data.proportion and data.span in (None, (0.0, 1.0))
    return fits and bool(np.isin(data.values, (0.0, 1.0)).all())


def _refuse_lone(items: ItemValues) -> None:
    if units(items) < 2:
        raise EvaluationError(
            "an interval needs at least two independent items.",
            where="metrics",
            fix="evaluate more items.",
        )


def _movement(items: ItemValues, other: ItemValues | None = None) -> Movement:
    """Return the metric, or ``other``'s minus this one's, with what its units add to it."""
    values, sizes = _contribution(items), unit_sizes(items)
    if other is not None:
        values = _contribution(other) - values
    if isinstance(items.data, Numbers):
        centre = 0.0 if other is not None else float(np.median(values))
        moved = by_unit(values - centre, items.clusters)
        error = mean_error(values, items.strata, items.clusters)
        return Movement(float(values.mean()), moved, centre, error)
    value = point(items) if other is None else point(other) - point(items)
    # A unit's pseudo-value (Tukey 1958): of a mean, the value itself.
    pseudo = value + (len(values) - 1) * (values.mean() - values)
    centre = 0.0 if other is not None else float(np.median(pseudo))
    alike = items.clusters is None and not isinstance(items.data, Ratio)
    error = jackknife_error(values, None if alike else sizes)
    return Movement(value, np.asarray(pseudo - centre), centre, error)


def _clipped(items: ItemValues) -> float:
    return items.data.clipped if isinstance(items.data, Numbers | Ratio) else 0.0


def _carriers(items: ItemValues, found: Movement) -> tuple[int, int] | None:
    if _is_proportion(items) or isinstance(items.data, LabelledItems):
        return None
    return carriers(found.moved), len(found.moved)


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
        case LabelledItems() if items.clusters is None:
            return f1.without_each_item(data)
        case LabelledItems():
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
