"""What a gate can tell on a suite's items, said before anything is trained."""

from pydantic import BaseModel, ConfigDict

from configs.gates import FloorGate, Gate, HoldGate
from configs.metrics import Metric
from tasks.errors import RecipeError
from tasks.gates.power import bearable_spread, needed_items, resolvable

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


def plan_gate(gate: Gate, metric: Metric, n: int) -> GatePlan:
    """Return what ``n`` items of the gate's suite can tell.

    A counted metric (proportions, F1) moves by the items that the two models answer differently:
    without a true change, n items with a share d of such give a difference the variance d / n. A
    ``hold`` whose margin is too small for that to show is refused. For other metrics nothing is
    known of the variance, and the note says up to which spread the margin can be shown.
    """
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
    return GatePlan(
        metric=gate.metric,
        rule=gate.rule,
        against=gate.against,
        n=n,
        resolvable=least,
        discordance=gate.discordance if counted else None,
        refused=refused,
        note=note,
    )


def refuse_unresolved(plans: tuple[GatePlan, ...]) -> None:
    """Raise for the first gate that can't be judged.

    Raises:
        RecipeError: A margin that the suite's items can't show at the assumed discordance.
    """
    for i, plan in enumerate(plans):
        if plan.refused:
            raise RecipeError(
                f"{plan.metric} can't be held to this margin: {plan.refused}.",
                where=f"gates.{i}.margin",
                fix="widen the margin, let the suite ask more items, or set the gate's "
                "discordance to what the two models really differ by.",
            )


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
