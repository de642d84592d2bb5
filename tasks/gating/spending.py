"""One error shared honestly between two looks at the same gate.

With ``extend`` an INCONCLUSIVE gate is judged once more on more items. Judging twice at alpha
let a candidate just at the threshold pass more often than that (8.8 % instead of 5 %, with four
times as many items). So the first look spends a part of alpha, by the function of Lan and DeMets
(1983, Biometrika 70:659) that resembles Pocock's boundary, and the second look has the rest: its
own level is such that, over both looks, such a candidate passes with probability alpha. The number
of items of the second look is fixed by the recipe, never by what the first look saw, which the
theory asks for.
"""

import math

from scipy import integrate, optimize, stats


def first_level(alpha: float, fraction: float) -> float:
    """Return the one-sided level of the first look: alpha ln(1 + (e - 1) fraction).

    Args:
        alpha: One-sided error of both looks together.
        fraction: Items of the first look over items of both.
    """
    return alpha * math.log(1 + (math.e - 1) * min(fraction, 1.0))


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
    first, root = float(stats.norm.ppf(1 - spent)), math.sqrt(fraction)

    def error(second: float) -> float:
        # Given the second statistic z, the first is normal(root z, 1 - fraction).
        def both(z: float) -> float:
            return float(
                stats.norm.pdf(z) * stats.norm.cdf((first - root * z) / math.sqrt(1 - fraction))
            )

        return float(integrate.quad(both, second, 10.0, epsabs=1e-10)[0]) - (alpha - spent)

    # Between a first look that spent nothing and one that has nothing to do with the second.
    ends = (float(stats.norm.isf(alpha)) - 0.01, float(stats.norm.isf(alpha - spent)) + 0.01)
    return float(stats.norm.sf(optimize.brentq(error, *ends)))
