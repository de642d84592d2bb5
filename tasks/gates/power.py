"""How many items a gate needs, and how small a difference so many items can show."""

import math
from functools import lru_cache

from scipy import integrate, optimize, special

from tasks.metrics.intervals import paired_score, t_quantile
from tasks.metrics.paired import Difference

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


def items_to_decide(
    found: Difference, distance: float, alpha: float, worse_is_down: bool, unchanged: bool
) -> int | None:
    """Return the items at which the gate's own interval decides with 80 % power.

    Every part of the interval is taken at so many items: Student's width with its correction for
    skewness, what no item was seen to do, and for right and wrong the score interval itself.

    Args:
        found: The difference that couldn't tell.
        distance: From the difference taken for true to the threshold.
        alpha: One-sided error.
        worse_is_down: Whether the end that must clear the threshold is the lower one.
        unchanged: Whether no change is taken for true, with as many gains as losses.
    """
    if distance <= 0:
        return None
    power, variance = t_quantile(POWER, math.inf), max(found.variance, 0.0)
    if unchanged and found.gained is not None and found.lost is not None:
        # With no change the square of the mean is a part of an item's variance.
        variance = max(found.gained + found.lost, 1) / found.n

    def decides(n: int) -> bool:
        reach = _reach(found, n, alpha, worse_is_down, unchanged)
        return reach + power * math.sqrt(variance / n) <= distance

    few, many = 1, 2
    while not decides(many):
        few, many = many, many * 2
        if many > MOST:
            return None
    while many - few > max(1, few // 10_000):
        middle = (few + many) // 2
        few, many = (few, middle) if decides(middle) else (middle, many)
    return many


def _reach(found: Difference, n: int, alpha: float, worse_is_down: bool, unchanged: bool) -> float:
    """Return how far the interval of ``n`` items reaches towards the threshold."""
    if found.unseen is None and found.gained is not None and found.lost is not None:
        flips = found.gained + found.lost, found.gained - found.lost
        turn = 1 if worse_is_down else -1
        share = max(flips[0], 1) * n / found.n
        tilt = 0.0 if unchanged else turn * flips[1] * n / found.n
        gained, lost = (share + tilt) / 2, (share - tilt) / 2
        return (gained - lost) / n - paired_score(gained, lost, n, 1 - 2 * alpha).low
    times = n / found.n
    df = found.df if math.isinf(found.df) else max((found.df + 1) * times - 1, 1.0)
    t, se = t_quantile(1 - alpha, df), math.sqrt(max(found.variance, 0.0) / n)
    lean = (-found.lean if worse_is_down else found.lean) / math.sqrt(times)
    width = t * se + max(lean, 0.0) * (1 + 2 * t * t) * se
    if found.unseen is None:
        return width
    return max(width, found.unseen.width(1 - 2 * alpha, times))


def chance_of_passing(n: int, discordance: float, margin: float, alpha: float) -> float:
    """Return the chance that ``n`` paired items show a margin of a candidate without any change."""
    distance = margin * math.sqrt(n / discordance)
    return float(special.ndtr(distance - t_quantile(1 - alpha, math.inf)))


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
