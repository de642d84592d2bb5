"""A batch of rows with its messages one after the other, so that checks look at all at once."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

COLUMNS = ["messages", "tools", "rejected", "reference", "extra"]
"""What :func:`flatten` needs of a table of chat rows."""


class Flat(NamedTuple):
    """Messages of a batch of rows, one after the other.

    Attributes:
        messages: Struct array.
        row: The row each message is of, int64.
        starts: Each row's first message, int64.
        rows: How many rows there are.
        batch: The rows.
    """

    messages: Any
    row: Ints
    starts: Ints
    rows: int
    batch: Any

    @property
    def texts(self) -> Any:
        """Contents of the messages."""
        return self.messages.field("content")

    def all_texts(self) -> Iterator[tuple[Any, Ints]]:
        """Yield every column of texts a model would see, with the row each text is of."""
        yield self.texts, self.row
        for name in ("reasoning", "tool_calls"):
            if (column := self.messages.field(name)).null_count < len(column):
                yield column, self.row
        rejected, one_each = self.batch.column("rejected"), np.arange(self.rows)
        if rejected.null_count < self.rows:
            for name in ("content", "reasoning", "tool_calls"):
                yield pc.struct_field(rejected, name), one_each
        if (tools := self.batch.column("tools")).null_count < self.rows:
            yield tools, one_each

    def matching(self, pattern: str) -> Flags:
        """Return the rows any text of which matches a pattern of RE2."""
        found = np.zeros(self.rows, dtype=bool)
        for texts, row in self.all_texts():
            found[row[as_bools(pc.match_substring_regex(texts, pattern))]] = True
        return found

    def rows_with(self, mask: Flags) -> Flags:
        """Return the rows of which any message is marked."""
        found: Flags = np.bincount(self.row[mask], minlength=self.rows) > 0
        return found

    def role(self, name: str) -> Flags:
        """Return the messages of a role."""
        return as_bools(pc.equal(self.messages.field("role"), name))

    def counts(self) -> Ints:
        """Return how many messages each row has."""
        return np.bincount(self.row, minlength=self.rows)


def flatten(batch: Any) -> Flat:
    """Return the messages of a record batch of chat rows."""
    lists = batch.column("messages")
    lengths = np.asarray(pc.fill_null(pc.list_value_length(lists), 0), dtype=np.int64)
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]]) if len(lengths) else lengths
    row = np.repeat(np.arange(len(lengths)), lengths)
    return Flat(lists.flatten(), row, starts, len(lengths), batch)


def as_bools(mask: Any, null: bool = False) -> Flags:
    """Return an Arrow mask as an array, null standing for ``null``."""
    return np.asarray(pc.fill_null(mask, null), dtype=bool)
