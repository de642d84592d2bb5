"""A suite's classes one by one: how well each is found, and what it is taken for."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.metrics import Metric
from tasks.errors import EvaluationError
from tasks.metrics import f1
from tasks.metrics.arrays import Floats
from tasks.metrics.estimates import metric_of
from tasks.metrics.f1 import LabelledItems
from tasks.metrics.label_sets import cut, label_sets, unpaired, wrong_pairs
from tasks.metrics.pooled import divided
from tasks.metrics.values import holds_lists, one_label
from tasks.scores import SuiteScores


class ClassLine(NamedTuple):
    """One class.

    Attributes:
        label: Its label.
        support: Times it is gold.
        said: Times it is predicted.
        precision: Right predictions of those said, in [0, 1]; 0 where none is.
        recall: Right predictions of those meant, in [0, 1].
        f1: Their harmonic mean.
    """

    label: str
    support: int
    said: int
    precision: float
    recall: float
    f1: float


class Confusion(NamedTuple):
    """How many times one label was taken for another; None is no label of the list, or none."""

    gold: str | None
    said: str | None
    times: int


def class_items(scores: SuiteScores, table: pa.Table) -> pa.Table | None:
    """Return the items that have classes: those of the suite's first F1. None without one.

    Args:
        scores: The suite's; they say what its metrics are.
        table: Its items.
    """
    name = next((n for n in scores.metrics if metric_of(scores, n).estimator == "f1"), None)
    if name is None:
        return None
    forms = pa.array(metric_of(scores, name).forms, pa.string())
    return table.filter(pc.is_in(table["form"], forms))


def class_lines(rows: pa.Table, level: int | None = None) -> list[ClassLine]:
    """Return every class that occurs in gold or is predicted, the worst F1 first.

    Args:
        rows: Items that have classes.
        level: Of labels with levels, 1 being the coarsest; None takes them in full.
    """
    labels, counts = _counted(rows, level)
    support, said = counts[:, 0] + counts[:, 2], counts[:, 0] + counts[:, 1]
    precision, recall = divided(counts[:, 0], said), divided(counts[:, 0], support)
    both = divided(2 * counts[:, 0], said + support)
    found = [
        ClassLine(
            label,
            int(support[i]),
            int(said[i]),
            float(precision[i]),
            float(recall[i]),
            float(both[i]),
        )
        for i, label in enumerate(labels)
        if support[i] or said[i]
    ]
    return sorted(found, key=lambda line: (line.support == 0, line.f1, -line.support, line.label))


def confusions(rows: pa.Table, level: int | None = None) -> list[Confusion]:
    """Return what was taken for what, the most frequent first; right answers are left out.

    Of lists these are the partners whose labels differ, and the golds (or predictions) without a
    partner, whose other side is None.
    """
    if holds_lists(rows):
        pairs: list[tuple[str | None, str | None]] = [*wrong_pairs(rows, level)]
        pairs += unpaired(rows, level)
    else:
        columns = (rows[name].to_pylist() for name in ("gold", "prediction"))
        cuts = ([None if x is None else cut(x, level) for x in column] for column in columns)
        pairs = [pair for pair in zip(*cuts, strict=True) if pair[0] != pair[1]]
    counted = Counter(pairs).items()
    ordered = sorted(counted, key=lambda p: (-p[1], p[0][0] or "", p[0][1] or ""))
    return [Confusion(gold, said, times) for (gold, said), times in ordered]


def letter_shares(table: pa.Table) -> dict[str, tuple[float, float]]:
    """Return each letter's share of the right answers and of those given, by letters asked.

    A model that always says the same letter is right as often as one that guesses.

    Raises:
        EvaluationError: No item was asked by letters.
    """
    rows = table.filter(pc.equal(table["form"], "letters"))
    if not rows.num_rows:
        raise EvaluationError(
            "no item was asked by letters.",
            where="letter_shares",
            fix="give a multiple-choice suite with letters.",
        )
    gold, said = (Counter(rows[name].to_pylist()) for name in ("gold", "prediction"))
    size = rows.num_rows
    known = sorted(x for x in {*gold, *said} if x is not None)
    return {x: (gold[x] / size, said[x] / size) for x in known}


COLLAPSED = 0.95
"""Share of one answer among all from which on they say nothing of what was asked."""
ENOUGH = 20
"""Items below which one answer may be all there is by chance."""


def describe_collapse(table: pa.Table, metric: Metric) -> str | None:
    """Return a sentence where a model gives one answer to nearly all of a metric's items.

    Its accuracy is then that of a guess, and stays so however much the model loses. None where
    answers differ, where the right ones don't, or where they are texts of their own.
    """
    rows = table.filter(pc.is_in(table["form"], pa.array(metric.forms, pa.string())))
    references, predictions = (rows[name].to_pylist() for name in ("gold", "prediction"))
    known = {x for x in references if x is not None}
    if rows.num_rows < ENOUGH or len(known) > rows.num_rows / 2 or holds_lists(rows):
        return None
    said, times = Counter(predictions).most_common(1)[0]
    right = references.count(said) / rows.num_rows
    if times / rows.num_rows < COLLAPSED or right > 0.8 or len(known) < 2:
        return None
    what = "no label of the list" if said is None else f"'{said}'"
    share = times / rows.num_rows
    return f"{share:.0%} of its answers are {what}, right in {right:.0%} of the items"


def _counted(rows: pa.Table, level: int | None) -> tuple[tuple[str, ...], Floats]:
    """Return labels, and hits, false alarms and misses of each label, (labels, 3)."""
    if holds_lists(rows):
        sets = label_sets(rows, "macro", level)
        return sets.labels, sets.counts()
    sample: LabelledItems = one_label(rows, level, "macro")
    return sample.labels, np.column_stack(f1.counts(sample))
