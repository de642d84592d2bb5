"""Bags of labels read from a per-item table in which gold and prediction are JSON lists.

A gold is ``{"label": "A > B"}``; a prediction says as well which gold is its partner, how many
leading levels are right and whether all of it is: ``{"label": "A > C", "gold": 0, "right": 1,
"whole": false}``.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import pyarrow as pa

from tasks.errors import EvaluationError
from tasks.metrics.labelsets import ALARM, HIT, MISS, NOTHING, LabelSets, padded
from tasks.metrics.matching import JOINT


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
