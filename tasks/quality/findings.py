"""The checks: pure functions from rows to one boolean a row, true where something is wrong."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from configs.quality import Quality
from tasks.quality.checks import consistency, pairs, reserved, structure, tools
from tasks.quality.checks.flat import COLUMNS, Flags, Flat, as_bools, flatten

__all__ = [
    "CONTROL",
    "EXPLANATIONS",
    "Flags",
    "duplicates",
    "first_match",
    "label_conflicts",
    "local_findings",
    "missing_labels",
]

EXPLANATIONS = {
    "format": "The row could not be read or converted, so it can't be used at all.",
    **structure.EXPLANATIONS,
    **reserved.EXPLANATIONS,
    "control_characters": "The text holds control characters or U+FFFD, the mark of a wrong "
    "encoding.",
    "length": "A text is longer than max_chars.",
    **tools.EXPLANATIONS,
    **pairs.EXPLANATIONS,
    "missing_label": "The source gives labels, but this row has none.",
    "duplicate": "Another row says the same but for case, spacing and punctuation; the first is "
    "kept.",
    "label_conflict": "Rows with the same prompt carry different labels, and nothing says which is "
    "right.",
    "duplicate_across": "A row of another source says the same but for case, spacing and "
    "punctuation; domain sources keep theirs before general ones, then names decide.",
    "near_duplicate": "Another row, of this or another source, says nearly the same; it is kept.",
    "overlaps_test": "The prompt is also a test or dev item's, which training on would give away.",
    **consistency.EXPLANATIONS,
    "row_count": "The source has fewer or more clean training rows than the target takes.",
}
"""Check -> what it finds and why that matters, one sentence each."""

CONTROL = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x{9f}\\x{fffd}]"


def local_findings(table: Any, quality: Quality) -> dict[str, Flags]:
    """Return the checks that look at one row alone, of those the recipe asks for.

    Checks of tools, pairs, questions, reasoning and unused fields are made where a row has any.
    """
    batches = table.select(COLUMNS).to_batches(max_chunksize=50_000)
    groups = _groups(table, quality)
    parts = [_of_batch(flatten(batch), quality, groups) for batch in batches]
    none = np.zeros(0, dtype=bool)
    names = parts[0] if parts else [name for name in _LOCAL if name in quality.checks]
    return {name: np.concatenate([none, *(part[name] for part in parts)]) for name in names}


_Check = Callable[[Flat, Quality], Flags]
_Group = Callable[[Flat], dict[str, Flags]]


def _of_batch(flat: Flat, quality: Quality, groups: list[_Group]) -> dict[str, Flags]:
    found: dict[str, Flags] = {
        name: check(flat, quality) for name, check in _LOCAL.items() if name in quality.checks
    }
    for group in groups:
        found |= {n: flags for n, flags in group(flat).items() if n in quality.checks}
    return found


def _groups(table: Any, quality: Quality) -> list[_Group]:
    """Return the checks that only some sources have anything for, and this one has."""
    groups: list[_Group] = []
    if tools.uses_tools(table):
        groups.append(tools.tool_flags)
    if table["rejected"].null_count < len(table):
        groups.append(pairs.pair_flags)
    if table["reference"].null_count < len(table):
        needed = pairs.needs_reference(table, quality.target)
        groups.append(lambda flat: pairs.question_flags(flat, needed=needed))
    if table["extra"].null_count < len(table):
        groups.append(lambda flat: {"unknown_fields": structure.unknown_fields(flat, quality)})
    if pc.any(pc.is_valid(_message_field(table, "reasoning"))).as_py():
        groups.append(lambda flat: {"reasoning_place": structure.reasoning_place(flat, quality)})
    return groups


def _message_field(table: Any, name: str) -> Any:
    return pc.struct_field(pc.list_flatten(table["messages"]), name)


def missing_labels(frame: pd.DataFrame, role: str) -> Flags:
    """Return the domain rows without a label, where the source gives labels at all."""
    missing = frame["label"].fillna("").str.strip().eq("").to_numpy(dtype=bool)
    if role != "domain" or missing.all():
        return np.zeros(len(frame), dtype=bool)
    return missing


def duplicates(frame: pd.DataFrame, sound: Flags) -> Flags:
    """Return sound rows that repeat the whole text of an earlier one of the same given split."""
    rows = frame[sound]
    again = pd.DataFrame({"split": rows["split"].fillna(""), "text": rows["text_key"]}).duplicated()
    found = np.zeros(len(frame), dtype=bool)
    found[rows.index[again.to_numpy(dtype=bool)]] = True
    return found


def label_conflicts(frame: pd.DataFrame, sound: Flags) -> Flags:
    """Return sound rows whose prompt carries several labels within one given split."""
    rows = frame[sound & frame["label"].notna().to_numpy(dtype=bool)]
    several = rows.groupby([rows["split"].fillna(""), rows["prompt_key"]])["label"].transform(
        "nunique"
    )
    found = np.zeros(len(frame), dtype=bool)
    found[rows.index[several.to_numpy() > 1]] = True
    return found


def _reserved(flat: Flat, quality: Quality) -> Flags:
    return reserved.reserved_flags(flat, quality.target)


def _control(flat: Flat, _: Quality) -> Flags:
    return flat.matching(CONTROL)


def _length(flat: Flat, quality: Quality) -> Flags:
    found = np.zeros(flat.rows, dtype=bool)
    for texts, row in flat.all_texts():
        found[row[as_bools(pc.greater(pc.utf8_length(texts), quality.max_chars))]] = True
    return found


_LOCAL: dict[str, _Check] = {
    "empty": structure.empty,
    "alternation": structure.alternation,
    "first_user": structure.first_user,
    "last_assistant": structure.last_assistant,
    "reserved_tokens": _reserved,
    "control_characters": _control,
    "length": _length,
}


def first_match(check: str, text: str, target: str = "none") -> int:
    """Return where in a text a check's pattern first matches, so that an example can show it."""
    patterns = {
        "reserved_tokens": reserved.pattern_of(target),
        "control_characters": r"[\x00-\x08\x0b-\x1f\x7f-\x9f�]",
    }
    found = re.search(patterns[check], text) if check in patterns else None
    return found.start() if found else 0
