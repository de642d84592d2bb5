"""Which arm: the smallest general share that holds what must hold, and loses nothing of the domain.

Pure: from what each arm scored on the dev items to a recommendation and its reasons.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from tasks.gates.pairing import pair
from tasks.metrics.estimates import metric_of
from tasks.metrics.intervals import t_quantile
from tasks.scores import Estimate, GateResult, SuiteScores

CONFIDENCE = 0.95
State = Literal["done", "failed", "left out"]


class Outcome(BaseModel):
    """What became of one arm under one seed.

    Attributes:
        arm: The arm's name, which all its seeds share.
        reason: Why it failed or was left out.
        scores: On the dev items.
        tokens: Trained on for it; 0 where another arm's training is used with another alpha.
        seconds: Of the whole run, what was found from before costing next to nothing.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arm: str
    settings: dict[str, Any]
    seed: int
    domain_share: float
    alpha: float
    state: State = "done"
    reason: str = ""
    run_id: str = ""
    scores: tuple[SuiteScores, ...] = ()
    gates: tuple[GateResult, ...] = ()
    tokens: int = 0
    seconds: float = 0.0

    def metric(self, name: str) -> Estimate:
        """Return one metric, by suite/metric."""
        suite, _, metric = name.partition("/")
        return next(s for s in self.scores if s.suite == suite).metrics[metric]


class Gap(BaseModel):
    """By how much an arm is better than another, with its 95 % interval; above 0 is better."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float


class ArmLine(BaseModel):
    """One arm over all its seeds.

    Attributes:
        seeds: Trainings that ended well.
        domain: The domain metric; over several seeds their mean, with the ends' means.
        retention: The general metric; None where the recipe has none.
        holds: PASS where every retention gate passed under every seed.
        lost: The retention gates that didn't, each with its reason.
        gap: Domain metric less that of the best arm; None of the best itself, and where there is
            no best.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arm: str
    domain_share: float
    alpha: float
    seeds: int
    domain: Estimate
    retention: Estimate | None
    holds: Literal["PASS", "FAIL", "INCONCLUSIVE"]
    lost: tuple[str, ...] = ()
    gap: Gap | None = None
    tokens: int = 0
    seconds: float = 0.0


class Recommendation(BaseModel):
    """What to do.

    Attributes:
        arm: The recommended arm; None where none may be.
        reasons: Why, a sentence each.
        alike: Arms that hold too and whose domain score can't be told from the recommended one's.
        changes: What to change where none may be, a sentence each, with its evidence.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arm: str | None
    reasons: tuple[str, ...]
    alike: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()


def measure_gap(better: Sequence[Outcome], other: Sequence[Outcome], metric: str) -> Gap:
    """Return how much ``other`` is above ``better`` on the same items, over the seeds of both.

    The items are the same under every seed, so that their error doesn't shrink with seeds: the
    widest item interval is taken. The error of training is that of the mean of the seeds'
    differences (Student's t). Half-widths are joined as independent errors are.

    Args:
        better: An arm's outcomes.
        other: Another's; seeds that only one of the two has are left out.
        metric: suite/metric.
    """
    suite, _, name = metric.partition("/")
    firsts = {o.seed: next(s for s in o.scores if s.suite == suite) for o in better}
    seconds = {o.seed: next(s for s in o.scores if s.suite == suite) for o in other}
    found, sign = [], 1.0
    for seed in sorted(firsts.keys() & seconds.keys()):
        both = pair(firsts[seed], seconds[seed])
        sign = 1.0 if metric_of(firsts[seed], name).better == "higher" else -1.0
        found.append(both.difference(name, CONFIDENCE))
    if not found:
        raise ValueError(f"no seed of {metric} is on both sides")
    values = [sign * d.value for d in found]
    value = fmean(values)
    trained = 0.0
    if len(values) > 1:
        quantile = t_quantile((1 + CONFIDENCE) / 2, len(values) - 1)
        trained = quantile * stdev(values) / math.sqrt(len(values))
    down = max(abs(d.value - (d.low if sign > 0 else d.high)) for d in found)
    up = max(abs((d.high if sign > 0 else d.low) - d.value) for d in found)
    return Gap(
        value=value, low=value - math.hypot(down, trained), high=value + math.hypot(up, trained)
    )


def line_up(outcomes: Sequence[Outcome], domain: str, retention: str | None) -> list[ArmLine]:
    """Return a line for every arm that ended well, its gap to the best arm that holds.

    The best is the arm with the highest domain score among those whose retention gates pass; where
    none does, among all.

    Args:
        outcomes: Of all arms and seeds.
        domain: The domain metric, as suite/metric.
        retention: The general metric that is shown beside it.
    """
    groups: dict[str, list[Outcome]] = {}
    for one in outcomes:
        if one.state == "done":
            groups.setdefault(one.arm, []).append(one)
    lines = [_line(group, domain, retention) for group in groups.values()]
    if not lines:
        return []
    best = _best(lines, _is_higher(next(iter(groups.values()))[0], domain))
    return [
        line
        if line.arm == best.arm
        else line.model_copy(
            update={"gap": measure_gap(groups[best.arm], groups[line.arm], domain)}
        )
        for line in lines
    ]


def recommend(lines: Sequence[ArmLine], higher: bool = True) -> Recommendation:
    """Return the arm with the smallest general share that may be, or what to change.

    An arm may be where its retention gates pass under every seed and its domain score isn't
    distinguishably below that of the best arm that holds.

    Args:
        lines: From ``line_up``.
        higher: Whether a higher domain score is better.
    """
    holding = [x for x in lines if x.holds == "PASS"]
    if not holding:
        return Recommendation(
            arm=None,
            reasons=("No arm is shown to hold what the gates ask.",),
            changes=tuple(_changes(lines)),
        )
    good = [x for x in holding if x.gap is None or x.gap.high >= 0]
    chosen = min(
        good,
        key=lambda x: (
            round(1 - x.domain_share, 9),
            -x.domain.value if higher else x.domain.value,
        ),
    )
    reasons = [
        f"{chosen.arm} holds every retention gate"
        + (f" under all {chosen.seeds} seeds." if chosen.seeds > 1 else ".")
    ]
    less = [x for x in lines if x.domain_share > chosen.domain_share]
    if less:
        told = "; ".join(f"{x.arm}: {_why_not(x)}" for x in less)
        reasons.append(f"Less general data is not enough, or costs the domain: {told}.")
    if chosen.gap is not None:
        reasons.append(
            f"Its domain score is {chosen.gap.value:+.3g} from the best arm's "
            f"({chosen.gap.low:+.3g} to {chosen.gap.high:+.3g}): not distinguishably worse."
        )
    elif len(holding) > 1:
        reasons.append("No arm that holds has a higher domain score.")
    alike = tuple(x.arm for x in good if x.arm != chosen.arm)
    if alike:
        reasons.append(
            f"These dev items do not tell it from {', '.join(alike)}; of arms that can't be told "
            "apart, the one with the least general data is taken."
        )
    return Recommendation(arm=chosen.arm, reasons=tuple(reasons), alike=alike)


def _line(group: Sequence[Outcome], domain: str, retention: str | None) -> ArmLine:
    first = group[0]
    held = [g for o in group for g in o.gates if g.rule != "improve"]
    verdicts = {g.verdict for g in held}
    holds: Literal["PASS", "FAIL", "INCONCLUSIVE"] = (
        "FAIL" if "FAIL" in verdicts else "INCONCLUSIVE" if "INCONCLUSIVE" in verdicts else "PASS"
    )
    return ArmLine(
        arm=first.arm,
        domain_share=first.domain_share,
        alpha=first.alpha,
        seeds=len(group),
        domain=_mean([o.metric(domain) for o in group]),
        retention=_mean([o.metric(retention) for o in group]) if retention else None,
        holds=holds,
        lost=tuple(
            f"{g.metric} {g.verdict} ({g.difference:+.3g}, {g.low:+.3g} to {g.high:+.3g})"
            for g in held
            if g.verdict != "PASS"
        ),
        tokens=sum(o.tokens for o in group),
        seconds=sum(o.seconds for o in group),
    )


def _mean(found: Sequence[Estimate]) -> Estimate:
    return Estimate(
        value=fmean(e.value for e in found),
        low=fmean(e.low for e in found),
        high=fmean(e.high for e in found),
        n=found[0].n,
    )


def _is_higher(outcome: Outcome, metric: str) -> bool:
    suite, _, name = metric.partition("/")
    scores = next(s for s in outcome.scores if s.suite == suite)
    return metric_of(scores, name).better == "higher"


def _best(lines: Sequence[ArmLine], higher: bool) -> ArmLine:
    among = [x for x in lines if x.holds == "PASS"] or list(lines)
    return max(among, key=lambda x: x.domain.value if higher else -x.domain.value)


def _why_not(line: ArmLine) -> str:
    if line.lost:
        return "; ".join(line.lost)
    assert line.gap is not None
    return f"domain score {line.gap.value:+.3g} ({line.gap.low:+.3g} to {line.gap.high:+.3g})"


def _changes(lines: Sequence[ArmLine]) -> list[str]:
    """Return what to change where no arm holds, each with its evidence."""
    if not lines:
        return ["No arm ended well: mend what is said of each, and run the sweep again."]
    changes = []
    undecided = [x for x in lines if x.holds == "INCONCLUSIVE"]
    if undecided:
        names = ", ".join(x.arm for x in undecided)
        changes.append(
            f"More dev items: {names} lost nothing that could be shown, and held nothing that "
            "could be shown either."
        )
    least = min(lines, key=lambda x: x.domain_share)
    if least.holds == "FAIL":
        changes.append(
            f"More general data, or better: even {least.arm} fails ({'; '.join(least.lost)}). Try "
            f"domain_share {least.domain_share / 2:.2g}, or a source like what was lost."
        )
    if all(x.alpha == 1 for x in lines):
        changes.append(
            "Keep less of what was learnt: alpha was not varied; --alpha 0.3,0.5,0.7 costs no "
            "training."
        )
    changes.append(
        "A lower rate: forgetting grows with how far the weights move; "
        "--set training.learning_rate=... with a third of it."
    )
    return changes


def shared_counts(uses: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Return, for each kind of result, how many different ones there are and how often they served.

    Args:
        uses: Kind of result -> its digests, one for each arm that used it.
    """
    return {kind: (len(set(digests)), len(digests)) for kind, digests in uses.items()}
