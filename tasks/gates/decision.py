"""From an interval to a verdict: the rules of the three gates, and nothing else.

``hold`` is non-inferiority with a margin, ``improve`` superiority by an amount, ``floor`` an
absolute requirement on the candidate alone. All compare one-sided bounds (confidence 1 - alpha),
turned so that up is better, with a threshold: -margin, by, or 0 above ``at``. PASS: the lower
bound is above it. FAIL: the upper bound is below it. Otherwise the items at hand can't tell.
"""

from typing import Literal, NamedTuple

from configs.gates import FEWEST_A_CLASS, FloorGate, Gate, HoldGate, ImproveGate
from configs.metrics import Metric
from tasks.gates.power import items_to_decide
from tasks.metrics.chance import AboveChance, falls_below_chance, judged_above_chance
from tasks.metrics.estimates import estimate
from tasks.metrics.f1 import LabelledItems, support
from tasks.metrics.label_sets import LabelSets
from tasks.metrics.paired import Difference
from tasks.metrics.values import ItemValues
from tasks.scores import GateResult, SuiteScores

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]


class Outcome(NamedTuple):
    """A verdict with its reason, and the items that would decide where these can't."""

    verdict: Verdict
    reason: str
    needed_n: int | None = None


class Evidence(NamedTuple):
    """What a gate is decided on.

    Attributes:
        difference: Candidate minus reference; for a floor, candidate minus ``at``.
        better: Which way the metric is better.
        alpha: One-sided error of this look; the bounds are those of confidence 1 - 2 alpha.
    """

    difference: Difference
    better: Literal["higher", "lower"]
    alpha: float


def decide(gate: Gate, found: Evidence) -> Outcome:
    """Return the verdict that the bounds give, or why there are none to trust."""
    sign = 1 if found.better == "higher" else -1
    d = found.difference
    if d.doubt:
        return Outcome("INCONCLUSIVE", f"{d.doubt}.")
    low, high = sorted((sign * d.low, sign * d.high))
    threshold = _threshold(gate)
    sure, beside = f"{1 - found.alpha:.4g}", _beside(d)
    if low > threshold:
        reason = f"at worst {_amount(gate, low)} (confidence {sure}); asked: {_asked(gate)}."
        return Outcome("PASS", reason + beside)
    if high < threshold:
        reason = f"at best {_amount(gate, high)} (confidence {sure}); asked: {_asked(gate)}."
        return Outcome("FAIL", reason + beside)
    needed, taken = _needed(gate, found, sign * d.value - threshold)
    then = (
        f"about {needed:,} would decide it, taking {taken} for true"
        if needed
        else ("no number of items in sight would decide it")
    )
    return Outcome(
        "INCONCLUSIVE",
        f"between {_amount(gate, low)} and {_amount(gate, high)} (confidence {sure} each way); "
        f"asked: {_asked(gate)}. {d.n:,} items can't tell; {then}.{beside}",
        needed,
    )


def _beside(d: Difference) -> str:
    """Return what a reader must know of the items: who carries the spread, and what was clipped."""
    said = []
    if d.carriers is not None and 0 < d.carriers[0] <= d.carriers[1] / 10:
        verb = "carries" if d.carriers[0] == 1 else "carry"
        said.append(f"{d.carriers[0]:,} of {d.carriers[1]:,} {verb} half the spread")
    if d.unseen is not None and d.unseen.label is not None:
        said.append(f"the class '{d.unseen.label}' ({d.unseen.units:,.0f} items) leaves most open")
    if d.clipped > 0:
        said.append(f"{d.clipped:.1%} of the items lie beyond the metric's ends and count as there")
    return "".join(f" {x[:1].upper()}{x[1:]}." for x in said)


def _threshold(gate: Gate) -> float:
    if isinstance(gate, FloorGate):
        return 0.0
    return -gate.margin if isinstance(gate, HoldGate) else gate.by


def _needed(gate: Gate, found: Evidence, distance: float) -> tuple[int | None, str]:
    """Return the items that decide with 80 % power, and the difference that takes for true.

    A hold takes no change at all, the case it is there to show, unless that says no more than the
    items at hand; then, as for the others, what was seen.
    """
    d, up = found.difference, found.better == "higher"
    if isinstance(gate, HoldGate):
        unchanged = items_to_decide(d, gate.margin, found.alpha, up, True)
        if unchanged is None or unchanged > d.n:
            return unchanged, "no change"
    # Above the threshold the worse end must clear it, below it the better one.
    needed = items_to_decide(d, abs(distance), found.alpha, up == (distance > 0), False)
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


# Reasons for which a gate says INCONCLUSIVE before any bound is looked at.


def refusal(
    gate: Gate, metric: Metric, first: ItemValues, chance: AboveChance | None = None
) -> Outcome | None:
    """Return why the gate can't be judged on these items, or None.

    Args:
        gate: Any gate.
        metric: What its metric is.
        first: The reference model's items (for a floor, the candidate's).
        chance: What the metric is by chance on that model, where right answers have a part in it.
    """
    if not metric.interval:
        return Outcome("INCONCLUSIVE", "the metric has no interval that holds.")
    if thin := _thin_classes(gate, first):
        return thin
    name = gate.metric.partition("/")[2]
    if chance is None or falls_below_chance(name) or chance.chance == metric.worst:
        return _at_floor(gate, metric, first)
    if isinstance(gate, FloorGate) and not judged_above_chance(name):
        return None
    return _at_chance(gate, metric, first, chance)


def unpaired(gate: Gate, reference: SuiteScores, candidate: SuiteScores) -> GateResult:
    """Return the outcome on a metric that came as one number a model, without its items.

    What is certain of the difference is that it lies between the ends of the metric's range.

    Args:
        gate: Any gate.
        reference: Of the model compared with.
        candidate: Of the same suite.
    """
    name = gate.metric.partition("/")[2]
    first, second = reference.metrics[name], candidate.metrics[name]
    low, high = second.low - first.high, second.high - first.low
    value = second.value - first.value
    if isinstance(gate, FloorGate):
        value, low, high = second.value - gate.at, second.low - gate.at, second.high - gate.at
    return GateResult(
        metric=gate.metric,
        rule=gate.rule,
        verdict="INCONCLUSIVE",
        base=first.value,
        candidate=second.value,
        difference=value,
        low=low,
        high=high,
        n=0,
        needed_n=None,
        reason="the metric came as one number without its items, so how far chance reaches can't "
        "be told.",
        alpha=gate.alpha,
        policy=gate.on_inconclusive,
        against=None if isinstance(gate, FloorGate) else gate.against,
        reference_digest=reference.weights_digest,
        candidate_digest=candidate.weights_digest,
        fingerprint=candidate.fingerprint,
        split=str(candidate.made.get("split", "")),
    )


def _thin_classes(gate: Gate, first: ItemValues) -> Outcome | None:
    data = first.data
    if not isinstance(data, LabelledItems | LabelSets) or data.average != "macro":
        return None
    counted = support(data) if isinstance(data, LabelledItems) else data.support()
    there = dict(zip(data.labels, counted.tolist(), strict=True))
    thin = {label: k for label, k in there.items() if 0 < k < FEWEST_A_CLASS}
    if not thin:
        return None
    label, fewest = min(thin.items(), key=lambda x: x[1])
    missing = sum(FEWEST_A_CLASS - k for k in thin.values())
    return Outcome(
        "INCONCLUSIVE",
        f"{len(thin)} of {sum(k > 0 for k in there.values())} classes have fewer than "
        f"{FEWEST_A_CLASS} items ('{label}' has {fewest}), too few for an interval of macro-F1.",
        len(first) + missing,
    )


def _at_chance(
    gate: Gate, metric: Metric, first: ItemValues, chance: AboveChance
) -> Outcome | None:
    """Return why a model that is at chance, or hardly above it, can't be judged."""
    if isinstance(gate, ImproveGate):
        return None
    up = metric.better == "higher"
    who = "candidate" if isinstance(gate, FloorGate) else f"{gate.against}"
    seen = estimate(chance.excess or first)
    shift = 0.0 if chance.excess else chance.chance
    excess = seen.value - shift if up else shift - seen.value
    least = seen.low - shift if up else shift - seen.high
    if least <= 0:
        return Outcome(
            "INCONCLUSIVE",
            f"the {who} is at chance: {excess:+.4g} better than with the right answers of other "
            f"items (at worst {least:+.4g}), so a loss could not be seen here.",
        )
    if isinstance(gate, FloorGate) or excess > gate.margin:
        return None
    return Outcome(
        "INCONCLUSIVE",
        f"the {who} is only {excess:.4g} better than by chance, what a model that knows nothing "
        f"gets: a margin of {gate.margin:.4g} lets everything be lost.",
    )


def _at_floor(gate: Gate, metric: Metric, first: ItemValues) -> Outcome | None:
    """A model that knows nothing can't lose anything, however many items are asked."""
    floor = _floor(metric)
    if not isinstance(gate, HoldGate) or floor is None:
        return None
    seen = estimate(first)
    up = metric.better == "higher"
    what = "at chance" if metric.chance else "at its floor"
    if seen.low <= floor if up else seen.high >= floor:
        return Outcome(
            "INCONCLUSIVE",
            f"the {gate.against} is {what}: {seen.value:.4g} ({seen.low:.4g} to {seen.high:.4g}) "
            f"against {floor:.4g}, so a loss could not be seen here.",
        )
    if abs(seen.value - floor) > gate.margin:
        return None
    return Outcome(
        "INCONCLUSIVE",
        f"the {gate.against} is only {abs(seen.value - floor):.4g} from {floor:.4g}, what a model "
        f"that knows nothing gets: a margin of {gate.margin:.4g} lets everything be lost.",
    )


def _floor(metric: Metric) -> float | None:
    """Return the value of knowing nothing: chance, or the end of a bounded metric's scale."""
    return metric.worst if metric.chance is None else metric.chance
