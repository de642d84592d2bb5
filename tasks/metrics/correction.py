"""Rates seen through a detector that errs, with its error taken out.

With sensitivity Se and specificity Sp, the rate p shows as p Se + (1 - p)(1 - Sp), so that
p = (seen + Sp - 1) / (Se + Sp - 1) (Rogan and Gladen 1978, Am J Epidemiol 107:71-76).
"""

import math
from dataclasses import replace

import numpy as np

from tasks.errors import EvaluationError
from tasks.metrics.arrays import Floats
from tasks.metrics.intervals import Interval, mean_error, quantile
from tasks.metrics.values import ItemValues, Numbers
from tasks.scores import Estimate
from tasks.text.refusals.labelled import HELD_OUT, Labelled


def share(seen: bool, detector: Labelled = HELD_OUT) -> float:
    """Return what one item adds to the corrected rate: the rate is the mean of these.

    The value lies outside 0 to 1: alone it means nothing.
    """
    return float((seen + detector.specificity - 1) / power(detector))


def corrected(
    items: ItemValues, detector: Labelled = HELD_OUT, confidence: float = 0.95
) -> Estimate:
    """Return the corrected rate, cut to 0 to 1, with its two-sided interval.

    Where items depend on each other they count for as many independent ones as give the mean the
    same standard error.

    Args:
        items: With :func:`share` as values.
        detector: Whose error is taken out, the one of :func:`share`.
        confidence: Of the interval.
    """
    assert isinstance(items.data, Numbers)
    low, high = ends(items, detector, confidence)
    value = float(items.data.values.mean())
    return Estimate(value=min(1.0, max(0.0, value)), low=low, high=high, n=len(items))


def ends(items: ItemValues, detector: Labelled = HELD_OUT, confidence: float = 0.95) -> Interval:
    """Return the two-sided interval of the corrected rate of items, as :func:`corrected` has it."""
    marks = _marks(seen(items, detector))
    return interval(float(marks.mean()), effective_items(marks, items), detector, confidence)


def seen(items: ItemValues, detector: Labelled = HELD_OUT) -> ItemValues:
    """Return the items with what the detector said of each, 0 or 1, for their value.

    Raises:
        EvaluationError: The values weren't made with this detector's rates.
    """
    assert isinstance(items.data, Numbers)
    raw = items.data.values * power(detector) + 1 - detector.specificity
    marks = np.round(raw)
    if np.abs(raw - marks).max() > 1e-6 or not np.isin(marks, (0.0, 1.0)).all():
        raise EvaluationError(
            "the stored values were corrected by other error rates of the detector.",
            where="corrected rates",
            fix="evaluate the suite anew.",
        )
    return replace(items, data=Numbers(marks, proportion=True))


def scaled(ends: Interval, confidence: float, detector: Labelled = HELD_OUT) -> Interval:
    """Return the interval of a difference of corrected rates from that of the rates seen.

    The difference is that of the rates seen over Se + Sp - 1, provided that the detector errs on
    both models' answers alike. Each end is divided by the end of Se + Sp - 1 that takes it farther
    out: for two independent normal errors that is never above the level, since the root of their
    squares is at most their sum.
    """
    weak, strong = power_range(confidence, detector)
    low = ends.low / (weak if ends.low < 0 else strong)
    high = ends.high / (weak if ends.high > 0 else strong)
    return Interval(max(-1.0, low), min(1.0, high))


def power_range(confidence: float, detector: Labelled = HELD_OUT) -> Interval:
    """Return the interval of Se + Sp - 1, by the same counts as :func:`interval`."""
    (se, sp), (of_se, of_sp) = _rates(detector)
    half = quantile(confidence) * math.sqrt(of_se + of_sp)
    return Interval(max(1e-9, se + sp - 1 - half), min(1.0, se + sp - 1 + half))


def spread_above(
    items: ItemValues, threshold: float, confidence: float, detector: Labelled = HELD_OUT
) -> float:
    """Return the variance of one item's contribution, for the items that a threshold takes.

    The detector's own uncertainty doesn't shrink with more items. So the variance is raised to
    what gives the number that is needed beside it at 80 % power; infinite where none would do.
    """
    marks = _marks(seen(items, detector))
    rate, n = float(marks.mean()), len(items)
    own = max(rate * (1 - rate), 1 / n) * n / effective_items(marks, items) / power(detector) ** 2
    p = min(1.0, max(0.0, (rate + detector.specificity - 1) / power(detector)))
    (se, sp), (of_se, of_sp) = _rates(detector)
    stays = (p**2 * of_se + (1 - p) ** 2 * of_sp) / (se + sp - 1) ** 2
    distance = abs(p - threshold)
    # Of the two quantiles, the second is that of 80 %.
    taken = (quantile(confidence) + quantile(0.6)) ** 2 * stays
    return own / (1 - taken / distance**2) if distance**2 > taken else math.inf


def interval(seen: float, n: float, detector: Labelled, confidence: float = 0.95) -> Interval:
    """Return the interval of a corrected rate that carries the detector's own uncertainty.

    Lang and Reiczigel 2014 (Prev Vet Med 113:13-22): Se and Sp with one success and one failure
    added, the rate with z^2 items half of which are seen, normal, shifted for the skew.

    Args:
        seen: Share of items that the detector found.
        n: Items.
        detector: Counts of its labelled answers.
        confidence: Of the interval.
    """
    z2 = quantile(confidence) ** 2
    (se, sp), (of_se, of_sp) = _rates(detector)
    rate = (n * seen + z2 / 2) / (n + z2)
    p = (rate + sp - 1) / (se + sp - 1)
    shift = 2 * z2 * (p * of_se - (1 - p) * of_sp)
    spread = rate * (1 - rate) / (n + z2) + p**2 * of_se + (1 - p) ** 2 * of_sp
    half = math.sqrt(z2 * spread) / (se + sp - 1)
    return Interval(*(min(1.0, max(0.0, p + shift + side * half)) for side in (-1, 1)))


def effective_items(seen: Floats, items: ItemValues) -> float:
    """Return how many independent items the dependent ones are worth, at most their number."""
    rate, n = float(seen.mean()), len(items)
    if items.clusters is None or not 0 < rate < 1:
        return n if items.clusters is None else float(np.unique(items.clusters).size)
    variance = mean_error(seen, None, items.clusters).se ** 2
    return min(float(n), rate * (1 - rate) / variance) if variance else float(n)


def power(detector: Labelled = HELD_OUT) -> float:
    """Return Se + Sp - 1: how far a rate seen moves when the rate itself moves by 1."""
    return detector.sensitivity + detector.specificity - 1


def _rates(detector: Labelled) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return Se and Sp with one success and one failure added, and the variance of each."""
    n, m = detector.refusals + 2, detector.compliant + 2
    se, sp = (detector.found + 1) / n, (detector.passed + 1) / m
    return (se, sp), (se * (1 - se) / n, sp * (1 - sp) / m)


def _marks(items: ItemValues) -> Floats:
    assert isinstance(items.data, Numbers)
    return items.data.values
