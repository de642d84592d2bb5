"""What a metric of right answers is worth by chance, from the stored items themselves.

A model that knows nothing of a question still likes some letters better than others, so its value
by chance is no constant: for "the right answer less the best other" it is minus the gap between its
favourites, and a model that was made flatter looks better. So chance is computed: with the right
answers of other questions of the same stratum in place of its own, over all of them at once
(a permutation test's mean, in closed form), and what is above it is judged.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from configs.suites.mmlu import GROUPS
from tasks.metrics.arrays import Floats, Ints, integers, matrix
from tasks.metrics.calibration import confidences
from tasks.metrics.f1 import INVALID, LabelledItems, support
from tasks.metrics.values import ItemValues, Numbers, advantages

SMALLEST = 30
"""Items of a stratum from which on its answers are exchanged among themselves; the items of smaller
ones are taken together, since the answers of three say little of what chance would give."""


class AboveChance(NamedTuple):
    """A metric's value by chance.

    Attributes:
        chance: Its value where the right answers are those of other questions.
        excess: What each item adds to what is above chance, so that their mean is the value less
            chance; None where the metric is no mean over items.
    """

    chance: float
    excess: ItemValues | None


def judged_above_chance(metric_name: str) -> bool:
    """Return whether a gate on the metric is judged on what is above chance alone.

    A flatter model has a higher margin and a lower Brier score whatever it knows.
    """
    return _kind(metric_name) in ("gold_margin", "margin", "brier")


def falls_below_chance(metric_name: str) -> bool:
    """Return whether a loss shows in the metric below chance, too: a log-probability has no floor
    there.
    """
    return _kind(metric_name) == "gold_logprob"


def above_chance(table: pa.Table, metric_name: str, items: ItemValues) -> AboveChance | None:
    """Return a metric's value by chance, or None for one that right answers have no part in.

    Args:
        table: A suite's items.
        metric_name: The metric.
        items: Its items, as ``item_values`` returns them.

    Raises:
        EvaluationError: A stored value is missing.
    """
    if isinstance(items.data, LabelledItems):
        return AboveChance(chance_f1(items.data), None)
    if not isinstance(items.data, Numbers):
        return None
    kind, form = _kind(metric_name), _form(metric_name)
    rows = table.filter(
        pc.and_(
            pc.is_in(table["form"], pa.array([form, "classification"])),
            pc.is_in(table["item_id"], pa.array(items.ids)),
        )
    )
    if len(rows) != len(items):
        return None
    place = {item: i for i, item in enumerate(rows["item_id"].to_pylist())}
    rows = rows.take([place[item] for item in items.ids])
    if form == "letters" and kind == "accuracy" and rows["form"][0].as_py() == "classification":
        return _of_labels(rows, items)
    if kind not in _OPTIONS or rows["choice_logprobs"].null_count:
        return None
    scores = matrix(rows, "choice_logprobs")
    if form == "cloze" and kind not in ("brier", "acc"):
        scores = scores / np.maximum(matrix(rows, "choice_bytes", pad=1.0), 1.0)
    values = _OPTIONS[kind](scores)
    excess = centred(values, np.isfinite(scores), integers(rows, "gold_index"), items.strata)
    return _found(items, excess)


def chance_f1(data: LabelledItems) -> float:
    """Return the F1 where predictions have nothing to do with the references, exactly.

    Under all permutations of the references a label's hits are, on average, its references times
    its predictions over the items, while both of those numbers stay.
    """
    meant = support(data).astype(np.float64)
    predicted = np.bincount(
        data.predicted[data.predicted != INVALID], minlength=len(data.labels)
    ).astype(np.float64)
    hits = meant * predicted / len(data.gold)
    if data.average == "micro":
        return float(2 * hits.sum() / max(meant.sum() + predicted.sum(), 1.0))
    there = meant > 0
    scores = 2 * hits[there] / (meant + predicted)[there]
    return float(np.average(scores, weights=meant[there] if data.average == "weighted" else None))


def centred(values: Floats, there: np.ndarray, gold: Ints, strata: Ints | None = None) -> Floats:
    """Return what each item adds above chance, float64, shape (items,).

    From the value under its own right answer are taken the mean under those of the other items of
    its stratum, and what that answer is worth to the other items: their mean is the same without
    it, and varies more.

    Args:
        values: The item's value were each option the right one, shape (items, options).
        there: Which options an item has, same shape.
        gold: Index of the right option, shape (items,).
        strata: Stratum of each item (0-based codes), or None: one.
    """
    part = np.zeros(len(gold), np.int64)
    if strata is not None:
        large = np.bincount(strata)[strata] >= SMALLEST
        part = np.where(large, strata + 1, 0)
    out = np.zeros(len(gold))
    keys = part * (there.shape[1] + 1) + there.sum(axis=1)
    for key in np.unique(keys):
        at = np.flatnonzero(keys == key)
        own, right = values[at], gold[at]
        own = np.where(there[at], own, 0.0)
        if (right == right[0]).all():
            # Other items' answers are the same one: each option is as likely.
            out[at] = own[np.arange(len(at)), right] - own.sum(axis=1) / there[at].sum(axis=1)
            continue
        shares = np.bincount(right, minlength=own.shape[1]) / len(at)
        worth = own.mean(axis=0)
        found = own[np.arange(len(at)), right] - own @ shares - worth[right] + worth @ shares
        # The item's own answer is among those it is compared with.
        out[at] = found * len(at) / (len(at) - 1)
    return out


def _found(items: ItemValues, excess: Floats) -> AboveChance:
    assert isinstance(items.data, Numbers)
    span = items.data.span or ((0.0, 1.0) if items.data.proportion else None)
    width = None if span is None else (span[0] - span[1], span[1] - span[0])
    data = Numbers(excess, span=width)
    chance = float(items.data.values.mean() - excess.mean())
    return AboveChance(chance, replace(items, data=data))


def _of_labels(rows: pa.Table, items: ItemValues) -> AboveChance:
    """Return that of a classification's accuracy; its strata are classes, so they are joined."""
    gold = rows["gold"].to_pylist()
    labels = {label: i for i, label in enumerate(sorted(set(gold)))}
    right = np.array([labels[g] for g in gold], dtype=np.int64)
    predicted = np.array([labels.get(p, INVALID) for p in rows["prediction"].to_pylist()])
    values = (predicted[:, None] == np.arange(len(labels))[None]).astype(np.float64)
    excess = centred(values, np.ones_like(values, dtype=bool), right)
    return _found(replace(items, strata=None), excess)


def _kind(metric_name: str) -> str:
    plain = metric_name.removeprefix("chat_").removeprefix("cloze_")
    return "accuracy" if plain in GROUPS else plain


def _form(metric_name: str) -> str:
    if metric_name.startswith("chat_"):
        return "chat_letters"
    return (
        "cloze"
        if metric_name.startswith(("cloze_", "acc_", "acc ")) or metric_name == "acc"
        else "letters"
    )


def _likeliest(scores: Floats) -> Floats:
    best = scores.argmax(axis=1)[:, None]
    return np.asarray(np.arange(scores.shape[1]) == best, dtype=np.float64)


def _margins(scores: Floats) -> Floats:
    """Return each option's score less the best other's."""
    order = np.sort(scores, axis=1)
    best, second = order[:, -1:], order[:, -2:-1]
    others = np.where(_likeliest(scores) > 0, second, best)
    return np.asarray(np.where(np.isfinite(scores), scores - others, 0.0))


def _briers(scores: Floats) -> Floats:
    chances = confidences(scores)
    return np.asarray((chances**2).sum(axis=1, keepdims=True) - 2 * chances + 1)


_OPTIONS: dict[str, Callable[[Floats], Floats]] = {
    "accuracy": _likeliest,
    "acc": _likeliest,
    "gold_logprob": lambda scores: scores,
    "gold_margin": _margins,
    "margin": _margins,
    "brier": _briers,
    "advantage": advantages,
}
"""An item's value were each option the right one, by the metric's name without its form."""
