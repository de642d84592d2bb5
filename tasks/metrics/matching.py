"""Labelled spans said against those meant: the pairing that is best for the model.

Pairs are one to one. Among all pairings the one is taken that has the most pairs right in full,
and among those the one whose similarities sum to the most (``scipy``'s linear sum assignment), so
the order of a list never counts. What stays without a partner is a false alarm or a miss; nothing
is cut away.

A label is a path of levels, coarse to fine. At level k two labels are alike where their first k
levels are; a path that ends before level k stands for itself there. Because paths form a tree, the
pairing that is best in full is best at every level.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from tasks.metrics.arrays import Floats
from tasks.metrics.text_scores import token_f1
from tasks.text.normal import fold

LabelPath = tuple[str, ...]
JOINT = " > "
"""Between the levels of a label as it is stored and shown."""


class Labelled(NamedTuple):
    """A label, level by level, with the text it is about where the task has one."""

    path: LabelPath
    span: str | None = None


class Pair(NamedTuple):
    """A partnership.

    Attributes:
        said: Place among the answers.
        meant: Place among the golds.
        right: Leading levels that are right; 0 where the spans don't match.
        similarity: Share of levels right times the spans' token F1, in [0, 1].
    """

    said: int
    meant: int
    right: int
    similarity: float


def pair(
    said: Sequence[Labelled], meant: Sequence[Labelled], levels: int, overlap: float = 1.0
) -> list[Pair]:
    """Return the best partnerships, those with nothing in common left out.

    Args:
        said: The model's.
        meant: The golds.
        levels: Levels of a full path.
        overlap: Token F1 from which on two spans match; only where golds have spans.
    """
    if not said or not meant:
        return []
    right = np.zeros((len(said), len(meant)))
    alike = np.zeros_like(right)
    for i, one in enumerate(said):
        for j, other in enumerate(meant):
            same, spans = levels_alike(one.path, other.path, levels), _spans(one, other)
            right[i, j] = same * (spans >= overlap)
            alike[i, j] = same / levels * spans
    rows, columns = linear_sum_assignment(_worth(right, alike, levels), maximize=True)
    return [
        Pair(int(i), int(j), int(right[i, j]), float(alike[i, j]))
        for i, j in zip(rows, columns, strict=True)
        if alike[i, j] > 0
    ]


def levels_alike(one: LabelPath, other: LabelPath, levels: int) -> int:
    """Return how many leading levels of two paths are the same; all, where both end early alike."""
    width = max(levels, len(one), len(other))
    for level, (a, b) in enumerate(zip(_filled(one, width), _filled(other, width), strict=True)):
        if a != b:
            return min(level, levels - 1)
    return levels


def _filled(path: LabelPath, width: int) -> tuple[str | None, ...]:
    return (*path, *(None for _ in range(width - len(path))))


def _spans(one: Labelled, other: Labelled) -> float:
    if other.span is None:
        return 1.0
    return token_f1(one.span or "", other.span)


def _worth(right: Floats, alike: Floats, levels: int) -> Floats:
    """Return what a pair is worth: one right in full outweighs all similarities together."""
    return np.asarray((right == levels) * (1.0 + min(right.shape)) + alike)


def plain(label: str) -> str:
    """Return a label's normal form (:func:`tasks.text.normal.fold`)."""
    return fold(label)
