"""Checks over a whole source: fields that all of its rows should have, or none."""

from typing import Any

import numpy as np
import pyarrow.compute as pc

from tasks.quality.checks.flat import COLUMNS, Flags, Flat, as_bools, flatten

EXPLANATIONS = {
    "inconsistent_system": "Some rows of the source have a system message and some have none; "
    "these are the fewer.",
    "inconsistent_tools": "Some rows of the source offer tools and some don't; these are the "
    "fewer.",
    "inconsistent_reasoning": "Some rows of the source show reasoning and some don't; these are "
    "the fewer.",
}


def consistency_flags(table: Any) -> dict[str, Flags]:
    """Return every check of consistency -> the rows that are the fewer; on a tie, those without.

    Plain texts have no place for any of these fields, so that a source of them is consistent.
    """
    batches = table.select(COLUMNS).to_batches(max_chunksize=50_000)
    parts = [_present(flatten(batch)) for batch in batches]
    return {
        f"inconsistent_{name}": _fewer(np.concatenate([[False][:0], *(p[name] for p in parts)]))
        for name in ("system", "tools", "reasoning")
    }


def _present(flat: Flat) -> dict[str, Flags]:
    thought = as_bools(pc.is_valid(flat.messages.field("reasoning")))
    return {
        "system": flat.rows_with(flat.role("system")),
        "tools": as_bools(pc.is_valid(flat.batch.column("tools"))),
        "reasoning": flat.rows_with(thought),
    }


def _fewer(present: Any) -> Flags:
    found: Flags = present.astype(bool)
    with_it = int(found.sum())
    if with_it in (0, len(found)):
        return np.zeros(len(found), dtype=bool)
    return ~found if with_it * 2 >= len(found) else found
