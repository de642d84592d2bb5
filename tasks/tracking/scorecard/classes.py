"""The classes in which a candidate is worst, and what it takes for what, beside the base."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from tasks.metrics.classes import (
    ClassLine,
    Confusion,
    class_lines,
    confusions,
    has_classes,
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
    return [
        _classes(name, before, after)
        for name, before, after in _tables(base, candidate)
        if has_classes(after) and has_classes(before)
    ]


def worst_classes(scores: SuiteScores, most: int = 5) -> list[ClassLine]:
    """Return one model's worst classes on a suite, by F1; none where the suite has no classes."""
    table = read_items(scores.items)
    return class_lines(table)[:most] if has_classes(table) else []


def letters(base: Sequence[SuiteScores], candidate: Sequence[SuiteScores]) -> list[Letters]:
    """Return the answer letters of every suite asked by letters that both models took."""
    found = []
    for name, before, after in _tables(base, candidate):
        if "letters" in after["form"].to_pylist():
            one, other, none = letter_shares(before), letter_shares(after), (0.0, 0.0)
            pairs = {x: (one.get(x, none), other.get(x, none)) for x in sorted({*one, *other})}
            shares = {x: (new[0], old[1], new[1]) for x, (old, new) in pairs.items()}
            found.append(Letters(name, shares))
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


def _tables(
    base: Sequence[SuiteScores], candidate: Sequence[SuiteScores]
) -> list[tuple[str, pa.Table, pa.Table]]:
    others = {scores.suite: scores for scores in candidate}
    return [
        (one.suite, read_items(one.items), read_items(others[one.suite].items))
        for one in base
        if one.suite in others
    ]


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
