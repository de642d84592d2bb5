"""A suite's classes one by one: how well each is found, and what it is taken for."""

from collections import Counter
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import EvaluationError
from tasks.metrics import f1
from tasks.metrics.arrays import Floats
from tasks.metrics.f1 import LabelledItems
from tasks.metrics.label_sets import cut, label_sets, unpaired, wrong_pairs
from tasks.metrics.pooled import divided
from tasks.metrics.values import LISTS, one_label

FORMS = ("classification", *LISTS)
"""Forms of items that have classes."""


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


def has_classes(table: pa.Table) -> bool:
    """Return whether a per-item table has items with classes."""
    return bool(pc.any(pc.is_in(table["form"], pa.array(FORMS))).as_py())


def class_lines(table: pa.Table, level: int | None = None) -> list[ClassLine]:
    """Return every class that occurs in gold or is predicted, the worst F1 first.

    Args:
        table: A suite's items.
        level: Of labels with levels, 1 being the coarsest; None takes them in full.

    Raises:
        EvaluationError: The items have no classes.
    """
    labels, counts = _counted(table, level)
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


def confusions(table: pa.Table, level: int | None = None) -> list[Confusion]:
    """Return what was taken for what, the most frequent first; right answers are left out.

    Of lists these are the partners whose labels differ, and the golds (or predictions) without a
    partner, whose other side is None.

    Raises:
        EvaluationError: The items have no classes.
    """
    rows = _rows(table)
    if rows["form"][0].as_py() in LISTS:
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


def _rows(table: pa.Table) -> pa.Table:
    if not has_classes(table):
        raise EvaluationError(
            "its items have no classes.",
            where="classes",
            fix="give a suite of kind classification or extraction.",
        )
    return table.filter(pc.is_in(table["form"], pa.array(FORMS)))


def _counted(table: pa.Table, level: int | None) -> tuple[tuple[str, ...], Floats]:
    """Return labels, and hits, false alarms and misses of each label, (labels, 3)."""
    rows = _rows(table)
    if rows["form"][0].as_py() in LISTS:
        sets = label_sets(rows, "macro", level)
        return sets.labels, sets.counts()
    sample: LabelledItems = one_label(rows, level, "macro")
    return sample.labels, np.column_stack(f1.counts(sample))
