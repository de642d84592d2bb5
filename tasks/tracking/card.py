"""What the scorecard shows, as plain data: the page and ``scorecard.json`` are made of it."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from configs.loading import recipe_digest
from configs.recipe import Recipe
from tasks.artifacts import (
    Checkpoint,
    CleanSource,
    Estimate,
    GateResult,
    MixtureReceipt,
    SuiteScores,
)
from tasks.tracking.arms import Arm, arm_of
from tasks.tracking.classes import classes, classes_record

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
