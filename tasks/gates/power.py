"""How many items a gate needs, and how small a difference so many items can show."""

import math
from functools import lru_cache

from scipy import integrate, optimize, special

from tasks.metrics.intervals import t_quantile

POWER = 0.8
"""Chance of a verdict at the number of items that INCONCLUSIVE names."""
MOST = 10**9
"""Beyond this a number of items says nothing but 'more than there are'."""


def needed_items(
    variance: float, distance: float, alpha: float, freedom: tuple[float, int] = (math.inf, 1)
) -> int | None:
    """Return the paired items at which the interval clears the threshold with 80 % power.

    n = (t_{1-alpha} + t_{power})^2 variance / distance^2, the normal approximation (e.g. Chow,
    Shao and Wang 2008, 3.2) with Student's quantiles: 6,183 items for a margin of 0.01 at 10 %
    discordance and alpha 0.05.

    Args:
        variance: Of one item's contribution to the difference.
        distance: From the difference taken for true to the threshold.
        alpha: One-sided error.
        freedom: Degrees of freedom seen, and the items they were seen with; they grow alike.

    Returns:
        The items, or None where no number in sight would do.
    """
    if distance == 0:
        return None
    df, seen = freedom
    n = _both_quantiles(alpha, math.inf) ** 2 * variance / distance**2
    # Few clusters have few degrees of freedom; two rounds settle the number.
    for _ in range(2):
        if not n <= MOST:
            return None
        more = max(df * n / seen, 2.0) if math.isfinite(df) else df
        n = _both_quantiles(alpha, more) ** 2 * variance / distance**2
    return math.ceil(n) if n <= MOST else None


def resolvable(n: int, discordance: float, alpha: float) -> float:
    """Return the smallest margin that ``n`` paired items show with 80 % power.

    The two models are taken to be equally good and to differ on a share ``discordance`` of items,
    so that an item's difference has just that variance.
    """
    return _both_quantiles(alpha, math.inf) * math.sqrt(discordance / n)


def bearable_spread(n: int, margin: float, alpha: float) -> float:
    """Return the standard deviation of an item's difference up to which ``n`` show a margin."""
    return margin * math.sqrt(n) / _both_quantiles(alpha, math.inf)


def _both_quantiles(alpha: float, df: float) -> float:
    return t_quantile(1 - alpha, df) + t_quantile(POWER, df)


# One error shared honestly between two looks at the same gate.


def first_level(alpha: float, fraction: float) -> float:
    """Return the one-sided level of the first look: alpha ln(1 + (e - 1) fraction).

    Args:
        alpha: One-sided error of both looks together.
        fraction: Items of the first look over items of both.
    """
    return alpha * math.log(1 + (math.e - 1) * min(fraction, 1.0))


@lru_cache(maxsize=1024)
def second_level(alpha: float, spent: float, fraction: float) -> float:
    """Return the one-sided level of the second look, over all items.

    Solves P(first look doesn't pass, second does) = alpha - spent, the two statistics being
    normal with correlation sqrt(fraction).

    Args:
        alpha: One-sided error of both looks together.
        spent: Level of the first look.
        fraction: Items of the first look over items of both; 1 where there were no more.
    """
    if fraction >= 1:
        return alpha
    first, root = -float(special.ndtri(spent)), math.sqrt(fraction)
    rest, norm = math.sqrt(1 - fraction), math.sqrt(2 * math.pi)

    def both(z: float) -> float:
        # Given the second statistic z, the first is normal(root z, 1 - fraction).
        return math.exp(-z * z / 2) / norm * float(special.ndtr((first - root * z) / rest))

    def error(second: float) -> float:
        return float(integrate.quad(both, second, 10.0, epsabs=1e-10)[0]) - (alpha - spent)

    # Between a first look that spent nothing and one that has nothing to do with the second.
    ends = (-float(special.ndtri(alpha)) - 0.01, -float(special.ndtri(alpha - spent)) + 0.01)
    return float(special.ndtr(-optimize.brentq(error, *ends)))
