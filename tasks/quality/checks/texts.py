"""The texts of a table of chat rows, each different one once."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.text.rows import TEXT_ROLE

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

    def find_pattern(self, pattern: str) -> Flags:
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


SAID = ("content", "reasoning", "tool_calls")
"""Fields of a message in which anything may be said."""


class Texts(NamedTuple):
    """Messages of a batch of rows, equal texts kept once.

    Attributes:
        distinct: Arrow array of the different texts (d).
        which: Message -> its text, as an index of ``distinct`` (m).
        row: Message -> its row (m).
        rows: Number of rows.
        plain: Rows that are plain text instead of chat (rows).
    """

    distinct: Any
    which: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    rows: int
    plain: Flags

    def rows_with(self, found: Flags) -> Flags:
        """Return the rows of which a message's text is among those found (rows)."""
        hit: Flags = np.bincount(self.row[found[self.which]], minlength=self.rows) > 0
        return hit


def read_texts(batch: Any) -> Texts:
    """Return the texts of a record batch that has the column ``messages``."""
    lists = batch.column("messages")
    messages = lists.flatten()
    sizes = np.asarray(pc.fill_null(pc.list_value_length(lists), 0), dtype=np.int64)
    coded = pc.fill_null(messages.field("content"), "").dictionary_encode()
    row = np.repeat(np.arange(len(sizes)), sizes)
    plain = np.zeros(len(sizes), dtype=bool)
    plain[row[np.asarray(pc.equal(messages.field("role"), TEXT_ROLE).fill_null(False))]] = True
    return Texts(
        coded.dictionary, np.asarray(coded.indices, dtype=np.int64), row, len(sizes), plain
    )


def read_all_texts(batch: Any) -> Texts:
    """Return every text that rows hold: contents, reasoning, tool calls, and what is beside them.

    Beside the messages are the tools, the rejected answer and the reference. Tools, tool calls and
    reference are JSON texts.
    """
    names = [name for name in ("messages", "rejected") if name in batch.schema.names]
    parts = [part for name in names for part in _fields_of(batch, name)]
    rows = np.arange(batch.num_rows)
    parts += [
        (batch.column(name), rows) for name in ("tools", "reference") if name in batch.schema.names
    ]
    given = [(column, row) for column, row in parts if column.null_count < len(column)]
    coded = pa.chunked_array([c for c, _ in given], pa.string()).combine_chunks()
    row = np.concatenate([np.zeros(0, np.int64), *(r for _, r in given)]).astype(np.int64)
    there = np.asarray(coded.is_valid())
    coded = coded.drop_null().dictionary_encode()
    return Texts(
        coded.dictionary,
        np.asarray(coded.indices, dtype=np.int64),
        row[there],
        batch.num_rows,
        np.zeros(batch.num_rows, dtype=bool),
    )


def _fields_of(batch: Any, name: str) -> list[tuple[Any, npt.NDArray[np.int64]]]:
    """Return the texts of a column of messages, each with its row; ``rejected`` has one a row."""
    column, row = batch.column(name), np.arange(batch.num_rows)
    if name == "messages":
        row = np.repeat(row, np.asarray(pc.fill_null(pc.list_value_length(column), 0)))
        column = column.flatten()
    return [(pc.struct_field(column, field), row) for field in SAID]


def join_texts(texts: Texts) -> Any:
    """Return the text of every row, its messages a line each, as an Arrow array (rows)."""
    sizes = np.bincount(texts.row, minlength=texts.rows)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    content = texts.distinct.take(pa.array(texts.which)).cast(pa.large_string())
    lists = pa.LargeListArray.from_arrays(pa.array(starts), content)
    return pc.binary_join(lists, pa.scalar("\n", pa.large_string()))


def find_texts(texts: Any, candidates: Flags, judge: Callable[[str], bool]) -> Flags:
    """Return which candidates among an array of texts a function of one text finds."""
    found = np.zeros(len(texts), dtype=bool)
    places = np.flatnonzero(candidates)
    for place, text in zip(places, texts.take(pa.array(places)).to_pylist(), strict=True):
        found[place] = judge(text)
    return found


def match_pattern(texts: Any, pattern: str) -> Flags:
    """Return which texts a pattern matches; the pattern is RE2's."""
    return np.asarray(pc.match_substring_regex(texts, pattern), dtype=bool)
