"""Intervals that know how far a metric could move where few items were seen to.

A spread says nothing of what was not seen. So no interval is narrower than what so many units
leave open: were a share p of them to move all the way, none of n is seen to with a chance of
(1 - p)^n, which excludes p only from 1 - alpha^(1/n) on (the "rule of three").
"""

from typing import NamedTuple

import numpy as np

from tasks.metrics.arrays import Floats, Ints
from tasks.metrics.f1 import LabelledItems, counts
from tasks.metrics.intervals import Error, Interval, exact_proportion, t_widths
from tasks.metrics.label_sets import HIT, MISS, LabelSets, f1_of
from tasks.metrics.pooled import Pooled
from tasks.metrics.values import ItemValues, Numbers, Ratio

FEW = 5
"""Units that carry the spread, below which it says little about how rare a change is."""
LOPSIDED = 0.05
"""Skewness of a mean over 6 (Efron's acceleration) from which on Student's interval can't be mended."""
MANY = 300
"""Units from which on the values seen may stand for ends that aren't known."""


class Unseen(NamedTuple):
    """How far a metric may still move by what no item was seen to do.

    Attributes:
        down: How far it falls if all units fall all the way, from the higher of the two values.
        up: How far it rises likewise, from the lower.
        units: Independent units, in effect, that would show it.
        label: The class that leaves most open, of macro-averaged metrics.
    """

    down: float
    up: float
    units: float
    label: str | None = None

    def widths(self, confidence: float, times: float = 1.0) -> Interval:
        """Return how far below and above its value an interval reaches at the least.

        Args:
            confidence: Two-sided.
            times: As many units as were seen.
        """
        share = rare_share(self.units * times, confidence)
        return Interval(self.down * share, self.up * share)


def rare_share(units: float, confidence: float) -> float:
    """Return the largest share of which none is seen in so many units (an end of Clopper-Pearson).

    Args:
        units: Independent ones.
        confidence: Two-sided; the share is excluded at its upper side alone.
    """
    return float(1 - ((1 - confidence) / 2) ** (1 / units))


class Movement(NamedTuple):
    """What a metric, or its difference, is made of.

    Attributes:
        value: Of the metric.
        moved: What each independent unit adds to it, shape (units,); their mean is the value, or
            the value less the centre that a single sample's units are taken from.
        centre: That centre; 0 for differences.
        error: Of the value.
    """

    value: float
    moved: Floats
    centre: float
    error: Error


def t_interval(
    items: ItemValues, other: ItemValues | None, found: Movement, confidence: float
) -> Interval:
    """Return a t interval, never narrower than few changes warrant.

    Args:
        items: The sample.
        other: The second model's items where the value is a difference.
        found: The value with what it is made of.
        confidence: Two-sided.
    """
    below, above = t_widths(found.error, confidence)
    rare = unseen_movement(items, other)
    if rare is None:
        return Interval(found.value - below, found.value + above)
    least = rare.widths(confidence)
    low, high = found.value - max(below, least.low), found.value + max(above, least.high)
    few, lean = effective(found.moved) < FEW, found.error.lean
    far = unseen(found.moved, rare.down, rare.up, confidence, effective_units(items))
    if few or lean < -LOPSIDED:
        low = min(low, found.centre + far.low)
    if few or lean > LOPSIDED:
        high = max(high, found.centre + far.high)
    ends = _ends(items)
    if ends is None:
        return Interval(low, high)
    width = ends[1] - ends[0]
    least_value, most = ends if other is None else (-width, width)
    return Interval(max(least_value, low), min(most, high))


def unseen_movement(items: ItemValues, other: ItemValues | None = None) -> Unseen | None:
    """Return how far the metric may move unseen, or None where its items have no ends.

    Where the ends aren't known, the least and the largest value seen stand for them.
    """
    samples = [items] if other is None else [items, other]
    if by_class := [_classes(x) for x in samples if _is_macro(x)]:
        return _of_classes(by_class, items)
    ends = _ends(items) or _ends_seen(samples)
    if ends is None:
        return None
    values = [_value(x) for x in samples]
    down, up = max(values) - ends[0], ends[1] - min(values)
    return Unseen(max(down, 0.0), max(up, 0.0), effective_units(items))


def doubt(items: ItemValues) -> str:
    """Return why no interval of these items can be trusted; empty where it can."""
    worth = effective_units(items)
    if (items.clusters is not None or isinstance(items.data, Ratio)) and worth < FEW:
        what = "texts" if items.clusters is None else "clusters"
        return (
            f"the largest of {units(items):,} {what} weighs so much that all are worth {worth:.3g} "
            f"of one size; an interval takes {FEW}"
        )
    if isinstance(items.data, Numbers | Ratio) and _ends(items) is None and worth < MANY:
        return (
            "the metric declares no ends of what an item can be, so what a rare item would lose "
            f"isn't known; under {MANY} independent items it can't be told from those seen"
        )
    return ""


def units(items: ItemValues) -> int:
    """Return the independent units: items, or clusters of them."""
    return len(items) if items.clusters is None else int(items.clusters.max()) + 1


def unit_sizes(items: ItemValues) -> Floats:
    """Return what each independent unit weighs: its items, or what a ratio divides by."""
    weights = items.data.denominator if isinstance(items.data, Ratio) else None
    if items.clusters is None:
        return np.ones(len(items)) if weights is None else weights
    return np.bincount(items.clusters, weights=weights).astype(np.float64)


def effective_units(items: ItemValues) -> float:
    """Return how many units of one size are worth as much: (sum of sizes)^2 / sum of squares.

    Kish 1965, 8.2. One dialogue that holds half of all items leaves fewer than four.
    """
    sizes = unit_sizes(items)
    return float(sizes.sum() ** 2 / (sizes @ sizes))


def _ends(items: ItemValues) -> tuple[float, float] | None:
    """Return the ends of what an item's value can be, where they are known."""
    data = items.data
    if isinstance(data, Numbers):
        return (0.0, 1.0) if data.proportion else data.span
    if isinstance(data, Ratio):
        return data.span
    bounded = data.bounded if isinstance(data, Pooled) else True
    return (0.0, 1.0) if bounded else None


def _ends_seen(samples: list[ItemValues]) -> tuple[float, float] | None:
    found = [_item_values(x) for x in samples]
    values = np.concatenate([v for v in found if v is not None] or [np.zeros(0)])
    return (float(values.min()), float(values.max())) if len(values) else None


def _item_values(items: ItemValues) -> Floats | None:
    data = items.data
    if isinstance(data, Numbers):
        return data.values
    return data.numerator / data.denominator if isinstance(data, Ratio) else None


def _value(items: ItemValues) -> float:
    data = items.data
    if isinstance(data, Numbers):
        return float(data.values.mean())
    if isinstance(data, Ratio):
        return float(data.numerator.sum() / data.denominator.sum())
    if isinstance(data, Pooled):
        return data.value()
    # Micro and weighted F1 fall to 0 at the most and rise to 1.
    weight = np.bincount(data.gold, minlength=len(data.labels)).astype(np.float64)
    return float(weight @ counts(data).scores() / max(weight.sum(), 1.0))


# Macro-averaged metrics: an item of a rare class weighs more than others.


class _Classes(NamedTuple):
    """Labels that occur in gold, the units that hold each, and each one's F1."""

    labels: tuple[str, ...]
    units: Ints
    scores: Floats


def _is_macro(items: ItemValues) -> bool:
    data = items.data
    return isinstance(data, LabelledItems | LabelSets) and data.average == "macro"


def _classes(items: ItemValues) -> _Classes:
    data = items.data
    if isinstance(data, LabelledItems):
        holds = data.gold[:, None]
        scores = counts(data).scores()
    else:
        assert isinstance(data, LabelSets)
        holds = np.where(np.isin(data.kinds, (HIT, MISS)), data.codes, -1)
        scores = f1_of(data.counts())
    support = _units_holding(holds, items.clusters, len(data.labels))
    there = np.flatnonzero(support)
    return _Classes(tuple(data.labels[i] for i in there), support[there], scores[there])


def _units_holding(holds: Ints, clusters: Ints | None, labels: int) -> Ints:
    item, column = np.nonzero(holds >= 0)
    unit = item if clusters is None else clusters[item]
    pairs = np.unique(unit * labels + holds[item, column])
    return np.bincount(pairs % labels, minlength=labels).astype(np.int64)


def _of_classes(found: list[_Classes], items: ItemValues) -> Unseen:
    """Return what the class leaves open that leaves most; a class moves the mean by its share."""
    first = found[0]
    scores = np.array([c.scores for c in found])
    down, up = scores.max(axis=0) / len(first.labels), (1 - scores.min(axis=0)) / len(first.labels)
    share = np.array([rare_share(float(n), 0.9) for n in first.units])
    worst = int(np.argmax(np.maximum(down, up) * share))
    whole = Unseen(
        float(scores.max(axis=0).mean()), float(1 - scores.min(axis=0).mean()), effective_units(items)
    )
    rare = Unseen(float(down[worst]), float(up[worst]), float(first.units[worst]))
    if max(whole.widths(0.9)) >= max(rare.widths(0.9)):
        return whole
    return rare._replace(label=first.labels[worst])


# Means of bounded values of which few differ: what was not seen may still be there.


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


def carriers(moved: Floats) -> int:
    """Return the fewest units that together carry half the spread (of squares)."""
    squares = np.sort(np.square(moved - moved.mean()))[::-1]
    if not squares.any():
        return 0
    return int(np.searchsorted(np.cumsum(squares), squares.sum() / 2) + 1)


def unseen(
    moved: Floats, down: float, up: float, confidence: float, worth: float | None = None
) -> Interval:
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
        worth: Units of one size that these are worth; all of them where it isn't given.
    """
    n = len(moved) if worth is None else worth
    return Interval(-_most(-moved, down, confidence, n), _most(moved, up, confidence, n))


def _most(moved: Floats, reach: float, confidence: float, n: float) -> float:
    if reach <= 0:
        return 0.0
    share = float(moved[moved > 0].sum()) / reach / len(moved)
    count = min(share * n, n)
    return reach * exact_proportion(count, n, confidence).high
