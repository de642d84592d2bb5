"""Two-sided confidence intervals for one sample and for paired samples.

A one-sided bound at confidence 1 - alpha is the same-side end of the two-sided interval at
confidence 1 - 2 alpha.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import optimize, stats

from tasks.metrics.arrays import Floats, Ints


class Interval(NamedTuple):
    """Lower and upper end."""

    low: float
    high: float


class Error(NamedTuple):
    """A standard error and its degrees of freedom."""

    se: float
    df: float


def quantile(confidence: float) -> float:
    """Return the normal quantile of a two-sided interval."""
    return float(stats.norm.ppf(0.5 + confidence / 2))


def wilson(successes: float, n: int, confidence: float = 0.95) -> Interval:
    """Return the score interval of a proportion (Wilson 1927)."""
    z2 = quantile(confidence) ** 2
    p, centre = successes / n, (successes + z2 / 2) / (n + z2)
    half = math.sqrt(z2 * (p * (1 - p) * n + z2 / 4)) / (n + z2)
    # At 0 and 1 the end is exact; rounding must not exclude the point itself.
    return Interval(min(p, max(0.0, centre - half)), max(p, min(1.0, centre + half)))


def tango(gained: int, lost: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the score interval of a paired difference of proportions (Tango 1998).

    Args:
        gained: Pairs in which only the second is a success.
        lost: Pairs in which only the first is.
        n: All pairs.
        confidence: Two-sided.

    Returns:
        Interval of (gained - lost) / n, by inverting the score test whose nuisance parameter is
        its constrained maximum-likelihood estimate; it keeps its level with few discordant pairs.
    """
    z = quantile(confidence)
    point = (gained - lost) / n

    def score(delta: float, target: float) -> float:
        b = -gained - lost + (2 * n - gained + lost) * delta
        c = -lost * delta * (1 - delta)
        q = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        spread = math.sqrt(max(n * (2 * q + delta * (1 - delta)), 0.0))
        # Multiplied out: the statistic itself is infinite at the ends.
        return gained - lost - n * delta - target * spread

    # Where nothing or everything flipped the point itself is a root too, not the one asked for.
    near, end = 1e-9, 1 - 1e-12
    low = -1.0 if point == -1 else float(optimize.brentq(score, -end, point - near, (z,)))
    high = 1.0 if point == 1 else float(optimize.brentq(score, point + near, end, (-z,)))
    return Interval(low, high)


def no_flips(n: int, confidence: float = 0.95) -> float:
    """Return the score half-width when nothing varied in ``n`` items: z^2 / (n + z^2).

    A resampling error of zero says only that changes are rare (the "rule of three"), so bounded
    statistics never get an interval narrower than this.
    """
    z2 = quantile(confidence) ** 2
    return z2 / (n + z2)


def t_half_width(error: Error, confidence: float = 0.95) -> float:
    """Return the half-width of a Student t interval."""
    if error.se == 0:
        return 0.0
    return float(stats.t.ppf(0.5 + confidence / 2, error.df)) * error.se


def mean_error(values: Floats, strata: Ints | None, clusters: Ints | None) -> Error:
    """Return the error of a mean.

    Clusters (dependent items): cluster-robust with df clusters - 1 (Miller 2024, eq. 4, with
    the G / (G - 1) correction). Strata (subjects): within-stratum variance only,
    sum(n_h s_h^2) / n^2, with df n - strata (Cochran 1977, 5.3). Neither: s^2 / n.
    """
    n = len(values)
    if clusters is not None:
        sums = np.bincount(clusters, weights=values - values.mean())
        g = len(sums)
        return Error(math.sqrt(float(sums @ sums) * g / (g - 1)) / n, g - 1)
    part = np.zeros(n, np.int64) if strata is None else pool_singletons(strata)
    sizes = np.bincount(part)
    centred = values - (np.bincount(part, weights=values) / sizes)[part]
    variance = np.bincount(part, weights=centred**2) / (sizes - 1)
    return Error(math.sqrt(float(sizes @ variance)) / n, n - len(sizes))


def pool_singletons(strata: Ints) -> Ints:
    """Return the strata as 0-based codes, those of one item joined.

    A stratum of one item has no variance of its own. Such items make one stratum together; a
    single one joins the smallest of the others.
    """
    part = np.unique(strata, return_inverse=True)[1].astype(np.int64)
    sizes = np.bincount(part)
    lone = sizes == 1
    if len(sizes) == 1 or not lone.any():
        return part
    target = int(np.argmax(lone))
    if lone.sum() == 1:
        target = int(np.argmin(np.where(lone, sizes.max() + 1, sizes)))
    part = np.where(lone[part], target, part)
    return np.unique(part, return_inverse=True)[1].astype(np.int64)


def jackknife_error(without_each: Floats) -> Error:
    """Return the delete-one jackknife error (Efron and Tibshirani 1993, eq. 11.5).

    Args:
        without_each: The statistic without each independent unit, shape (units,).
    """
    g = len(without_each)
    spread = float(((without_each - without_each.mean()) ** 2).sum())
    return Error(math.sqrt(spread * (g - 1) / g), g - 1)
