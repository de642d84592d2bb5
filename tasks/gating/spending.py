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
from functools import lru_cache

from scipy import integrate, optimize, special


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
