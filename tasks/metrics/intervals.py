"""Two-sided confidence intervals for one sample and for paired samples.

A one-sided bound at confidence 1 - alpha is the same-side end of the two-sided interval at
confidence 1 - 2 alpha.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import optimize, special, stats

from tasks.metrics.arrays import Floats, Ints

CONTINUITY = 0.25
"""Pairs by which the paired score is moved towards the threshold, since counts are whole."""


class Interval(NamedTuple):
    """Lower and upper end."""

    low: float
    high: float


class Error(NamedTuple):
    """A standard error.

    Attributes:
        se: Itself.
        df: Its degrees of freedom.
        lean: Skewness of the estimate over 6, the acceleration of Efron (1987): the sum of
            influences cubed over 6 (sum of their squares)^1.5.
    """

    se: float
    df: float
    lean: float = 0.0


def quantile(confidence: float) -> float:
    """Return the normal quantile of a two-sided interval."""
    return float(special.ndtri(0.5 + confidence / 2))


def t_quantile(probability: float, df: float) -> float:
    """Return Student's quantile; the normal one where ``df`` is infinite."""
    # scipy.stats says the same, a hundred times slower.
    return float(special.ndtri(probability) if math.isinf(df) else special.stdtrit(df, probability))


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


def paired_score(gained: float, lost: float, n: int, confidence: float = 0.95) -> Interval:
    """Return :func:`tango`'s interval, made to keep its level at each end by itself.

    Tango's ends miss by more than they may where few pairs are discordant and the difference is
    not zero: at 100 pairs, 4 % of them discordant, an upward error of 5 % becomes 8.8 %. Two
    corrections mend that, both only ever outwards: for the skewness of the score (Gart and Nam
    1988; Laud 2017), and for continuity by a quarter of a pair. Over every difference from -0.2
    to 0.2 and every discordance from 0.5 % to 40 %, the exact error of an end at a nominal 5 % is
    then at most 5.6 % from 100 pairs on.

    Args:
        gained: Pairs in which only the second is a success.
        lost: Pairs in which only the first is.
        n: All pairs.
        confidence: Two-sided.
    """
    z = quantile(confidence)
    low = _paired_low(gained, lost, n, z)
    return Interval(low, -_paired_low(lost, gained, n, z))


def _paired_low(gained: float, lost: float, n: int, z: float) -> float:
    def score(delta: float) -> float:
        variance, skew = _constrained(gained, lost, n, delta)
        lean = max(skew, 0.0) * max(z * z - 1, 0.0) / 6
        return gained - lost - n * delta - CONTINUITY - z * math.sqrt(variance) - lean

    point, end = (gained - lost) / n, -1 + 1e-12
    # A handful of pairs, nearly all lost, exclude nothing.
    if point <= end or score(end) <= 0:
        return -1.0
    return float(optimize.brentq(score, end, point))


def _constrained(gained: float, lost: float, n: int, delta: float) -> tuple[float, float]:
    """Return variance and (third moment / variance) of gained - lost, were delta the truth.

    The nuisance parameter, the chance of a loss, is at its constrained maximum-likelihood estimate.
    """
    b = -gained - lost + (2 * n - gained + lost) * delta
    c = -lost * delta * (1 - delta)
    loss = max((math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n), -delta, 0.0)
    gain = loss + delta
    one = max(gain + loss - delta * delta, 0.0)
    third = gain * (1 - delta) ** 3 - loss * (1 + delta) ** 3 - (1 - gain - loss) * delta**3
    return n * one, third / one if one > 0 else 0.0


def mcnemar(gained: int, lost: int) -> float:
    """Return McNemar's two-sided mid-p value (Fagerland, Lydersen and Laake 2013).

    Half the probability of what was seen is left out, which keeps the level where the exact test
    wastes it and the asymptotic one exceeds it. 1 where nothing flipped.
    """
    few, flipped = min(gained, lost), gained + lost
    exact = 2 * float(stats.binom.cdf(few, flipped, 0.5)) - float(
        stats.binom.pmf(few, flipped, 0.5)
    )
    return min(exact, 1.0)


def newcombe(gained: int, lost: int, both: int, n: int, confidence: float = 0.95) -> Interval:
    """Return the hybrid score interval of a paired difference (Newcombe 1998, method 10).

    The two Wilson intervals are squared and added, with the correlation of the pairs between
    them. :func:`paired_score` judges; this one needs no search and is there to check it.

    Args:
        gained: Pairs in which only the second is a success.
        lost: Pairs in which only the first is.
        both: Pairs in which both are.
        n: All pairs.
        confidence: Two-sided.
    """
    after, before = both + gained, both + lost
    one, two = wilson(after, n, confidence), wilson(before, n, confidence)
    below, above = (
        (after / n - one.low, two.high - before / n),
        (one.high - after / n, before / n - two.low),
    )
    r, point = _phi(gained, lost, both, n), (gained - lost) / n

    def spread(a: float, b: float) -> float:
        return math.sqrt(max(a * a - 2 * r * a * b + b * b, 0.0))

    return Interval(max(point - spread(*below), -1.0), min(point + spread(*above), 1.0))


def _phi(gained: int, lost: int, both: int, n: int) -> float:
    neither = n - gained - lost - both
    sides = (both + gained) * (lost + neither) * (both + lost) * (gained + neither)
    if sides == 0:
        return 0.0
    cross = float(both * neither - gained * lost)
    # Newcombe's correction for a positive correlation.
    cross = max(cross - n / 2, 0.0) if cross > 0 else cross
    return cross / math.sqrt(sides)


def exact_proportion(successes: float, n: float, confidence: float = 0.95) -> Interval:
    """Return the exact interval of a proportion (Clopper and Pearson 1934).

    Never above its level, for an absolute requirement: Wilson's lower end, at 100 items and a true
    share of 3 %, is above it 8.4 % of the time at a nominal 5 %.
    """
    tail = (1 - confidence) / 2
    low = special.betaincinv(successes, n - successes + 1, tail) if successes > 0 else 0.0
    high = special.betaincinv(successes + 1, n - successes, 1 - tail) if successes < n else 1.0
    return Interval(float(low), float(high))


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
    return t_quantile(0.5 + confidence / 2, error.df) * error.se


def t_widths(error: Error, confidence: float = 0.95) -> Interval:
    """Return how far a t interval reaches below and above its value.

    Where the estimate is skewed, Student's interval misses on one side more often than it may (a
    loss of a tenth in 20 dialogues: 6.6 % at a nominal 5 %). That side is moved outwards by
    lean (1 + 2 t^2) se, the first term of the expansion of a studentised estimate (Johnson 1978;
    Hall 1992, 3.5); the other side is left, since a skewness is estimated badly from few items.
    """
    half = t_half_width(error, confidence)
    t = t_quantile(0.5 + confidence / 2, error.df) if error.se > 0 else 0.0
    shift = error.lean * (1 + 2 * t * t) * error.se
    return Interval(half + max(-shift, 0.0), half + max(shift, 0.0))


def mean_error(values: Floats, strata: Ints | None, clusters: Ints | None) -> Error:
    """Return the error of a mean.

    Clusters (dependent items): delete-one-cluster jackknife, whose df is the clusters of one size
    that they are worth less one (see :func:`jackknife_error`). Strata (subjects): within-stratum
    variance only, sum(n_h s_h^2) / n^2 (Cochran 1977, 5.3), with the df of Satterthwaite 1946,
    since strata of a few items may vary more than others. Neither: s^2 / n.
    """
    n = len(values)
    if clusters is not None:
        sizes = np.bincount(clusters).astype(np.float64)
        sums = np.bincount(clusters, weights=values).astype(np.float64)
        return jackknife_error((sums.sum() - sums) / (n - sizes), sizes)
    part = np.zeros(n, np.int64) if strata is None else pool_singletons(strata)
    sizes = np.bincount(part).astype(np.float64)
    centred = values - (np.bincount(part, weights=values) / sizes)[part]
    own = sizes * np.bincount(part, weights=centred**2) / (sizes - 1)
    total = float(own.sum())
    df = float(n - len(sizes))
    if total > 0:
        shares = own / total  # squares of small numbers vanish
        df = 1 / float((shares**2 / (sizes - 1)).sum())
    return Error(math.sqrt(total) / n, df, _lean(np.asarray(centred)))


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


def jackknife_error(without_each: Floats, sizes: Floats | None = None) -> Error:
    """Return the delete-one jackknife error (Efron and Tibshirani 1993, eq. 11.5).

    Units of very different sizes have fewer degrees of freedom than their number: one less than
    the units of one size that they are worth, (sum of sizes)^2 / sum of squares.

    Args:
        without_each: The statistic without each independent unit, shape (units,).
        sizes: Of the units; all alike where they aren't given.
    """
    g = len(without_each)
    influence = without_each.mean() - without_each
    spread = float(influence @ influence)
    worth = g if sizes is None else float(sizes.sum() ** 2 / (sizes @ sizes))
    return Error(math.sqrt(spread * (g - 1) / g), max(worth - 1, 1.0), _lean(influence))


def _lean(influences: Floats) -> float:
    largest = float(np.abs(influences).max())
    if largest == 0:
        return 0.0
    scaled = influences / largest  # cubes of small numbers vanish
    return float((scaled**3).sum()) / (6 * math.pow(float(scaled @ scaled), 1.5))
