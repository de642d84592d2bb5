"""Receipts of evaluation and gates: a suite's scores on a model, and what a gate says of them."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from configs.metrics import Metric
from tasks.artifacts import Receipt


class SuiteScores(Receipt):
    """One suite on one model: ``items.parquet``, one row an item (and form).

    Attributes:
        fingerprint: What two models' scores must share to be compared.
        metrics: Each metric's value and interval.
        about: What each metric is.
        protocol: What the suite asks and how it judges, field by field.
        made: What the answers were made with: model, items, split, seed, code, versions.
        errors: Items that could not be answered; evaluating again asks for them alone.
        truncated: Items of which something was cut: a prompt on its left because it didn't fit the
            model, a text at ``max_tokens``, or an answer at the most tokens allowed.
        unclosed: Answers that ended inside a thought, and so said nothing.
        aggregate: Whether the metrics came as numbers alone, without the items: ``items`` is
            empty, ``n`` 0, and low and high are the ends of the metric's range.
    """

    suite: str
    kind: str
    fingerprint: str
    weights_digest: str
    metrics: dict[str, "Estimate"]
    about: dict[str, Metric] = {}
    protocol: dict[str, Any] = {}
    made: dict[str, Any] = {}
    errors: int = 0
    truncated: int = 0
    unclosed: int = 0
    aggregate: bool = False

    @property
    def paired_metrics(self) -> list[str]:
        """Metrics that it gives beside another model's scores alone."""
        return [name for name, metric in self.about.items() if metric.paired]

    @property
    def items(self) -> Path:
        """The per-item table."""
        return self.path / "items.parquet"


class Estimate(BaseModel):
    """A metric's value with its two-sided 95 % interval over ``n`` items."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float
    n: int


class GateResult(BaseModel):
    """The outcome of one gate: PASS, FAIL or INCONCLUSIVE, with the evidence.

    Attributes:
        base: The metric on the model compared with.
        against: Which model that is; None for a floor, which compares with none.
        alpha: One-sided error of the look that gave the verdict.
        look: 1, or 2 after ``extend``.
        policy: What is to happen where the verdict is INCONCLUSIVE.
        reference_digest: Weights of the model compared with.
        candidate_digest: Weights of the candidate.
        fingerprint: Of the suite, with its items and prompts.
        seen: Candidates of the recipe's family that were judged on these test items, this one
            included; 0 where they are not test items.
        base_chance: The metric by chance on the model compared with, from its stored items; None
            where right answers have no part in it.
        candidate_chance: The same on the candidate.
        split: Which items it was judged on: dev chooses, test confirms; empty where it isn't known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    metric: str
    rule: str
    verdict: Literal["PASS", "FAIL", "INCONCLUSIVE"]
    base: float
    candidate: float
    difference: float
    low: float
    high: float
    n: int
    needed_n: int | None
    reason: str
    against: str | None = "base"
    alpha: float = 0.05
    look: int = 1
    policy: Literal["block", "warn", "extend"] = "block"
    reference_digest: str = ""
    candidate_digest: str = ""
    fingerprint: str = ""
    seen: int = 0
    base_chance: float | None = None
    candidate_chance: float | None = None
    split: str = ""


SuiteScores.model_rebuild()
