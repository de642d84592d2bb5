"""What a suite says of each metric it gives: direction, and how items make its value."""

from typing import Literal, NamedTuple

Estimator = Literal["proportion", "mean", "f1", "ratio", "corrected"]


class Metric(NamedTuple):
    """What a metric is.

    Attributes:
        better: Which way is better.
        estimator: ``proportion`` (mean of 0/1), ``mean`` (of reals), ``f1`` (of gold and
            prediction over a fixed label list), ``ratio`` (of two sums) or ``corrected`` (a rate
            with its detector's error taken out).
        chance: Value without any knowledge, where there is one; a loss can't be seen from there.
    """

    better: Literal["higher", "lower"]
    estimator: Estimator
    chance: float | None = None
