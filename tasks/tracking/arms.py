"""Models on the scorecard's picture, and the two metrics it is drawn in."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict

from configs.evaluation import BitsPerByteSuite, ClassificationSuite, HoldGate, MmluSuite
from configs.recipe import Recipe
from tasks.artifacts import Estimate, SuiteScores


class Arm(BaseModel):
    """One model's metrics, as ``suite/metric`` -> estimate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    metrics: dict[str, Estimate]


class Axis(NamedTuple):
    """A metric as an axis.

    Attributes:
        metric: suite/metric.
        higher_is_better: Otherwise the axis runs backwards, so that better is up and right.
        floor: Value that a ``hold`` gate lets the base fall to, where there is one.
    """

    metric: str
    higher_is_better: bool
    floor: float | None = None


def arm_of(name: str, scores: Sequence[SuiteScores]) -> Arm:
    """Return a model's scores as an arm."""
    found = {f"{s.suite}/{m}": e for s in scores for m, e in s.metrics.items()}
    return Arm(name=name, metrics=found)


def earlier_arm(card: Path) -> Arm:
    """Return the candidate of an earlier run, from its ``scorecard.json``."""
    record = json.loads(card.read_text(encoding="utf-8"))
    return Arm(name=record["name"], metrics=record["metrics"]["candidate"])


def axes(recipe: Recipe, base: Arm) -> tuple[Axis, Axis] | None:
    """Return the general metric (x) and the domain metric (y), or None where one is missing.

    The gates say what matters: y is the first ``improve`` gate's metric, x the first ``hold``
    gate's of another suite. Without such gates: macro-F1 of the first classification suite, and
    the gold margin of the first MMLU suite or the bits per byte of the first such suite.
    """
    gates = recipe.gates
    y = next((g.metric for g in gates if g.rule == "improve"), None) or _domain(recipe)
    if y is None:
        return None
    held = (g.metric for g in gates if g.rule == "hold" and not _same_suite(g.metric, y))
    x = next(held, None) or _general(recipe, y)
    if x is None or not {x, y} <= base.metrics.keys():
        return None
    return _axis(recipe, base, x), _axis(recipe, base, y)


def _domain(recipe: Recipe) -> str | None:
    suites = recipe.evaluation.suites
    return next((f"{s.name}/macro_f1" for s in suites if isinstance(s, ClassificationSuite)), None)


def _general(recipe: Recipe, y: str) -> str | None:
    suites = [s for s in recipe.evaluation.suites if not _same_suite(f"{s.name}/", y)]
    margins = [f"{s.name}/gold_margin" for s in suites if isinstance(s, MmluSuite)]
    bits = [f"{s.name}/bits_per_byte" for s in suites if isinstance(s, BitsPerByteSuite)]
    return next(iter(margins + bits), None)


def _same_suite(one: str, other: str) -> bool:
    return one.partition("/")[0] == other.partition("/")[0]


def _axis(recipe: Recipe, base: Arm, metric: str) -> Axis:
    suite, _, name = metric.partition("/")
    up = recipe.suite(suite).metric_table()[name].better == "higher"
    margins = [g.margin for g in recipe.gates if isinstance(g, HoldGate) and g.metric == metric]
    floor = base.metrics[metric].value + (-margins[0] if up else margins[0]) if margins else None
    return Axis(metric, up, floor)
