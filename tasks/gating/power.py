"""How many items a gate needs."""

import math

from scipy import stats

POWER = 0.8
"""Chance of a verdict at the number of items that INCONCLUSIVE names."""
MOST = 10**9
"""Beyond this a number of items says nothing but 'more than there are'."""


def needed_items(variance: float, distance: float, alpha: float) -> int | None:
    """Return the paired items at which the interval clears the threshold with 80 % power.

    n = (z_{1-alpha} + z_{power})^2 variance / distance^2, the normal approximation (e.g. Chow,
    Shao and Wang 2008, 3.2): 6,183 items for a margin of 0.01 at 10 % discordance and alpha 0.05.

    Args:
        variance: Of one item's contribution to the difference.
        distance: From the difference taken for true to the threshold.
        alpha: One-sided error.

    Returns:
        The items, or None where no number in sight would do.
    """
    if distance == 0:
        return None
    z = float(stats.norm.ppf(1 - alpha) + stats.norm.ppf(POWER))
    n = z**2 * variance / distance**2
    return math.ceil(n) if n <= MOST else None
