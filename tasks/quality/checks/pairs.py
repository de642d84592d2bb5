"""Checks of rows for preferences (a chosen and a rejected answer) and for rewards (questions)."""

from typing import Any

import numpy as np
import pyarrow.compute as pc

from tasks.quality.checks.flat import Flags, Flat, Ints, as_bools

PAIRS = {
    "pair_equal": "The chosen answer and the rejected one are the same, so neither is preferred.",
    "pair_empty": "One answer of the pair has no text.",
    "pair_no_prompt": "The pair has no prompt that its answers are to.",
}
QUESTIONS = {
    "reference_missing": "The question has no reference answer, though others of the source do, or "
    "the target asks for one.",
    "reference_answered": "The question ends with the assistant's answer, and should be left for "
    "the model to answer.",
}
EXPLANATIONS = PAIRS | QUESTIONS

_NOTHING = r'^\s*(null|\{\}|\[\]|"(\s|\\[nrtbf])*")\s*$'


def pair_flags(flat: Flat) -> dict[str, Flags]:
    """Return every check of pairs -> the rows it finds."""
    rejected = flat.batch.column("rejected")
    pairs = as_bools(pc.is_valid(rejected))
    chosen = flat.messages.take(_last(flat))
    equal, blank = pairs.copy(), [np.zeros(flat.rows, dtype=bool)] * 2
    for name in ("content", "reasoning", "tool_calls"):
        sides = [
            pc.fill_null(pc.utf8_trim_whitespace(pc.struct_field(side, name)), "")
            for side in (chosen, rejected)
        ]
        equal &= as_bools(pc.equal(*sides))
        if name != "reasoning":
            now = [as_bools(pc.equal(side, "")) for side in sides]
            blank = now if name == "content" else [b & n for b, n in zip(blank, now, strict=True)]
    asked = flat.rows_with(flat.role("user") & ~_blank(flat))
    return {
        "pair_equal": equal,
        "pair_empty": pairs & (blank[0] | blank[1]),
        "pair_no_prompt": pairs & ~asked,
    }


def question_flags(flat: Flat, *, needed: bool) -> dict[str, Flags]:
    """Return every check of questions -> the rows it finds.

    Args:
        flat: The rows.
        needed: Whether a reference must be there (see :func:`needs_reference`).
    """
    reference = flat.batch.column("reference")
    questions = as_bools(pc.is_valid(reference))
    ends = flat.role("assistant")[np.asarray(_last(flat), dtype=np.int64)]
    missing = as_bools(pc.match_substring_regex(reference, _NOTHING))
    return {
        "reference_missing": questions & missing & needed,
        "reference_answered": questions & ends,
    }


def needs_reference(table: Any, target: str) -> bool:
    """Return whether questions must have a reference: some do, or the target asks for one."""
    given = pc.invert(pc.match_substring_regex(table["reference"], _NOTHING))
    return target.endswith("-rft") or bool(pc.any(given).as_py())


def _last(flat: Flat) -> Ints:
    # A row without messages (found by another check) takes any.
    places: Ints = np.clip(flat.starts + flat.counts() - 1, 0, max(len(flat.row) - 1, 0))
    return places


def _blank(flat: Flat) -> Flags:
    return as_bools(pc.equal(pc.utf8_trim_whitespace(flat.texts), ""), null=True)
