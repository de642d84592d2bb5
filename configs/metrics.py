"""What a suite says of each metric it gives: direction, and how items make its value."""

from typing import Literal, NamedTuple

Estimator = Literal["proportion", "mean", "f1", "ratio", "corrected"]


LOG_PROB = (-12.0, 0.0)
"""Ends of a log-probability in nats: e^-12 is what an even guess among 160,000 tokens gets."""
LOG_PROB_PER_BYTE = (-4.0, 0.0)
"""The same for each byte of a text; an even guess among the 256 bytes would be -5.5."""
BITS_PER_BYTE = (0.0, 4.0)
"""Ends of a text's bits per byte: about four is what the frequencies of English letters give."""


ADVANTAGE = (-3.0, 3.0)
"""Ends of a right answer's log-probability above its item's mean."""
DIVERGENCE = (0.0, 3.0)
"""Ends of the divergence of two models over an item's options, in nats."""


class Metric(NamedTuple):
    """What a metric is.

    Attributes:
        better: Which way is better.
        estimator: ``proportion`` (mean of 0/1), ``mean`` (of reals), ``f1`` (of gold and
            prediction over a fixed label list), ``ratio`` (of two sums) or ``corrected`` (a rate
            with its detector's error taken out).
        chance: Value without any knowledge, where there is one; a loss can't be seen from there.
        span: Ends of what an item's value can be. Values beyond them count as at them, and their
            share is shown: a loss without end would let one rare item decide, and could never be
            excluded by those that were seen. Without ends a gate takes hundreds of items.
        interval: Whether an interval of it holds. What is picked by the same items, or summed over
            bins of them, is off however many are asked: it is shown and carries no gate.
        paired: Whether it is of two models, one compared with the other, and none of one alone.
    """

    better: Literal["higher", "lower"]
    estimator: Estimator
    chance: float | None = None
    span: tuple[float, float] | None = None
    paired: bool = False
    interval: bool = True

    @property
    def worst(self) -> float | None:
        """The end of its range from which it can't get worse, where that is finite."""
        ends = (0.0, 1.0) if self.estimator in ("proportion", "f1", "corrected") else self.span
        return None if ends is None else ends[0 if self.better == "higher" else 1]
