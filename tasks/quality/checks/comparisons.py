"""Checks that compare the rows of one source with each other, and labels with what others have."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from tasks.quality.checks.row_batch import CheckContext, RowBatch, blank_labels
from tasks.quality.checks.texts import Flags, as_bools


class Comparison(NamedTuple):
    """A source as a whole, once each row was looked at alone.

    Attributes:
        context: Its table and the recipe's section.
        frame: Identities of its rows (:func:`tasks.quality.row_table.build_identities`).
        sound: Rows in which no check of single rows found anything to set aside. A row that is
            broken by itself neither stands for its copies nor contradicts anyone.
        classes: Whether labels name classes.
    """

    context: CheckContext
    frame: pd.DataFrame
    sound: Flags
    classes: bool


def find_missing_label(batch: RowBatch) -> Flags:
    """Return the domain rows without a label, where the source gives labels at all."""
    if batch.context.role != "domain" or not batch.context.gives_labels:
        return batch.nothing()
    return blank_labels(batch.rows.column("label"))


def find_duplicates(source: Comparison) -> Flags:
    """Return sound rows that repeat the whole text of an earlier one of the same given split."""
    rows = source.frame[source.sound]
    again = pd.DataFrame({"split": rows["split"].fillna(""), "text": rows["text_key"]}).duplicated()
    found = np.zeros(len(source.frame), dtype=bool)
    found[rows.index[again.to_numpy(dtype=bool)]] = True
    return found


def find_label_conflicts(source: Comparison) -> Flags:
    """Return sound rows whose prompt carries several labels within one given split."""
    found = np.zeros(len(source.frame), dtype=bool)
    if not source.classes:
        return found
    rows = source.frame[source.sound & source.frame["label"].notna().to_numpy(dtype=bool)]
    several = rows.groupby([rows["split"].fillna(""), rows["prompt_key"]])["label"].transform(
        "nunique"
    )
    found[rows.index[several.to_numpy() > 1]] = True
    return found


def find_inconsistent(field: str) -> Callable[[Comparison], Flags]:
    """Return the check that finds the rows with a field most lack, or without one most have.

    Args:
        field: system, tools or reasoning. Plain texts have no place for any of them, so that a
            source of them is consistent.
    """
    return lambda source: find_fewer(source.context.share(_read_presence)[field])


def find_fewer(present: Flags) -> Flags:
    """Return the rows that are the fewer, with something or without it; on a tie those without."""
    number = int(present.sum())
    if number in (0, len(present)):
        return np.zeros(len(present), dtype=bool)
    return ~present if number * 2 >= len(present) else present


def _read_presence(context: CheckContext) -> dict[str, Flags]:
    parts: dict[str, list[Flags]] = {"system": [], "tools": [], "reasoning": []}
    for batch in context.batches():
        thinks = as_bools(pc.is_valid(batch.flat.messages.field("reasoning")))
        parts["system"].append(batch.flat.rows_with(batch.flat.role("system")))
        parts["tools"].append(as_bools(pc.is_valid(batch.rows.column("tools"))))
        parts["reasoning"].append(batch.flat.rows_with(thinks))
    return {field: np.concatenate(found) for field, found in parts.items()}
