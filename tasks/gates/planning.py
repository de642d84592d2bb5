"""What a gate can tell on a suite's items, said before anything is trained."""

import math
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from configs.gates import FEWEST_A_CLASS, FloorGate, Gate, HoldGate
from configs.metrics import Metric
from tasks.errors import RecipeError
from tasks.gates.power import bearable_spread, chance_of_passing, needed_items, resolvable
from tasks.metrics.bounded import rare_share

FEW_ITEMS = 100
"""Items of a skewed mean under which the plan warns."""
COUNTED = ("proportion", "f1")
"""Estimators of metrics that move by items' right and wrong, whose variance a discordance gives."""


class GatePlan(BaseModel):
    """What is known of a gate before any answer.

    Attributes:
        metric: suite/metric.
        n: Items that can be asked; with ``extend``, at the second look.
        resolvable: Smallest margin (gain) that so many items show with 80 % power, at the gate's
            assumed discordance; None for metrics that aren't counted and for floors.
        discordance: Share of items on which the two models are taken to differ.
        refused: Why the gate can't be judged; empty where it can.
        note: What is to be known about it.
        chance: Of passing where nothing changed; None where it isn't known beforehand.
        fix: What mends a refusal, and its place within the gate.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    rule: str
    against: str | None
    n: int
    resolvable: float | None
    discordance: float | None
    refused: str = ""
    note: str = ""
    chance: float | None = None
    fix: str = (
        "widen the margin, let the suite ask more items, or set the gate's discordance to what "
        "the two models really differ by."
    )


def plan_gate(
    gate: Gate, metric: Metric, n: int, classes: Mapping[str, int] | None = None
) -> GatePlan:
    """Return what ``n`` items of the gate's suite can tell.

    A counted metric (proportions, F1) moves by the items that the two models answer differently:
    without a true change, n items with a share d of such give a difference the variance d / n. A
    ``hold`` whose margin is too small for that to show is refused. For other metrics nothing is
    known of the variance, and the note says up to which spread the margin can be shown.

    Args:
        gate: Any gate.
        metric: What its metric is.
        n: Items it is over; 0 where that isn't known.
        classes: Items of each class, of a metric that averages over classes alike.
    """
    if thin := _thin_classes(gate, classes or {}):
        return GatePlan(
            metric=gate.metric,
            rule=gate.rule,
            against=None if isinstance(gate, FloorGate) else gate.against,
            n=n,
            resolvable=None,
            discordance=None,
            refused=thin,
            fix="let the suite ask more items of that class, or gate micro_f1 or accuracy, which "
            "weigh items alike.",
        )
    if isinstance(gate, FloorGate) or n == 0:
        note = f"{n:,} items" if n else "how many items the suite asks isn't known beforehand"
        return GatePlan(
            metric=gate.metric,
            rule=gate.rule,
            against=None,
            n=n,
            resolvable=None,
            discordance=None,
            note=note,
        )
    counted = metric.estimator in COUNTED
    least = resolvable(n, gate.discordance, gate.alpha) if counted else None
    refused, note = _said(gate, n, least)
    if not counted:
        note += _warned(gate, metric, n)
    chance = None
    if counted and isinstance(gate, HoldGate):
        chance = chance_of_passing(n, gate.discordance, gate.margin, gate.alpha)
    return GatePlan(
        metric=gate.metric,
        rule=gate.rule,
        against=gate.against,
        n=n,
        resolvable=least,
        discordance=gate.discordance if counted else None,
        refused=refused,
        note=note,
        chance=chance,
    )


def joint_chance(plans: Sequence[GatePlan]) -> str:
    """Return the sentence on the chance that all gates pass with nothing changed.

    Empty where it is known of none. Gates are taken to err independently of each other.
    """
    known = [p.chance for p in plans if p.chance is not None]
    if not known:
        return ""
    whole, rest = math.prod(known), len(plans) - len(known)
    others = f"; of the other {rest} it isn't known beforehand" if rest else ""
    what = "the gate passes" if len(known) == 1 else f"all {len(known)} hold gates pass"
    return f"with nothing changed, {what} with a chance of {whole:.2f}{others}"


def refuse_unresolved(plans: tuple[GatePlan, ...]) -> None:
    """Raise for the first gate that can't be judged.

    Raises:
        RecipeError: A margin that the suite's items can't show at the assumed discordance.
    """
    for i, plan in enumerate(plans):
        if plan.refused:
            raise RecipeError(
                f"{plan.metric} can't be decided: {plan.refused}.",
                where=f"gates.{i}.{'margin' if plan.rule == 'hold' else 'metric'}",
                fix=plan.fix,
            )


def _thin_classes(gate: Gate, classes: Mapping[str, int]) -> str:
    """Return why the items of the classes can't decide the gate, naming the class; or nothing."""
    there = {label: k for label, k in classes.items() if k > 0}
    if not there:
        return ""
    label, fewest = min(there.items(), key=lambda x: (x[1], x[0]))
    thin = sum(k < FEWEST_A_CLASS for k in there.values())
    if thin:
        return (
            f"{thin} of {len(there)} classes have fewer than {FEWEST_A_CLASS} items "
            f"('{label}' has {fewest}), too few for an interval of a mean over classes"
        )
    open_ = rare_share(fewest, 1 - 2 * gate.alpha) / len(there)
    if isinstance(gate, HoldGate) and open_ > gate.margin:
        needed = math.ceil(math.log(gate.alpha) / math.log1p(-gate.margin * len(there)))
        return (
            f"the class '{label}' has {fewest} items and counts for 1 of {len(there)}, so that a "
            f"loss of {open_:.3g} may go unseen; a margin of {gate.margin:.4g} takes {needed} of "
            "each class"
        )
    return ""


def _warned(gate: Gate, metric: Metric, n: int) -> str:
    """Return a warning where rare losses of a mean can't be seen by so few items."""
    if metric.span is None or not isinstance(gate, HoldGate):
        return ""
    width = metric.span[1] - metric.span[0]
    open_ = width * rare_share(n, 1 - 2 * gate.alpha)
    said = ""
    if open_ > gate.margin:
        said = (
            f"; items may lose up to {width:.4g}, of which {n:,} leave up to {open_:.3g} unseen: "
            "INCONCLUSIVE unless the model compared with is near that end"
        )
    if n < FEW_ITEMS:
        said += f"; under {FEW_ITEMS} items a few may carry the whole difference"
    return said


def _said(gate: Gate, n: int, least: float | None) -> tuple[str, str]:
    assert not isinstance(gate, FloorGate)
    taken = f"with {gate.discordance:.0%} of the answers changed"
    if not isinstance(gate, HoldGate):
        if least is None:
            return "", f"{n:,} items"
        return "", f"{n:,} items show a gain of {gate.by + least:.3g} or more, {taken}"
    if least is None:
        spread = bearable_spread(n, gate.margin, gate.alpha)
        return "", (
            f"warning: {n:,} items show this margin only if an item's difference has a "
            f"standard deviation under {spread:.3g}"
        )
    if least <= gate.margin:
        return "", f"{n:,} items show a margin of {least:.3g}, {taken}"
    needed = needed_items(gate.discordance, gate.margin, gate.alpha)
    asks = f"takes about {needed:,} items" if needed else "takes more items than there are"
    return (f"{n:,} items show {least:.3g} at the best, {taken}; {gate.margin:.4g} {asks}"), ""
