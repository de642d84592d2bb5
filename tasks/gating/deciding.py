"""From an interval to a verdict: the rules of the three gates, and nothing else.

``hold`` is non-inferiority with a margin, ``improve`` superiority by an amount, ``floor`` an
absolute requirement on the candidate alone. All compare one-sided bounds (confidence 1 - alpha),
turned so that up is better, with a threshold: -margin, by, or 0 above ``at``. PASS: the lower
bound is above it. FAIL: the upper bound is below it. Otherwise the items at hand can't tell.
"""

from typing import Literal, NamedTuple

from configs.gates import FloorGate, Gate, HoldGate
from tasks.gating.power import needed_items
from tasks.metrics.paired import Difference

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]


class Outcome(NamedTuple):
    """A verdict with its reason, and the items that would decide where these can't."""

    verdict: Verdict
    reason: str
    needed_n: int | None = None


class Found(NamedTuple):
    """What a gate is decided on.

    Attributes:
        difference: Candidate minus reference; for a floor, candidate minus ``at``.
        better: Which way the metric is better.
        alpha: One-sided error of this look; the bounds are those of confidence 1 - 2 alpha.
    """

    difference: Difference
    better: Literal["higher", "lower"]
    alpha: float


def decide(gate: Gate, found: Found) -> Outcome:
    """Return the verdict that the bounds give."""
    sign = 1 if found.better == "higher" else -1
    d = found.difference
    low, high = sorted((sign * d.low, sign * d.high))
    threshold = _threshold(gate)
    sure = f"{1 - found.alpha:.4g}"
    if low > threshold:
        reason = f"at worst {_amount(gate, low)} (confidence {sure}); asked: {_asked(gate)}."
        return Outcome("PASS", reason)
    if high < threshold:
        reason = f"at best {_amount(gate, high)} (confidence {sure}); asked: {_asked(gate)}."
        return Outcome("FAIL", reason)
    needed, taken = _needed(gate, found, sign * d.value - threshold)
    then = (
        f"about {needed:,} would decide it, taking {taken} for true"
        if needed
        else ("no number of items in sight would decide it")
    )
    return Outcome(
        "INCONCLUSIVE",
        f"between {_amount(gate, low)} and {_amount(gate, high)} (confidence {sure} each way); "
        f"asked: {_asked(gate)}. {d.n:,} items can't tell; {then}.",
        needed,
    )


def _threshold(gate: Gate) -> float:
    if isinstance(gate, FloorGate):
        return 0.0
    return -gate.margin if isinstance(gate, HoldGate) else gate.by


def _needed(gate: Gate, found: Found, distance: float) -> tuple[int | None, str]:
    """Return the items that decide with 80 % power, and the difference that takes for true.

    A hold takes no change at all, the case it is there to show, unless that says no more than the
    items at hand; then, as for the others, what was seen.
    """
    d = found.difference
    if isinstance(gate, HoldGate):
        # With no change the square of the mean is no part of an item's variance.
        unchanged = needed_items(d.variance, gate.margin, found.alpha, (d.df, d.n))
        if unchanged is None or unchanged > d.n:
            return unchanged, "no change"
    needed = needed_items(d.variance, distance, found.alpha, (d.df, d.n))
    seen = "the value seen" if isinstance(gate, FloorGate) else "the difference seen"
    return needed and max(needed, d.n + 1), seen


def _asked(gate: Gate) -> str:
    if isinstance(gate, FloorGate):
        return f"better than {gate.at:.4g}"
    if isinstance(gate, HoldGate):
        return f"no worse than {gate.margin:.4g}"
    return f"better by more than {gate.by:.4g}"


def _amount(gate: Gate, change: float) -> str:
    if change == 0:
        return "just that" if isinstance(gate, FloorGate) else "no change"
    than = f" than {gate.at:.4g}" if isinstance(gate, FloorGate) else ""
    return f"{abs(change):.4g} {'better' if change > 0 else 'worse'}{than}"
