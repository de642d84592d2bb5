"""A run of the plan as rows: taken from each source, put in the plan's order, and hashed."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from tasks.mixture.plan import Part
from tasks.mixture.rows import MappedRows

U64 = npt.NDArray[np.uint64]


def gather(
    part: Part, names: Sequence[str], sources: Sequence[MappedRows], columns: Sequence[str]
) -> Any:
    """Return the rows of a run of positions, in order, as one Arrow table.

    Args:
        part: Positions.
        names: Source names, as ``part.source`` indexes them.
        sources: Their rows.
        columns: Columns to take; position, source and epoch are added.
    """
    pieces, places = [], []
    for i, rows in enumerate(sources):
        at = np.flatnonzero(part.source == i)
        at = at[np.argsort(part.row[at], kind="stable")]
        pieces.append(rows.take(part.row[at], columns))
        places.append(at)
    back = np.empty(len(part.source), np.int64)
    back[np.concatenate(places)] = np.arange(len(back))
    table = pa.concat_tables(pieces).combine_chunks().take(pa.array(back)).combine_chunks()
    code = pa.DictionaryArray.from_arrays(
        pa.array(part.source.astype(np.int32)), pa.array(names, pa.string())
    )
    position = np.arange(part.start, part.start + len(back))
    for name, column in (
        ("position", pa.array(position)),
        ("source", code),
        ("epoch", pa.array(part.epoch)),
    ):
        table = table.append_column(name, column)
    return table


def row_hashes(table: Any) -> U64:
    """Return 128 bits a row, (rows, 2), over its columns but ``position``, in order of name.

    Equal rows hash equally however they are cut into shards, encoded or compressed: what is
    hashed are the values' little-endian bytes, with their lengths where those vary.
    """
    state = np.zeros((table.num_rows, 2), np.uint64)
    state[:, 1] = 0x9E3779B97F4A7C15
    for name in sorted(set(table.column_names) - {"position"}):
        column = table[name].combine_chunks()
        if pa.types.is_dictionary(column.type):
            column = column.dictionary_decode()
        offsets, data = _bytes_of(column)
        _absorb(state, offsets, data)
    return state


def _bytes_of(column: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Return where each value's bytes begin and end, and the bytes."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    rows, kind = len(column), column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner, width = column.values, kind.value_type.bit_width // 8
        offsets = np.asarray(column.offsets).astype(np.int64)
        values = inner.to_numpy(zero_copy_only=False)
        return offsets * width, np.ascontiguousarray(values).view(np.uint8)
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        view = column.cast(pa.large_binary())
        _, starts, data = view.buffers()
        offsets = np.frombuffer(starts, np.int64)[view.offset : view.offset + rows + 1]
        return offsets, np.frombuffer(data or b"", np.uint8)
    values = np.ascontiguousarray(column.to_numpy(zero_copy_only=False))
    return np.arange(rows + 1, dtype=np.int64) * values.itemsize, values.view(np.uint8)


@njit(cache=True, nogil=True)
def _absorb(state: U64, offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> None:
    """Mix each row's bytes, eight at a time, and their number into its two lanes."""
    first, second = np.uint64(0xA0761D6478BD642F), np.uint64(0xE7037ED1A0B428DB)
    for i in range(len(state)):
        a, b = state[i, 0], state[i, 1]
        start, stop = offsets[i], offsets[i + 1]
        while start < stop:
            word, width = np.uint64(0), min(stop - start, 8)
            for k in range(width):
                word |= np.uint64(data[start + k]) << np.uint64(8 * k)
            a = (a ^ word) * first
            a ^= a >> np.uint64(29)
            b = (b ^ (word + first)) * second
            b ^= b >> np.uint64(31)
            start += width
        length = np.uint64(stop - offsets[i] + 1)
        a = (a ^ length) * second
        b = (b ^ length) * first
        state[i, 0], state[i, 1] = a ^ (b >> np.uint64(32)), b ^ (a >> np.uint64(32))
