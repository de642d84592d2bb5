"""Deciding about every row: found by which checks, and in which split otherwise."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from configs.quality import NearDuplicates, Quality
from configs.sources import RehearsalSource, StoredSource
from tasks.quality.checks.consistency import consistency_flags
from tasks.quality.checks.registry import NO_FINDINGS, Findings, run_checks
from tasks.quality.expectations import Outcome, validate
from tasks.quality.findings import (
    Flags,
    duplicates,
    label_conflicts,
    local_findings,
    missing_labels,
)
from tasks.quality.frame import texts
from tasks.quality.labels import are_classes, unseen_labels
from tasks.quality.severity import reported
from tasks.quality.splits import assign, beyond_limit, overlapping
from tasks.text.keyed import key_of
from tasks.text.normal import normal
from tasks.text.rows import prompt_text

AnySource = StoredSource | RehearsalSource
Settings = tuple[AnySource, Quality, int]
"""The source, the recipe's quality section and its seed."""


class Sorted(NamedTuple):
    """What was decided about every row of a snapshot.

    Attributes:
        flags: Check (or expectation) -> true for the rows it found.
        names: train, dev or test; None for a row that was set aside.
        over: Training rows beyond the source's limit; they are in no file.
        outcomes: Expectations of the user's own.
        classes: Whether the labels are classes.
        reported: Check -> rows it found and left where they are.
        languages: Language -> rows, where languages were asked for.
    """

    flags: dict[str, Flags]
    names: npt.NDArray[np.object_]
    over: Flags
    outcomes: list[Outcome]
    classes: bool
    reported: dict[str, Flags] = {}
    languages: dict[str, int] = {}

    def members(self, split: str) -> Flags:
        """Return the rows written to a split's file."""
        return np.asarray((self.names == split) & ~self.over, dtype=bool)

    def set_aside(self) -> Flags:
        """Return the rows that go into quarantine."""
        return np.asarray([name is None for name in self.names], dtype=bool)

    def written(self) -> Flags:
        """Return the rows that go into a split's file."""
        return ~self.set_aside() & ~self.over

    def critical(self) -> list[Outcome]:
        """Return the user's critical expectations that fail on rows the checks did not find.

        What the checks found is set aside already, so it can't hurt what is left.
        """
        found = any_of(
            {n: f for n, f in self.flags.items() if not n.startswith("expectation:")},
            len(self.names),
        )
        return [
            o
            for o in self.outcomes
            if not o.success
            and o.severity == "critical"
            and not (o.rows and found[list(o.rows)].all())
        ]


def label_is_mapped(source: AnySource) -> bool:
    """Return whether the recipe says which column is the label."""
    return not isinstance(source, RehearsalSource) and "label" in source.columns


def sort_rows(table: Any, frame: pd.DataFrame, settings: Settings) -> Sorted:
    """Return what is decided about every row.

    Args:
        table: Chat rows.
        frame: Their identities (:func:`tasks.quality.frame.identities`).
        settings: Source, quality section and seed.

    Raises:
        DataError: An expectation of the user's own can't be computed.
    """
    source, quality, _ = settings
    classes = are_classes(frame["label"], mapped=label_is_mapped(source))
    told = run_checks(table, quality)
    flags = find_all(table, frame, (source, quality, classes), told)
    left = told.reported | {name: flags.pop(name) for name in reported(list(flags), quality)}
    outcomes = _judged(table, flags, quality)
    flags = _found(outcomes, len(frame))
    good = ~any_of(flags, len(frame))
    if quality.near_duplicates is not None:
        frame = frame.assign(near=_near(table, good, quality.near_duplicates))
    names, leaked, over = _divide(frame, good, settings, classes)
    flags["overlaps_test"] = leaked
    if classes:
        left["unseen_label"] = unseen_labels(frame["label"], names)
    return Sorted(flags, names, over, [o for o in outcomes if o.own], classes, left, told.languages)


def find_all(
    table: Any,
    frame: pd.DataFrame,
    settings: tuple[AnySource, Quality, bool],
    told: Findings = NO_FINDINGS,
) -> dict[str, Flags]:
    """Return check -> rows it finds, for the checks asked for; ``settings`` ends with classes.

    Of what the checks of texts found (``told``) only what found rows is listed.
    """
    source, quality, classes = settings
    flags = local_findings(table, quality)
    flags |= {name: found for name, found in told.quarantined.items() if found.any()}
    nothing = np.zeros(len(frame), dtype=bool)
    labelled = classes or label_is_mapped(source)
    if "missing_label" in quality.checks:
        flags["missing_label"] = missing_labels(frame, source.role) if labelled else nothing
    # A row that is broken by itself neither stands for its copies nor contradicts anyone.
    harmless = reported(list(flags), quality)
    sound = ~any_of({n: f for n, f in flags.items() if n not in harmless}, len(frame))
    if "duplicate" in quality.checks:
        flags["duplicate"] = duplicates(frame, sound)
    if "label_conflict" in quality.checks:
        flags["label_conflict"] = label_conflicts(frame, sound) if classes else nothing
    return flags | _uneven(table, quality)


def _uneven(table: Any, quality: Quality) -> dict[str, Flags]:
    found = consistency_flags(table)
    return {name: flags for name, flags in found.items() if name in quality.checks and flags.any()}


def any_of(flags: dict[str, Flags], rows: int) -> Flags:
    """Return the rows that any check found."""
    found = np.zeros(rows, dtype=bool)
    for hit in flags.values():
        found |= hit
    return found


def _near(table: Any, good: Flags, settings: NearDuplicates) -> npt.NDArray[np.int64]:
    """Return one number for the sound rows whose prompts are near-duplicates, -1 for the others."""
    from tasks.quality.near import together

    rows = table.select(["messages"]).filter(pa.array(good)).to_pylist()
    near = np.full(len(good), -1, dtype=np.int64)
    near[good] = together([normal(prompt_text(row["messages"])) for row in rows], settings)
    return near


def _judged(table: Any, flags: dict[str, Flags], quality: Quality) -> list[Outcome]:
    own = Path(quality.expectations) if quality.expectations else None
    offered = pd.DataFrame(flags, index=range(len(table)))
    if own is not None:
        offered = pd.concat([texts(table), offered], axis=1)
    return validate(offered, list(flags), quality.min_rows, own)


def _found(outcomes: list[Outcome], rows: int) -> dict[str, Flags]:
    """Return the rows that each expectation found; those of severity info stay where they are."""
    flags: dict[str, Flags] = {}
    for outcome in outcomes:
        about_rows = outcome.name != "rows" if not outcome.own else bool(outcome.rows)
        if about_rows and not (outcome.own and outcome.severity == "info"):
            found = flags.setdefault(outcome.name, np.zeros(rows, dtype=bool))
            found[list(outcome.rows)] = True
    return flags


def _divide(
    frame: pd.DataFrame, good: Flags, settings: Settings, classes: bool
) -> tuple[npt.NDArray[np.object_], Flags, Flags]:
    source, _, seed = settings
    rows = frame[good].reset_index(drop=True)
    by_label = classes and source.split.stratify
    names = assign(rows, source.split, key_of(seed, "split", source.name), by_label=by_label)
    leaked = overlapping(rows, names)
    names[leaked] = None
    limit = None if isinstance(source, RehearsalSource) else source.limit
    over = beyond_limit(rows["row_id"], names, limit, key_of(seed, "limit", source.name))
    everywhere = np.full(len(frame), None, dtype=object)
    everywhere[good] = names
    return everywhere, _spread(leaked, good), _spread(over, good)


def _spread(flags: Flags, good: Flags) -> Flags:
    spread = np.zeros(len(good), dtype=bool)
    spread[good] = flags
    return spread
