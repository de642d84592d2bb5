"""Reasons for which a gate says INCONCLUSIVE before any bound is looked at."""

from configs.gates import FEWEST_A_CLASS, FloorGate, Gate, HoldGate
from configs.metrics import Metric
from tasks.artifacts import GateResult, SuiteScores
from tasks.gating.deciding import Outcome
from tasks.metrics.estimates import estimate
from tasks.metrics.f1 import Labelled, support
from tasks.metrics.label_sets import LabelSets
from tasks.metrics.values import ItemValues


def refusal(gate: Gate, metric: Metric, first: ItemValues) -> Outcome | None:
    """Return why the gate can't be judged on these items, or None.

    Args:
        gate: Any gate.
        metric: What its metric is.
        first: The reference model's items (for a floor, the candidate's).
    """
    return _thin_classes(gate, first) or _at_floor(gate, metric, first)


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
    )


def _thin_classes(gate: Gate, first: ItemValues) -> Outcome | None:
    data = first.data
    if not isinstance(data, Labelled | LabelSets) or data.average != "macro":
        return None
    counted = support(data) if isinstance(data, Labelled) else data.support()
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
