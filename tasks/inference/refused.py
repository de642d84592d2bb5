"""Items that a server refuses for good, as the per-item table tells them."""

from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from tasks.inference.remote import lasting

SHOWN = 3
"""Items that are named."""
CHARACTERS = 100
"""Characters of a server's reason that are shown."""
WAY_OUT = (
    "have the server take them (a longer context, another content filter), or take them out of "
    "the suite's items, and evaluate both models again"
)


class Unanswered(NamedTuple):
    """Items without an answer.

    Attributes:
        refused: Each with its error, where asking again can't help.
        others: How many failed in a way that may pass.
    """

    refused: dict[str, str]
    others: int


def unanswered(items: Path) -> Unanswered:
    """Return the items of a per-item table that have no answer, by whether that may pass."""
    table = pq.read_table(items, columns=["item_id", "error"])
    errors = {
        item: error
        for item, error in zip(*(c.to_pylist() for c in table.columns), strict=True)
        if error is not None
    }
    refused = {item: error for item, error in errors.items() if lasting(error)}
    return Unanswered(refused, len(errors) - len(refused))


def named(refused: dict[str, str]) -> str:
    """Return a clause that says how many items are refused, and names the first with the reason."""
    first = "; ".join(f"{item}: {_short(error)}" for item, error in list(refused.items())[:SHOWN])
    more = "; ..." if len(refused) > SHOWN else ""
    return f"the server refuses {len(refused):,} of them for good ({first}{more})"


def _short(error: str) -> str:
    text = " ".join(error.split())
    return text if len(text) <= CHARACTERS else f"{text[: CHARACTERS - 3]}..."
