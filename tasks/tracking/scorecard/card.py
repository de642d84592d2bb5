"""What the scorecard shows, as plain data: the page and ``scorecard.json`` are made of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict

from configs.gates import HoldGate
from configs.loading import recipe_digest
from configs.recipe import Recipe
from configs.suites.bits_per_byte import BitsPerByteSuite
from configs.suites.labels import ClassificationSuite
from configs.suites.mmlu import MmluSuite
from tasks.artifacts import Checkpoint, CleanSource, MixtureReceipt
from tasks.scores import Estimate, GateResult, SuiteScores
from tasks.tracking.scorecard.classes import classes, classes_record

# Models on the scorecard's picture, and the two metrics it is drawn in.


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
    the letter mass of the first MMLU suite or the bits per byte of the first such suite.
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
    masses = [f"{s.name}/letter_mass" for s in suites if isinstance(s, MmluSuite)]
    bits = [f"{s.name}/bits_per_byte" for s in suites if isinstance(s, BitsPerByteSuite)]
    return next(iter(masses + bits), None)


def _same_suite(one: str, other: str) -> bool:
    return one.partition("/")[0] == other.partition("/")[0]


def _axis(recipe: Recipe, base: Arm, metric: str) -> Axis:
    suite, _, name = metric.partition("/")
    up = recipe.suite(suite).metric_table()[name].better == "higher"
    margins = [g.margin for g in recipe.gates if isinstance(g, HoldGate) and g.metric == metric]
    floor = base.metrics[metric].value + (-margins[0] if up else margins[0]) if margins else None
    return Axis(metric, up, floor)


VERSION = 1


class Card(BaseModel):
    """One run's evidence.

    Attributes:
        run_id: The MLflow run; the page goes to ``runs/<run_id>/``.
        verdict: Overall verdict of the gates.
        others: Earlier runs to draw beside this one.
        slices: Subjects, categories and classes on base and candidate, the worst first.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_id: str
    recipe: Recipe
    base: tuple[SuiteScores, ...]
    candidate: tuple[SuiteScores, ...]
    gates: tuple[GateResult, ...]
    verdict: str
    mixture: MixtureReceipt
    clean: tuple[CleanSource, ...]
    checkpoint: Checkpoint
    others: tuple[Arm, ...] = ()
    slices: tuple[dict[str, Any], ...] = ()

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Base, this run's candidate, and the others."""
        return (arm_of("base", self.base), arm_of(self.recipe.name, self.candidate), *self.others)


class MetricLine(BaseModel):
    """One metric on base and candidate."""

    metric: str
    better: str
    base: Estimate
    candidate: Estimate


def metric_lines(card: Card) -> list[MetricLine]:
    """Return every metric that both have, in the recipe's order of suites."""
    base, candidate = (arm.metrics for arm in card.arms[:2])
    return [
        MetricLine(
            metric=f"{suite.name}/{name}",
            better=metric.better,
            base=base[f"{suite.name}/{name}"],
            candidate=candidate[f"{suite.name}/{name}"],
        )
        for suite in card.recipe.evaluation.suites
        for name, metric in suite.metric_table().items()
        if f"{suite.name}/{name}" in base and f"{suite.name}/{name}" in candidate
    ]


def read_lock(mixture: MixtureReceipt) -> dict[str, Any]:
    """Return the mixture's lock."""
    lock: dict[str, Any] = json.loads(mixture.lock.read_text(encoding="utf-8"))
    return lock


def rewritten_shares(lock: Mapping[str, Any]) -> dict[str, float]:
    """Return the share of targets that are in the base's own words, of sources that have any."""
    return {
        source["name"]: float(step["settings"]["share"])
        for source in lock["sources"]
        for step in source.get("filters", ())
        if step["name"] == "rewriting"
    }


def card_record(card: Card) -> dict[str, Any]:
    """Return the scorecard as JSON data; keys are only ever added, never changed."""
    base, candidate = card.arms[:2]
    lock = read_lock(card.mixture)
    return {
        "version": VERSION,
        "run_id": card.run_id,
        "name": card.recipe.name,
        "recipe_digest": recipe_digest(card.recipe),
        "verdict": card.verdict,
        "gates": [g.model_dump(mode="json") for g in card.gates],
        "metrics": {"base": _dumped(base), "candidate": _dumped(candidate)},
        "classes": classes_record(classes(card.base, card.candidate)),
        "weights": {"base": card.checkpoint.parent, "candidate": card.checkpoint.digest},
        "mixture": {
            "digest": card.mixture.digest,
            "unit": lock["unit"],
            "sources": lock["sources"],
        },
        "verdicts": {c.name: c.verdict for c in card.clean},
        "slices": list(card.slices),
        "others": [o.model_dump(mode="json") for o in card.others],
    }


def _dumped(arm: Arm) -> dict[str, Any]:
    return {name: estimate.model_dump() for name, estimate in arm.metrics.items()}
