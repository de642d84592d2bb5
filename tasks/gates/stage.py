"""Every gate of a recipe judged: PASS, FAIL or INCONCLUSIVE, from the paired items.

The rules are in ``deciding``, the reasons for not judging at all in ``refusals``, the error of a
gate that is judged twice in ``spending``.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from configs.gates import FloorGate, Gate
from tasks.errors import EvaluationError
from tasks.gates.decision import Evidence, Outcome, Verdict, decide, refusal, unpaired
from tasks.gates.pairing import pair
from tasks.gates.power import first_level, second_level
from tasks.metrics.chance import AboveChance, judged_above_chance
from tasks.metrics.paired import above, difference, point
from tasks.metrics.values import ItemValues
from tasks.scores import GateResult, SuiteScores

Scores = Sequence[SuiteScores]
Chances = tuple[AboveChance | None, AboveChance | None]


class References(NamedTuple):
    """The models a candidate is compared with, by their scores.

    Attributes:
        base: What training started from.
        original: None where it is the base.
        champion: None where nothing was released yet; such gates are judged against the base.
    """

    base: Scores
    original: Scores | None = None
    champion: Scores | None = None


def judge(
    gate: Gate, reference: SuiteScores, candidate: SuiteScores, first_look: GateResult | None = None
) -> GateResult:
    """Return the gate's outcome.

    ``difference``, ``low`` and ``high`` are candidate minus reference in the metric's own
    direction (for a floor, candidate minus ``at``; for margins and Brier scores, of what is above
    chance); the bounds are those of the two-sided interval
    at confidence 1 - 2 alpha, where alpha is this look's. A ``hold`` on a metric whose reference
    is at its floor or at chance is INCONCLUSIVE (it can't fall), and so is any gate on macro-F1
    with fewer than five items of a class, and one on a metric that came without its items.

    Args:
        gate: With ``on_inconclusive: extend``, its alpha is shared between two looks.
        reference: Scores of the suite that the gate's metric is of.
        candidate: The same suite's.
        first_look: The outcome this is the second look of.

    Raises:
        EvaluationError: The two aren't over the same version of the suite and the same items.
    """
    both = pair(reference, candidate)
    if reference.aggregate or candidate.aggregate:
        return unpaired(gate, reference, candidate)
    name = gate.metric.partition("/")[2]
    metric, first, second = both.values(name)
    chances = both.above_chance(name)
    alpha = level(gate, len(first), first_look)
    alone = isinstance(gate, FloorGate)
    if isinstance(gate, FloorGate):
        found = above(second, gate.at, 1 - 2 * alpha)
    elif judged_above_chance(name) and (pair_ := _excess(chances)):
        found = difference(*pair_, 1 - 2 * alpha)
    else:
        found = both.difference(name, 1 - 2 * alpha)
    refused = refusal(gate, metric, second if alone else first, chances[1] if alone else chances[0])
    outcome = (None if found.doubt else refused) or decide(
        gate, Evidence(found, metric.better, alpha)
    )
    return GateResult(
        metric=gate.metric,
        rule=gate.rule,
        verdict=outcome.verdict,
        base=point(first),
        candidate=point(second),
        difference=found.value,
        low=found.low,
        high=found.high,
        n=found.n,
        needed_n=outcome.needed_n,
        reason=_reason(outcome, first_look) + _by_chance(name, chances, alone),
        alpha=alpha,
        against=None if isinstance(gate, FloorGate) else gate.against,
        look=2 if first_look else 1,
        policy=gate.on_inconclusive,
        reference_digest=reference.weights_digest,
        candidate_digest=candidate.weights_digest,
        fingerprint=candidate.fingerprint,
        base_chance=None if chances[0] is None else chances[0].chance,
        candidate_chance=None if chances[1] is None else chances[1].chance,
        split=str(candidate.made.get("split", "")),
    )


def _excess(chances: Chances) -> tuple[ItemValues, ItemValues] | None:
    first, second = chances
    if first is None or second is None or first.excess is None or second.excess is None:
        return None
    return first.excess, second.excess


def _by_chance(name: str, chances: Chances, alone: bool) -> str:
    first, second = chances
    if first is None or second is None:
        return ""
    if alone:
        return f" By chance it would be {second.chance:.4g}."
    judged = ", and what is above that is judged" if judged_above_chance(name) else ""
    return f" By chance the two would be {first.chance:.4g} and {second.chance:.4g}{judged}."


def level(gate: Gate, n: int, first_look: GateResult | None) -> float:
    """Return the one-sided error this look may make."""
    if gate.on_inconclusive != "extend":
        return gate.alpha
    spent = first_level(gate.alpha, 1 / gate.extend_times)
    return spent if first_look is None else second_level(gate.alpha, spent, first_look.n / n)


def judge_all(gates: Sequence[Gate], base: Scores, candidate: Scores) -> list[GateResult]:
    """Return the outcome of every gate against the base (see :func:`judge_against`)."""
    return judge_against(gates, References(base), candidate)


def judge_against(
    gates: Sequence[Gate],
    references: References,
    candidate: Scores,
    first_looks: Mapping[int, GateResult] | None = None,
) -> list[GateResult]:
    """Return the outcome of every gate, each against the model it names, in the recipe's order.

    Args:
        gates: The recipe's.
        references: Scores of the models they may name.
        candidate: The candidate's scores.
        first_looks: Gate's index -> the outcome that it is now looked at again for.

    Raises:
        EvaluationError: A gate's suite was not run on both, or the two can't be compared.
    """
    looks = first_looks or {}
    return [_judged(gate, references, candidate, looks.get(i)) for i, gate in enumerate(gates)]


def overall(results: Sequence[GateResult]) -> Verdict:
    """Return FAIL if any gate fails, else INCONCLUSIVE if any that counts is that, else PASS.

    All must pass, so that claiming "no regression" needs no correction for their number (an
    intersection-union test, Berger 1982). A gate of policy ``warn`` doesn't count while it is
    INCONCLUSIVE.
    """
    if any(r.verdict == "FAIL" for r in results):
        return "FAIL"
    open_ = any(r.verdict == "INCONCLUSIVE" and r.policy != "warn" for r in results)
    return "INCONCLUSIVE" if open_ else "PASS"


def _judged(
    gate: Gate, references: References, candidate: Scores, first_look: GateResult | None
) -> GateResult:
    against = "base" if isinstance(gate, FloorGate) else gate.against
    named: Scores | None = getattr(references, against)
    before, after = (
        {s.suite: s for s in scores} for scores in (named or references.base, candidate)
    )
    suite = gate.metric.partition("/")[0]
    if suite not in before or suite not in after:
        raise EvaluationError(
            f"suite '{suite}' was not run on both {against} and candidate.",
            where=gate.metric,
            fix="evaluate both with the whole recipe.",
        )
    found = judge(gate, before[suite], after[suite], first_look)
    if against != "champion" or named is not None:
        return found
    reason = f"no model was released yet, so this is against the base: {found.reason}"
    return found.model_copy(update={"reason": reason})


def _reason(outcome: Outcome, first_look: GateResult | None) -> str:
    if first_look is None:
        return outcome.reason
    return f"second look, after {first_look.n:,} items could not tell: {outcome.reason}"
