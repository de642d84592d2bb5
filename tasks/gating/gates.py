"""One gate on one suite: PASS, FAIL or INCONCLUSIVE, from the paired items.

``hold`` is non-inferiority with a margin, ``improve`` superiority by an amount. Both compare the
one-sided bounds (confidence 1 - alpha) of the paired difference, turned so that up is better,
with a threshold: -margin or by. PASS: the lower bound is above it. FAIL: the upper bound is below
it. Otherwise the items at hand can't tell.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from configs.evaluation import Gate, HoldGate
from configs.metrics import Metric
from tasks.artifacts import GateResult, SuiteScores
from tasks.errors import EvaluationError
from tasks.gating.pairing import pair
from tasks.gating.power import needed_items
from tasks.metrics.estimates import estimate
from tasks.metrics.f1 import Labelled, support
from tasks.metrics.samples import Difference, difference, point
from tasks.metrics.values import ItemValues

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE"]
FEWEST = 5
"""Items a class needs before macro-F1's jackknife can be trusted."""


class Outcome(NamedTuple):
    """A verdict with its reason, and the items that would decide where these can't."""

    verdict: Verdict
    reason: str
    needed_n: int | None = None


def judge(gate: Gate, base: SuiteScores, candidate: SuiteScores) -> GateResult:
    """Return the gate's outcome.

    ``difference``, ``low`` and ``high`` are candidate minus base in the metric's own direction;
    the bounds are those of the two-sided interval at confidence 1 - 2 alpha. A ``hold`` on a
    metric whose base is at chance is INCONCLUSIVE (it can't fall), and so is any gate on macro-F1
    with fewer than five items of a class.

    Raises:
        EvaluationError: The two aren't over the same version of the suite and the same items.
    """
    name = gate.metric.partition("/")[2]
    metric, first, second = pair(base, candidate).values(name)
    found = difference(first, second, 1 - 2 * gate.alpha)
    outcome = (_too_few_of_a_class(name, first) or _at_chance(gate, metric, first)
               or _decide(gate, metric, found))  # fmt: skip
    return GateResult(
        metric=gate.metric, rule=gate.rule, verdict=outcome.verdict, base=point(first),
        candidate=point(second), difference=found.value, low=found.low, high=found.high,
        n=found.n, needed_n=outcome.needed_n, reason=outcome.reason,
    )  # fmt: skip


def judge_all(
    gates: Sequence[Gate], base: Sequence[SuiteScores], candidate: Sequence[SuiteScores]
) -> list[GateResult]:
    """Return the outcome of every gate, in the recipe's order.

    Raises:
        EvaluationError: A gate's suite was not run on both, or the two can't be compared.
    """
    before, after = ({s.suite: s for s in scores} for scores in (base, candidate))
    for gate in gates:
        suite = gate.metric.partition("/")[0]
        if suite not in before or suite not in after:
            raise EvaluationError(
                f"suite '{suite}' was not run on both base and candidate.", where=gate.metric,
                fix="evaluate both with the whole recipe.",
            )  # fmt: skip
    return [judge(g, *(s[g.metric.partition("/")[0]] for s in (before, after))) for g in gates]


def overall(results: Sequence[GateResult]) -> Verdict:
    """Return FAIL if any gate fails, else INCONCLUSIVE if any is that, else PASS.

    All must pass, so that claiming "no regression" needs no correction for their number (an
    intersection-union test, Berger 1982).
    """
    verdicts = {r.verdict for r in results}
    if "FAIL" in verdicts:
        return "FAIL"
    return "INCONCLUSIVE" if "INCONCLUSIVE" in verdicts else "PASS"


def _too_few_of_a_class(name: str, first: ItemValues) -> Outcome | None:
    if name != "macro_f1" or not isinstance(first.data, Labelled):
        return None
    there = dict(zip(first.data.labels, support(first.data).tolist(), strict=True))
    thin = {label: k for label, k in there.items() if 0 < k < FEWEST}
    if not thin:
        return None
    label, fewest = min(thin.items(), key=lambda x: x[1])
    missing = sum(FEWEST - k for k in thin.values())
    return Outcome(
        "INCONCLUSIVE",
        f"{len(thin)} of {sum(k > 0 for k in there.values())} classes have fewer than {FEWEST} "
        f"items ('{label}' has {fewest}), too few for an interval of macro-F1.",
        len(first) + missing,
    )


def _at_chance(gate: Gate, metric: Metric, first: ItemValues) -> Outcome | None:
    if not isinstance(gate, HoldGate) or metric.chance is None:
        return None
    base, chance = estimate(first), metric.chance
    seen = base.low > chance if metric.better == "higher" else base.high < chance
    if seen:
        return None
    return Outcome(
        "INCONCLUSIVE",
        f"the base is at chance: {base.value:.4g} ({base.low:.4g} to {base.high:.4g}) against "
        f"{chance:.4g}, so a loss could not be seen here.",
    )


def _decide(gate: Gate, metric: Metric, found: Difference) -> Outcome:
    sign = 1 if metric.better == "higher" else -1
    value, low, high = sign * found.value, *sorted((sign * found.low, sign * found.high))
    threshold = -gate.margin if isinstance(gate, HoldGate) else gate.by
    sure = f"{1 - gate.alpha:.4g}"
    asked = (f"no worse than {gate.margin:.4g}" if isinstance(gate, HoldGate)
             else f"better by more than {gate.by:.4g}")  # fmt: skip
    if low > threshold:
        return Outcome("PASS", f"{_amount(low)} at the least (confidence {sure}); asked: {asked}.")
    if high < threshold:
        return Outcome("FAIL", f"{_amount(high)} at the most (confidence {sure}); asked: {asked}.")
    needed, taken = _needed(gate, found, value - threshold)
    then = f"about {needed:,} would decide it, taking {taken} for true" if needed else (
        "no number of items in sight would decide it")  # fmt: skip
    return Outcome(
        "INCONCLUSIVE",
        f"between {_amount(low)} and {_amount(high)} (confidence {sure} each way); "
        f"asked: {asked}. {found.n:,} items can't tell; {then}.",
        needed,
    )


def _needed(gate: Gate, found: Difference, distance: float) -> tuple[int | None, str]:
    """Return the items that decide with 80 % power, and the difference that takes for true.

    A hold takes no change at all, the case it is there to show, unless that says no more than the
    items at hand; then, as for improve, the difference seen.
    """
    if isinstance(gate, HoldGate):
        unchanged = needed_items(found.variance, gate.margin, gate.alpha)
        if unchanged is None or unchanged > found.n:
            return unchanged, "no change"
    needed = needed_items(found.variance, distance, gate.alpha)
    return needed and max(needed, found.n + 1), "the difference seen"


def _amount(change: float) -> str:
    if change == 0:
        return "no change"
    return f"{abs(change):.4g} {'better' if change > 0 else 'worse'}"
