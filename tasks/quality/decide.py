"""Deciding about every row: found by which checks, and in which split otherwise."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from configs.quality import NearDuplicates, Quality
from configs.sources import RehearsalSource, StoredSource
from tasks.quality.checks.registry import Findings, any_of, run_checks
from tasks.quality.checks.row_batch import CheckContext
from tasks.quality.checks.texts import Flags
from tasks.quality.expectations import Outcome, Validation, validate
from tasks.quality.row_table import Uses, are_classes, find_unseen_labels, read_columns
from tasks.quality.splits import assign, find_beyond_limit, find_overlaps
from tasks.quality.suite import Expectation
from tasks.text.keyed import key_of
from tasks.text.normal import normal
from tasks.text.rows import prompt_text

AnySource = StoredSource | RehearsalSource


class Decision(NamedTuple):
    """What was decided about every row of a snapshot (n).

    Attributes:
        flags: Check (or expectation) -> true for the rows it found, which are set aside.
        reported: Check -> rows it found and left where they are.
        splits: train, dev or test; None for a row that was set aside.
        beyond_limit: Training rows beyond the source's limit; they are in no file.
        classes: Whether the labels are classes.
        gives_labels: Whether the source gives labels at all.
        languages: Language -> rows, where languages were asked for.
        own: What became of the expectations that the user added to the shipped suite.
    """

    flags: dict[str, Flags]
    reported: dict[str, Flags]
    splits: Uses
    beyond_limit: Flags
    classes: bool
    gives_labels: bool
    languages: dict[str, int]
    own: Validation | None

    def members(self, split: str) -> Flags:
        """Return the rows written to a split's file."""
        return np.asarray((self.splits == split) & ~self.beyond_limit, dtype=bool)

    def written(self) -> Flags:
        """Return the rows that go into a split's file."""
        aside = np.asarray([name is None for name in self.splits], dtype=bool)
        return ~aside & ~self.beyond_limit

    def uses(self) -> Uses:
        """Return what each row is used for: its split, ``limit`` beyond the limit, else None."""
        return np.where(self.beyond_limit, "limit", self.splits)

    def unmet(self) -> list[Outcome]:
        """Return the added critical expectations that fail on rows the checks did not find.

        What the checks found is set aside already, so it can't hurt what is left.
        """
        checks = [f for n, f in self.flags.items() if not n.startswith("expectation:")]
        found = any_of(checks, len(self.splits))
        return [
            o
            for o in (self.own.outcomes if self.own else [])
            if not o.success
            and o.severity == "critical"
            and not (o.rows and found[list(o.rows)].all())
        ]


def label_is_mapped(source: AnySource) -> bool:
    """Return whether the recipe says which column is the label."""
    return not isinstance(source, RehearsalSource) and "label" in source.columns


def decide_rows(
    table: Any,
    frame: pd.DataFrame,
    source: AnySource,
    quality: Quality,
    seed: int,
    added: Sequence[Expectation] = (),
    control_tokens: Sequence[str] = (),
) -> Decision:
    """Return what is decided about every row.

    Args:
        table: Chat rows.
        frame: Their identities (:func:`tasks.quality.row_table.build_identities`).
        source: The recipe's source.
        quality: The recipe's quality section.
        seed: The recipe's seed.
        added: Expectations that the user adds to the shipped suite. Rows that one of severity
            critical or warning isn't met on are set aside.
        control_tokens: Those of the model's own tokenizer.

    Raises:
        DataError: One of them can't be computed.
    """
    found, context, classes = find_rows(table, frame, source, quality, control_tokens)
    flags, own = dict(found.flags), None
    if added:
        offered = pd.DataFrame(flags, index=range(len(table)))
        offered = pd.concat([read_columns(table), offered], axis=1)
        own = validate(source.name, offered, added, locate=True)
        for outcome in own.outcomes:
            if outcome.rows and outcome.severity != "info":
                hit = flags.setdefault(outcome.name, np.zeros(len(frame), dtype=bool))
                hit[list(outcome.rows)] = True
    good = ~any_of(flags.values(), len(frame))
    if quality.near_duplicates is not None:
        frame = frame.assign(near=_group_near(table, good, quality.near_duplicates))
    by_label = classes and source.split.stratify
    splits, leaked, over = _divide_rows(frame, good, source, seed, by_label=by_label)
    flags["overlaps_test"] = leaked
    reported = dict(found.reported)
    if classes:
        reported["unseen_label"] = find_unseen_labels(frame["label"], splits)
    labels = context.gives_labels
    return Decision(flags, reported, splits, over, classes, labels, found.languages, own)


def find_rows(
    table: Any,
    frame: pd.DataFrame,
    source: AnySource,
    quality: Quality,
    control_tokens: Sequence[str] = (),
) -> tuple[Findings, CheckContext, bool]:
    """Return what the checks find in a source, their context, and whether labels are classes."""
    mapped = label_is_mapped(source)
    classes = are_classes(frame["label"], mapped=mapped)
    context = CheckContext(
        table,
        quality,
        source.role,
        labelled=classes or mapped,
        control_tokens=control_tokens,
    )
    return run_checks(context, frame, classes=classes), context, classes


def _group_near(table: Any, good: Flags, settings: NearDuplicates) -> npt.NDArray[np.int64]:
    """Return one number for the sound rows whose prompts are near-duplicates, -1 for the others."""
    from tasks.quality.near_duplicates import group_similar

    rows = table.select(["messages"]).filter(pa.array(good)).to_pylist()
    near = np.full(len(good), -1, dtype=np.int64)
    near[good] = group_similar([normal(prompt_text(row["messages"])) for row in rows], settings)
    return near


def _divide_rows(
    frame: pd.DataFrame, good: Flags, source: AnySource, seed: int, *, by_label: bool
) -> tuple[Uses, Flags, Flags]:
    rows = frame[good].reset_index(drop=True)
    names = assign(rows, source.split, key_of(seed, "split", source.name), by_label=by_label)
    leaked = find_overlaps(rows, names)
    names[leaked] = None
    limit = None if isinstance(source, RehearsalSource) else source.limit
    over = find_beyond_limit(rows["row_id"], names, limit, key_of(seed, "limit", source.name))
    everywhere = np.full(len(frame), None, dtype=object)
    everywhere[good] = names
    return everywhere, _spread_flags(leaked, good), _spread_flags(over, good)


def _spread_flags(flags: Flags, good: Flags) -> Flags:
    spread = np.zeros(len(good), dtype=bool)
    spread[good] = flags
    return spread
