"""What metrics of lists, of labels with levels and of open answers need of a per-item table."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Literal

import numpy as np
import pyarrow as pa

from tasks.metrics.bleu import bleu
from tasks.metrics.f1 import INVALID, Average, Labelled
from tasks.metrics.labelled_items import cut, label_sets, level_labels
from tasks.metrics.pooled import Pooled, quotient

Read = Callable[[pa.Table], Pooled | Labelled]

LISTS = ("labels", "extraction")
"""Forms in which an item has a list of labels."""
_LEVEL = re.compile(r"e([1-9])_(micro|macro|weighted)_f1")


def reader(form: str, metric: str) -> Read | None:
    """Return what reads a metric of items of that form, where one of these does."""
    if form in LISTS:
        return _of_lists(metric)
    if form == "classification" and (found := _LEVEL.fullmatch(metric)):
        level, average = int(found[1]), found[2]
        kind: Average = "micro" if average == "micro" else _average(average)
        return lambda rows: one_label(rows, level, kind)
    if (form, metric) == ("open", "bleu"):
        return lambda rows: bleu(named_scores(rows))
    return None


def named_scores(rows: pa.Table) -> list[Mapping[str, float]]:
    """Return the named scores of each item."""
    return [dict(scores or []) for scores in rows["scores"].to_pylist()]


def _of_lists(metric: str) -> Read | None:
    ratios = {
        "precision": (("right",), ("said",), 1),
        "recall": (("right",), ("meant",), 1),
        "micro_f1": (("right",), ("said", "meant"), 2),
        "similarity_f1": (("similarity",), ("said", "meant"), 2),
    }
    if metric in ratios:
        return lambda rows: _ratio(rows, *ratios[metric])
    if metric in ("macro_f1", "weighted_f1"):
        return lambda rows: label_sets(rows, _average(metric.removesuffix("_f1")))
    found = _LEVEL.fullmatch(metric)
    if found is None:
        return None
    level, average = int(found[1]), found[2]
    if average == "micro":
        return lambda rows: _ratio(rows, (f"right_e{level}",), ("said", "meant"), 2)
    return lambda rows: label_sets(rows, _average(average), level)


def _ratio(rows: pa.Table, top: tuple[str, ...], bottom: tuple[str, ...], times: float) -> Pooled:
    scores = named_scores(rows)
    upper, lower = ([sum(s[name] for name in names) for s in scores] for names in (top, bottom))
    return quotient([times * x for x in upper], lower)


def _average(name: str) -> Literal["macro", "weighted"]:
    return "macro" if name == "macro" else "weighted"


def one_label(rows: pa.Table, level: int | None, average: Average) -> Labelled:
    """Return gold and prediction of items with one label each, at a level of their paths."""
    labels = level_labels(stored_paths(rows), level)
    index = {label: code for code, label in enumerate(labels)}
    gold = [index[cut(label, level)] for label in rows["gold"].to_pylist()]
    said = [
        INVALID if label is None else index.get(cut(label, level), INVALID)
        for label in rows["prediction"].to_pylist()
    ]
    return Labelled(np.array(gold, np.int64), np.array(said, np.int64), tuple(labels), average)


def stored_paths(rows: pa.Table) -> list[str]:
    """Return the fixed list of a table with one label an item; else the labels in its golds."""
    stored = (rows.schema.metadata or {}).get(b"labels")
    found: list[str] = json.loads(stored) if stored else sorted(set(rows["gold"].to_pylist()))
    return found
