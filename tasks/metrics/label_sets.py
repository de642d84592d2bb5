"""F1 where an item has several labels, and what it is without each item.

An item's labels are a bag: what was said twice and meant once is one hit and one false alarm. A
label outside the fixed list is a false alarm of no label; macro and weighted F1 are over the labels
that occur in gold, as in :mod:`tasks.metrics.f1`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from tasks.errors import EvaluationError
from tasks.metrics.arrays import Floats, Ints
from tasks.metrics.matching import JOINT
from tasks.metrics.pooled import Pooled, divided

HIT, ALARM, MISS = 0, 1, 2
"""Said and meant, said alone, meant alone."""
NOTHING = -1
"""Pads the rows of items with fewer labels than others, and stands for no label of the list."""


@dataclass(frozen=True)
class LabelSets(Pooled):
    """Labels of every item as codes into ``labels``, with what became of each.

    Attributes:
        codes: int64, shape (items, most labels of an item), padded with ``NOTHING``.
        kinds: ``HIT``, ``ALARM`` or ``MISS`` of each, same shape.
        labels: The fixed list.
        average: Over the labels in gold, alike (macro) or by their frequency there (weighted).
    """

    codes: Ints
    kinds: Ints
    labels: tuple[str, ...]
    average: Literal["macro", "weighted"] = "macro"

    def value(self) -> float:
        """Return the F1."""
        counts = self.counts()
        weight = self._weights(counts)
        return float(weight @ f1_of(counts) / max(weight.sum(), 1.0))

    def held(self) -> Floats:
        """Return which labels are hits, alarms and misses, shape (items, 3 a label at most)."""
        held = np.where(self.codes == NOTHING, NOTHING, self.codes * 4 + self.kinds)
        return np.sort(held.astype(np.float64), axis=1)[:, ::-1]

    def counts(self) -> Floats:
        """Return hits, false alarms and misses of each label, float64, shape (labels, 3)."""
        touched = self._touched(np.zeros(len(self.codes), dtype=np.int64))
        out = np.zeros((len(self.labels), 3))
        out[touched.label] = touched.counts
        return out

    def support(self) -> Ints:
        """Return how often each label occurs in gold, int64, shape (labels,)."""
        counts = self.counts()
        return np.asarray(counts[:, HIT] + counts[:, MISS], dtype=np.int64)

    def without_each(self, units: Ints | None = None) -> Floats:
        """Return F1 without each unit in turn, float64, shape (units,).

        The labels averaged over stay those of the whole sample.
        """
        units = np.arange(len(self.codes)) if units is None else units
        size = int(units.max()) + 1
        whole, touched = self.counts(), self._touched(units)
        left = whole[touched.label] - touched.counts
        old_weight, old = self._weights(whole), f1_of(whole)
        present = old_weight[touched.label] > 0
        fewer = touched.counts[:, HIT] + touched.counts[:, MISS]
        gone = fewer if self.average == "weighted" else np.zeros_like(fewer)
        new_weight = np.where(present, old_weight[touched.label] - gone, 0.0)
        change = new_weight * f1_of(left) - (old_weight * old)[touched.label]
        total = old_weight @ old + np.bincount(touched.unit, change, minlength=size)
        weight = old_weight.sum() - np.bincount(touched.unit, gone, minlength=size)
        return divided(total, np.maximum(weight, 0.0))

    def _weights(self, counts: Floats) -> Floats:
        support = counts[:, HIT] + counts[:, MISS]
        return np.asarray(support if self.average == "weighted" else (support > 0) * 1.0)

    def _touched(self, units: Ints) -> "_Touched":
        """Return the counts of every label that a unit has anything to do with."""
        item, column = np.nonzero(self.codes != NOTHING)
        label, kind = self.codes[item, column], self.kinds[item, column]
        keys, place = np.unique(units[item] * len(self.labels) + label, return_inverse=True)
        counts = np.zeros((len(keys), 3))
        np.add.at(counts, (place, kind), 1.0)
        return _Touched(keys // len(self.labels), keys % len(self.labels), counts)


class _Touched(NamedTuple):
    unit: Ints
    label: Ints
    counts: Floats


def f1_of(counts: Floats) -> Floats:
    """Return F1 of hits, false alarms and misses, shape (n, 3) -> (n,); 0 where that is 0 / 0."""
    hits = counts[:, HIT]
    return divided(2 * hits, 2 * hits + counts[:, ALARM] + counts[:, MISS])


def padded(rows: list[list[int]], fill: int = NOTHING) -> Ints:
    """Return rows of codes as int64, shape (rows, longest row, at least 1)."""
    width = max([1, *map(len, rows)])
    return np.array([[*row, *[fill] * (width - len(row))] for row in rows], np.int64)


# Bags of labels read from a per-item table in which gold and prediction are JSON lists.


class Bag(NamedTuple):
    """One item's labels at one level: label and kind of each; None is a label outside the list."""

    labels: list[str | None]
    kinds: list[int]


def label_sets(
    rows: pa.Table, average: Literal["macro", "weighted"], level: int | None = None
) -> LabelSets:
    """Return every item's labels, at one level of their paths or in full.

    Args:
        rows: With ``gold`` and ``prediction``, and the label list in the schema's metadata.
        average: How labels are averaged.
        level: 1 is the coarsest; None takes paths in full.

    Raises:
        EvaluationError: A gold label isn't in the list.
    """
    known = level_labels(stored_labels(rows), level)
    index = {label: code for code, label in enumerate(known)}
    bags = [_bag(gold, said, level) for gold, said in _pairs(rows)]
    codes = [[NOTHING if x is None else index.get(x, NOTHING) for x in bag.labels] for bag in bags]
    _refuse_strange(bags, index)
    return LabelSets(padded(codes), padded([bag.kinds for bag in bags]), tuple(known), average)


def stored_labels(rows: pa.Table) -> list[str]:
    """Return the fixed list that the table was judged by; else the labels in its golds."""
    stored = (rows.schema.metadata or {}).get(b"labels")
    if stored:
        labels: list[str] = json.loads(stored)
        return labels
    return sorted({gold["label"] for golds, _ in _pairs(rows) for gold in golds})


def level_labels(labels: Sequence[str], level: int | None) -> list[str]:
    """Return the labels cut to a level, each once, in order."""
    return list(dict.fromkeys(cut(label, level) for label in labels))


def cut(label: str, level: int | None) -> str:
    """Return a path's first levels; a shorter path stands for itself."""
    return label if level is None else JOINT.join(label.split(JOINT)[:level])


def macro_level(metric: str) -> int | None:
    """Return the level that a macro F1 is of, 0 for labels in full; None for other metrics."""
    found = re.fullmatch(r"(?:e([1-9])_)?macro_f1", metric)
    return None if found is None else int(found[1] or 0)


def wrong_pairs(rows: pa.Table, level: int | None = None) -> list[tuple[str, str]]:
    """Return gold and predicted label of every partnership whose labels differ at that level."""
    found = []
    for golds, said in _pairs(rows):
        for one in said:
            if one["gold"] is not None:
                pair = (cut(golds[one["gold"]]["label"], level), cut(one["label"], level))
                found += [pair] if pair[0] != pair[1] else []
    return found


def unpaired(rows: pa.Table, level: int | None = None) -> list[tuple[str | None, str | None]]:
    """Return golds and predictions without a partner, as pairs of which one side is None."""
    found: list[tuple[str | None, str | None]] = []
    for golds, said in _pairs(rows):
        taken = {one["gold"] for one in said}
        found += [(cut(g["label"], level), None) for i, g in enumerate(golds) if i not in taken]
        found += [(None, cut(one["label"], level)) for one in said if one["gold"] is None]
    return found


def _pairs(rows: pa.Table) -> list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]:
    columns = (rows[name].to_pylist() for name in ("gold", "prediction"))
    return [(json.loads(gold), json.loads(said)) for gold, said in zip(*columns, strict=True)]


def _bag(golds: list[dict[str, Any]], said: list[dict[str, Any]], level: int | None) -> Bag:
    labels: list[str | None] = []
    kinds: list[int] = []
    hit = set()
    for one in said:
        right = one["whole"] if level is None else one["right"] >= level
        hit |= {one["gold"]} if right else set()
        labels.append(cut(golds[one["gold"]]["label"] if right else one["label"], level))
        kinds.append(HIT if right else ALARM)
    missed = [gold for place, gold in enumerate(golds) if place not in hit]
    return Bag(
        [*labels, *(cut(g["label"], level) for g in missed)], [*kinds, *(MISS for _ in missed)]
    )


def _refuse_strange(bags: list[Bag], index: dict[str, int]) -> None:
    strange = sorted(
        {
            label
            for bag in bags
            for label, kind in zip(*bag, strict=True)
            if kind != ALARM and label is not None and label not in index
        }
    )
    if strange:
        raise EvaluationError(
            f"gold label '{strange[0]}' is not in the suite's label list.",
            where="labels",
            fix="add it to the suite's labels:, or correct the rows.",
        )
