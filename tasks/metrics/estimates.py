"""Every metric of a suite with its two-sided 95 % interval, from the stored items."""

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from configs.metrics import Metric
from configs.suites.union import metrics_by_kind
from tasks.errors import EvaluationError
from tasks.metrics.paired import interval, point
from tasks.metrics.templates import WORST, template_marks, worst_interval
from tasks.metrics.values import ItemValues, item_values
from tasks.scores import Estimate, SuiteScores

COLUMNS = (
    "item_id",
    "suite",
    "form",
    "cluster",
    "stratum",
    "prompt_digest",
    "gold",
    "prediction",
    "choice_logprobs",
    "choice_bytes",
    "gold_index",
    "score",
    "scores",
    "nats",
    "bytes",
    "error",
)
BY_KIND: dict[str, dict[str, Metric]] = metrics_by_kind()


def estimate_all(items: Path, metrics: Mapping[str, Metric]) -> dict[str, Estimate]:
    """Return each metric's value and 95 % interval, from a suite's ``items.parquet``.

    Metrics that are of two models are left out.

    Raises:
        EvaluationError: A metric's items are missing or can't be used.
    """
    table = read_items(items)
    return {
        name: estimate_metric(table, name, metric)
        for name, metric in metrics.items()
        if not metric.paired
    }


def estimate_metric(table: pa.Table, name: str, metric: Metric) -> Estimate:
    """Return a metric's value with its 95 % interval.

    A metric without an interval that holds has the ends of its range for one.
    """
    items = item_values(table, name, metric)
    if not metric.interval:
        low, high = metric.span or (0.0, 1.0)
        return Estimate(value=point(items), low=low, high=high, n=len(items))
    marks = template_marks(table) if name == WORST else []
    if not marks:
        return estimate(items)
    low, high = worst_interval(marks, 0.95)
    return Estimate(value=point(items), low=low, high=high, n=len(items))


def estimate(items: ItemValues, confidence: float = 0.95) -> Estimate:
    """Return the metric's value and two-sided interval."""
    low, high = interval(items, confidence)
    return Estimate(value=point(items), low=low, high=high, n=len(items))


def read_items(items: Path) -> pa.Table:
    """Return the columns of a per-item table that metrics need (raw outputs stay on disk)."""
    stored = set(pq.read_schema(items).names)
    return pq.read_table(items, columns=[c for c in COLUMNS if c in stored])


def metric_of(scores: SuiteScores, name: str) -> Metric:
    """Return what a suite's metric is.

    Raises:
        EvaluationError: The suite gives no such metric.
    """
    if name not in scores.metrics:
        raise EvaluationError(
            f"suite '{scores.suite}' gives no '{name}'.",
            where="metrics",
            fix=f"use one of {', '.join(sorted(scores.metrics))}.",
        )
    known = BY_KIND.get(scores.kind, {}).get(name)
    stored = scores.about.get(name) or BY_KIND[scores.kind][name]
    # Scores of an earlier release don't say where an item's value ends.
    return stored if stored.span or known is None else stored._replace(span=known.span)
