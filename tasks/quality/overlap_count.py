"""How many training rows hold a test item."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from tasks.text.overlap import Item, OverlapIndex

_ROWS = 1_000


def count_overlap(rows: Path, items: Sequence[str | Item]) -> int:
    """Return how many rows of a split's file contain an item, by the rules of the overlap.

    Args:
        rows: The file.
        items: Texts, and items with choices.
    """
    index = OverlapIndex(items)
    batches = pq.ParquetFile(rows).iter_batches(_ROWS, columns=["messages"])
    return sum(int(index.rows_hit(batch["messages"].to_pylist()).sum()) for batch in batches)
