"""Rates seen through a detector that errs, with its error taken out.

With sensitivity Se and specificity Sp, the rate p shows as p Se + (1 - p)(1 - Sp), so that
p = (seen + Sp - 1) / (Se + Sp - 1) (Rogan and Gladen 1978, Am J Epidemiol 107:71-76).
"""

import math

import numpy as np

from tasks.artifacts import Estimate
from tasks.metrics.arrays import Floats
from tasks.metrics.intervals import Interval, mean_error, quantile
from tasks.metrics.values import ItemValues, Numbers
from tasks.text.refusals.labelled import HELD_OUT, Labelled


def share(seen: bool, detector: Labelled = HELD_OUT) -> float:
    """Return what one item adds to the corrected rate: the rate is the mean of these.

    The value lies outside 0 to 1: alone it means nothing.
    """
    return float((seen + detector.specificity - 1) / _power(detector))


def corrected(items: ItemValues, detector: Labelled = HELD_OUT, confidence: float = 0.95
              ) -> Estimate:  # fmt: skip
    """Return the corrected rate, cut to 0 to 1, with its two-sided interval.

    Where items depend on each other they count for as many independent ones as give the mean the
    same standard error.

    Args:
        items: With :func:`share` as values.
        detector: Whose error is taken out, the one of :func:`share`.
        confidence: Of the interval.
    """
    assert isinstance(items.data, Numbers)
    seen = items.data.values * _power(detector) + 1 - detector.specificity
    n = effective_items(seen, items)
    low, high = interval(float(seen.mean()), n, detector, confidence)
    value = float(items.data.values.mean())
    return Estimate(value=min(1.0, max(0.0, value)), low=low, high=high, n=len(items))


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
    se, sp = (
        (detector.found + 1) / (detector.refusals + 2),
        (detector.passed + 1) / (detector.compliant + 2),
    )
    rate = (n * seen + z2 / 2) / (n + z2)
    p = (rate + sp - 1) / (se + sp - 1)
    of_se, of_sp = se * (1 - se) / (detector.refusals + 2), sp * (1 - sp) / (detector.compliant + 2)
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


def _power(detector: Labelled) -> float:
    return detector.sensitivity + detector.specificity - 1
