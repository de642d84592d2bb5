"""Intervals that know how far a metric could move where few items were seen to.

A spread says nothing of what was not seen. So no interval is narrower than what so many units
leave open: were a share p of them to move all the way, none of n is seen to with a chance of
(1 - p)^n, which excludes p only from 1 - alpha^(1/n) on (the "rule of three").
"""

from typing import NamedTuple

import numpy as np

from tasks.metrics.arrays import Floats, Ints
from tasks.metrics.f1 import LabelledItems
from tasks.metrics.intervals import Error, Interval, exact_proportion, t_widths
from tasks.metrics.label_sets import HIT, MISS, LabelSets
from tasks.metrics.pooled import Pooled
from tasks.metrics.values import ItemValues, Numbers, Ratio

FEW = 5
"""Units that carry the spread, below which it says little about how rare a change is."""
LOPSIDED = 0.05
"""Skewness of a mean over 6 (Efron 1987) from which on Student's interval can't be mended."""
CARRYING = 30
"""Units that must carry the spread where the ends aren't known."""
MANY = 300
"""Units from which on the values seen may stand for ends that aren't known."""


class Unseen(NamedTuple):
    """How far a metric may still move by what no item was seen to do.

    Attributes:
        reach: How far it moves if all units move all the way.
        units: Independent units, in effect, that would show it.
        known: Whether the ends of an item's value are; otherwise those seen stand for them.
        label: The class that leaves most open, of macro-averaged metrics.
    """

    reach: float
    units: float
    known: bool = True
    label: str | None = None

    def width(self, confidence: float, times: float = 1.0) -> float:
        """Return how far an interval reaches at the least; 0 where the ends aren't known.

        Args:
            confidence: Two-sided.
            times: As many units as were seen.
        """
        return self.reach * rare_share(self.units * times, confidence) if self.known else 0.0


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
    least = rare.width(confidence)
    low, high = found.value - max(below, least), found.value + max(above, least)
    few, lean = effective(found.moved) < FEW, found.error.lean
    down, up = _farthest(items, other, found.centre)
    far = unseen(found.moved, down, up, confidence, effective_units(items))
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


def _farthest(items: ItemValues, other: ItemValues | None, centre: float) -> tuple[float, float]:
    """Return how far one unit can fall and rise from the centre."""
    low, high = _ends(items) or _ends_seen(items, other) or (0.0, 0.0)
    if other is not None or not isinstance(items.data, Numbers):
        return high - low, high - low
    return centre - low, high - centre


def unseen_movement(items: ItemValues, other: ItemValues | None = None) -> Unseen | None:
    """Return how far the metric may move unseen, or None where its items have no ends."""
    if _is_macro(items):
        return _of_classes(items)
    if ends := _ends(items):
        return Unseen(ends[1] - ends[0], effective_units(items))
    if seen := _ends_seen(items, other):
        return Unseen(seen[1] - seen[0], effective_units(items), known=False)
    return None


def doubt(items: ItemValues, moved: Floats) -> str:
    """Return why no interval of these items can be trusted; empty where it can.

    Args:
        items: The sample, or the first of two.
        moved: What each unit adds to the value.
    """
    worth = effective_units(items)
    if (items.clusters is not None or isinstance(items.data, Ratio)) and worth < FEW:
        what = "texts" if items.clusters is None else "clusters"
        return (
            f"the largest of {units(items):,} {what} weighs so much that all are worth {worth:.3g} "
            f"of one size; an interval takes {FEW}"
        )
    if not isinstance(items.data, Numbers | Ratio) or _ends(items) is not None:
        return ""
    unknown = (
        "the metric declares no ends of what an item can be, so what a rare item would lose isn't "
        "known"
    )
    if worth < MANY:
        return f"{unknown}; under {MANY} independent items it can't be told from those seen"
    if 0 < effective(moved) < CARRYING:
        return f"{unknown}, and {effective(moved):.0f} of {worth:,.0f} items carry the spread"
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


def _ends_seen(items: ItemValues, other: ItemValues | None) -> tuple[float, float] | None:
    found = [_item_values(x) for x in (items, other) if x is not None]
    values = np.concatenate([v for v in found if v is not None] or [np.zeros(0)])
    return (float(values.min()), float(values.max())) if len(values) else None


def _item_values(items: ItemValues) -> Floats | None:
    data = items.data
    if isinstance(data, Numbers):
        return data.values
    return data.numerator / data.denominator if isinstance(data, Ratio) else None


# Macro-averaged metrics: an item of a rare class weighs more than others.


def _is_macro(items: ItemValues) -> bool:
    data = items.data
    return isinstance(data, LabelledItems | LabelSets) and data.average == "macro"


def _of_classes(items: ItemValues) -> Unseen:
    """Return what the class of fewest items leaves open, or all items where that is more."""
    data = items.data
    if isinstance(data, LabelledItems):
        holds = data.gold[:, None]
    else:
        assert isinstance(data, LabelSets)
        holds = np.where(np.isin(data.kinds, (HIT, MISS)), data.codes, -1)
    item, column = np.nonzero(holds >= 0)
    unit = item if items.clusters is None else items.clusters[item]
    pairs = np.unique(unit * len(data.labels) + holds[item, column])
    support = np.bincount(pairs % len(data.labels), minlength=len(data.labels))
    there = np.flatnonzero(support)
    rarest = int(there[np.argmin(support[there])])
    # A class moves the mean by its share of the classes.
    rare = Unseen(1 / len(there), float(support[rarest]), label=data.labels[rarest])
    whole = Unseen(1.0, effective_units(items))
    return max(whole, rare, key=lambda x: x.width(0.9))


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
