"""The classes in which a candidate is worst, and what it takes for what, beside the base."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from tasks.metrics.classes import (
    ClassLine,
    Confusion,
    class_items,
    class_lines,
    confusions,
    letter_shares,
)
from tasks.metrics.estimates import read_items
from tasks.scores import SuiteScores

WORST = 10
"""Classes, and confusions, shown of each suite."""


class Compared(NamedTuple):
    """A class on both models; ``base`` is None where it neither occurs nor is said there."""

    candidate: ClassLine
    base: ClassLine | None


class Taken(NamedTuple):
    """A confusion of the candidate, and how many times the base made it."""

    candidate: Confusion
    base: int


class Classes(NamedTuple):
    """A suite's worst classes and most frequent confusions.

    Attributes:
        suite: Its name.
        total: Classes in all.
        worst: The candidate's worst, by F1.
        taken: Its most frequent confusions.
    """

    suite: str
    total: int
    worst: list[Compared]
    taken: list[Taken]


class Letters(NamedTuple):
    """How often each letter is right, and is said by base and candidate, as shares."""

    suite: str
    shares: dict[str, tuple[float, float, float]]


def classes(base: Sequence[SuiteScores], candidate: Sequence[SuiteScores]) -> list[Classes]:
    """Return the worst classes of every suite that has classes and that both models took."""
    found = []
    for one, other in _both(base, candidate):
        before = class_items(one, read_items(one.items))
        after = class_items(other, read_items(other.items))
        if before is not None and after is not None:
            found.append(_classes(one.suite, before, after))
    return found


def worst_classes(scores: SuiteScores, most: int = 5) -> list[ClassLine]:
    """Return one model's worst classes on a suite, by F1; none where the suite has no classes."""
    rows = class_items(scores, read_items(scores.items))
    return [] if rows is None else class_lines(rows)[:most]


def letters(base: Sequence[SuiteScores], candidate: Sequence[SuiteScores]) -> list[Letters]:
    """Return the answer letters of every suite asked by letters that both models took."""
    found = []
    for first, second in _both(base, candidate):
        before, after = read_items(first.items), read_items(second.items)
        if "letters" in after["form"].to_pylist():
            one, other, none = letter_shares(before), letter_shares(after), (0.0, 0.0)
            pairs = {x: (one.get(x, none), other.get(x, none)) for x in sorted({*one, *other})}
            shares = {x: (new[0], old[1], new[1]) for x, (old, new) in pairs.items()}
            found.append(Letters(first.suite, shares))
    return found


def classes_record(found: Sequence[Classes]) -> list[dict[str, Any]]:
    """Return the same as JSON data."""
    return [
        {
            "suite": each.suite,
            "classes": each.total,
            "worst": [
                {**c._asdict(), "base_f1": None if b is None else b.f1} for c, b in each.worst
            ],
            "confusions": [{**c._asdict(), "base": b} for c, b in each.taken],
        }
        for each in found
    ]


def _both(
    base: Sequence[SuiteScores], candidate: Sequence[SuiteScores]
) -> list[tuple[SuiteScores, SuiteScores]]:
    others = {scores.suite: scores for scores in candidate}
    return [(one, others[one.suite]) for one in base if one.suite in others]


def _classes(name: str, before: pa.Table, after: pa.Table) -> Classes:
    lines = class_lines(after)
    known = {line.label: line for line in class_lines(before)}
    made = {(c.gold, c.said): c.times for c in confusions(before)}
    return Classes(
        name,
        len(lines),
        [Compared(line, known.get(line.label)) for line in lines[:WORST]],
        [Taken(c, made.get((c.gold, c.said), 0)) for c in confusions(after)[:WORST]],
    )
