"""F1 over a fixed label list, and what it is without each item.

Conventions, those of scikit-learn's ``f1_score`` with ``zero_division=0``: an invalid prediction
(none, or none of the list) is a miss of its gold label and a false alarm of no label. Macro and
weighted F1 are over the labels that occur in gold (``labels=`` those); micro F1 is over the whole
list, so that a false alarm of a label without gold items counts.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from tasks.metrics.arrays import Bools, Floats, Ints

Average = Literal["macro", "micro", "weighted"]
INVALID = -1
"""Code of a prediction that is none of the labels."""


@dataclass(frozen=True)
class LabelledItems:
    """Gold and predicted labels as codes into ``labels``; both int64, shape (items,)."""

    gold: Ints
    predicted: Ints
    labels: tuple[str, ...]
    average: Average


class Counts(NamedTuple):
    """True positives, false positives and false negatives; float64, shape (labels,)."""

    tp: Floats
    fp: Floats
    fn: Floats

    def scores(self) -> Floats:
        """Return each label's F1 = 2 tp / (2 tp + fp + fn), 0 where that is 0 / 0."""
        return _f1(*self)


def counts(sample: LabelledItems) -> Counts:
    """Return the confusion counts of each label."""
    size = len(sample.labels)
    hit = sample.gold == sample.predicted
    wrong = sample.predicted[~hit & (sample.predicted != INVALID)]
    return Counts(
        *(
            np.bincount(x, minlength=size).astype(np.float64)
            for x in (sample.gold[hit], wrong, sample.gold[~hit])
        )
    )


def support(sample: LabelledItems) -> Ints:
    """Return the gold items of each label, shape (labels,)."""
    return np.bincount(sample.gold, minlength=len(sample.labels)).astype(np.int64)


def f1(sample: LabelledItems) -> float:
    """Return the sample's F1 by its own average."""
    return _averaged(counts(sample), support(sample) > 0, sample.average)


def without_each_item(sample: LabelledItems) -> Floats:
    """Return F1 without each item in turn, float64, shape (items,).

    One deletion changes the F1 of at most two labels, so all of them cost O(items + labels).
    The labels averaged over stay those of the whole sample.
    """
    if sample.average == "micro":
        return _micro_without(sample)
    all_counts, present = counts(sample), support(sample) > 0
    scores = all_counts.scores()
    gold, predicted, hit = sample.gold, sample.predicted, sample.gold == sample.predicted
    tp, fp, fn = (c[gold] for c in all_counts)
    new_gold = _f1(tp - hit, fp, fn - ~hit)
    alarm = ~hit & (predicted != INVALID)
    at = np.where(alarm, predicted, gold)
    tp, fp, fn = (c[at] for c in all_counts)
    new_alarm = np.where(alarm, _f1(tp, fp - alarm, fn), scores[at])
    if sample.average == "macro":
        change = new_gold - scores[gold] + present[at] * (new_alarm - scores[at])
        return np.asarray((scores[present].sum() + change) / present.sum())
    weight = support(sample).astype(np.float64)
    change = (weight[gold] - 1) * new_gold - weight[gold] * scores[gold]
    change += weight[at] * (new_alarm - scores[at])
    return np.asarray((weight @ scores + change) / max(len(gold) - 1, 1))


def influence(sample: LabelledItems) -> Floats:
    """Return how macro F1 moves with each item's weight, float64, shape (items,).

    The derivative of 2 tp / (2 tp + fp + fn), summed over the labels that the item counts for.
    """
    all_counts, present = counts(sample), support(sample) > 0
    whole = np.maximum(2 * all_counts.tp + all_counts.fp + all_counts.fn, 1)
    falls = all_counts.scores() / whole
    gold, predicted, hit = sample.gold, sample.predicted, sample.gold == sample.predicted
    alarm = ~hit & (predicted != INVALID)
    at = np.where(alarm, predicted, gold)
    moved = np.where(hit, 2 / whole[gold], 0.0) - (1 + hit) * falls[gold]
    return np.asarray((moved - (alarm & present[at]) * falls[at]) / present.sum())


def without_each_group(sample: LabelledItems, groups: Ints) -> Floats:
    """Return F1 without each group of items in turn, float64, shape (groups,)."""
    whole, present = counts(sample), support(sample) > 0
    order = np.argsort(groups, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(groups[order])) + 1)
    out = []
    for part in parts:
        gone = counts(
            LabelledItems(sample.gold[part], sample.predicted[part], sample.labels, sample.average)
        )
        left = Counts(*(a - b for a, b in zip(whole, gone, strict=True)))
        out.append(_averaged(left, present, sample.average))
    return np.array(out)


def _micro_without(sample: LabelledItems) -> Floats:
    tp, fp, fn = (c.sum() for c in counts(sample))
    hit = sample.gold == sample.predicted
    alarm = ~hit & (sample.predicted != INVALID)
    return _f1(tp - hit, fp - alarm, fn - ~hit)


def _averaged(all_counts: Counts, present: Bools, average: Average) -> float:
    if average == "micro":
        return float(_f1(*(c.sum() for c in all_counts)))
    scores = all_counts.scores()
    if average == "macro":
        return float(scores[present].mean())
    weight = all_counts.tp + all_counts.fn
    return float(weight @ scores / max(weight.sum(), 1.0))


def _f1(tp: Floats, fp: Floats, fn: Floats) -> Floats:
    whole = 2 * tp + fp + fn
    return np.asarray(np.divide(2 * tp, whole, out=np.zeros_like(whole * 1.0), where=whole > 0))
