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
        span: Ends of what a ``mean``'s items can be, where they are finite.
    """

    better: Literal["higher", "lower"]
    estimator: Estimator
    chance: float | None = None
    span: tuple[float, float] | None = None

    @property
    def worst(self) -> float | None:
        """The end of its range from which it can't get worse, where that is finite."""
        ends = (0.0, 1.0) if self.estimator in ("proportion", "f1", "corrected") else self.span
        return None if ends is None else ends[0 if self.better == "higher" else 1]
