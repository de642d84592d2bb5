"""The texts of a table of chat rows, each different one once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.text.rows import TEXT_ROLE

Flags = npt.NDArray[np.bool_]


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


def texts_of(batch: Any) -> Texts:
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


def all_texts_of(batch: Any) -> Texts:
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


def whole_texts(texts: Texts) -> Any:
    """Return the text of every row, its messages a line each, as an Arrow array (rows)."""
    sizes = np.bincount(texts.row, minlength=texts.rows)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    content = texts.distinct.take(pa.array(texts.which)).cast(pa.large_string())
    lists = pa.LargeListArray.from_arrays(pa.array(starts), content)
    return pc.binary_join(lists, pa.scalar("\n", pa.large_string()))


def each(texts: Any, candidates: Flags, judge: Callable[[str], bool]) -> Flags:
    """Return which candidates among an array of texts a function of one text finds."""
    found = np.zeros(len(texts), dtype=bool)
    places = np.flatnonzero(candidates)
    for place, text in zip(places, texts.take(pa.array(places)).to_pylist(), strict=True):
        found[place] = judge(text)
    return found


def matching(texts: Any, pattern: str) -> Flags:
    """Return which texts a pattern matches; the pattern is RE2's."""
    return np.asarray(pc.match_substring_regex(texts, pattern), dtype=bool)
