"""Rows on disk as memory-mapped Arrow: any of them in time for what it is, not for the file.

A run of the plan is gathered from its sources' files, put in the plan's order, and hashed.
"""

import mmap
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit

from tasks.mixture.order import Ints
from tasks.mixture.plan import PlannedRows

Hashes = npt.NDArray[np.uint64]
BATCH = 65_536
"""Rows a record batch: a gather touches each batch once, whatever the size of the file."""
RESIDENT = 64 * 2**20
"""Bytes of a file that may stay mapped into memory while rows are taken from it."""


class MappedRows:
    """The rows of an Arrow file, read in place; memory holds only what is taken.

    Attributes:
        schema: Of the rows.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        reader = pa.ipc.open_file(pa.BufferReader(pa.py_buffer(self._map)))
        self.schema = reader.schema
        self._batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        self._starts = np.cumsum([0, *(b.num_rows for b in self._batches)])

    def __len__(self) -> int:
        """Return the number of rows."""
        return int(self._starts[-1])

    def take(self, rows: Ints, columns: Sequence[str]) -> Any:
        """Return these rows, in ascending order of their numbers, as one Arrow table.

        Args:
            rows: Row numbers, ascending; repeats are allowed.
            columns: Names of the columns wanted.
        """
        cuts = np.searchsorted(rows, self._starts)
        pieces, touched = [], 0
        for number in np.flatnonzero(np.diff(cuts)):
            batch = self._batches[number].select(list(columns))
            here = rows[cuts[number] : cuts[number + 1]] - self._starts[number]
            pieces.append(batch.take(pa.array(here)))
            touched += batch.nbytes
            if touched > RESIDENT:
                self._release_pages()
                touched = 0
        schema = pa.schema([self.schema.field(c) for c in columns])
        return pa.Table.from_batches(pieces, schema=schema)

    def units(self, unit: str) -> Ints:
        """Return what each row counts: 1, or its ``tokens`` or ``supervised_tokens``."""
        if unit == "rows":
            return np.ones(len(self), np.int64)
        arrays = [b.column(unit).to_numpy() for b in self._batches]
        units = np.concatenate([np.zeros(0, np.int64), *arrays])
        self._release_pages()
        return units

    def _release_pages(self) -> None:
        # The pages stay in the system's cache; only what counts as this process's memory goes.
        if hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED)


@lru_cache(maxsize=256)
def open_rows(path: Path) -> MappedRows:
    """Return the rows of a content-addressed file; opened once a process."""
    return MappedRows(path)


def write_rows(path: Path, tables: Iterable[Any], schema: Any) -> None:
    """Write tables, in turn, as an uncompressed Arrow file of full batches.

    Args:
        path: New file.
        tables: Of that schema; one is in memory at a time.
        schema: Arrow schema of the rows.
    """
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        waiting = schema.empty_table()
        for table in tables:
            waiting = pa.concat_tables([waiting, table])
            full = waiting.num_rows - waiting.num_rows % BATCH
            _write_batches(writer, waiting.slice(0, full))
            waiting = waiting.slice(full)
        _write_batches(writer, waiting)


def _write_batches(writer: Any, table: Any) -> None:
    for start in range(0, table.num_rows, BATCH):
        for batch in table.slice(start, BATCH).combine_chunks().to_batches():
            writer.write_batch(batch)


def gather_rows(
    planned: PlannedRows,
    names: Sequence[str],
    sources: Sequence[MappedRows],
    columns: Sequence[str],
) -> Any:
    """Return the rows of a run of positions, in order, as one Arrow table.

    Args:
        planned: Positions.
        names: Source names, as ``planned.source`` indexes them.
        sources: Their rows.
        columns: Columns to take; position, source and epoch are added.
    """
    pieces, places = [], []
    for i, rows in enumerate(sources):
        at = np.flatnonzero(planned.source == i)
        at = at[np.argsort(planned.row[at], kind="stable")]
        pieces.append(rows.take(planned.row[at], columns))
        places.append(at)
    back = np.empty(len(planned.source), np.int64)
    back[np.concatenate(places)] = np.arange(len(back))
    table = pa.concat_tables(pieces).combine_chunks().take(pa.array(back)).combine_chunks()
    code = pa.DictionaryArray.from_arrays(
        pa.array(planned.source.astype(np.int32)), pa.array(names, pa.string())
    )
    position = np.arange(planned.start, planned.start + len(back))
    for name, column in (
        ("position", pa.array(position)),
        ("source", code),
        ("epoch", pa.array(planned.epoch)),
    ):
        table = table.append_column(name, column)
    return table


def hash_rows(table: Any) -> Hashes:
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
        offsets, data = _view_bytes(column)
        _mix_bytes(state, offsets, data)
    return state


def _view_bytes(column: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
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
def _mix_bytes(state: Hashes, offsets: npt.NDArray[np.int64], data: npt.NDArray[np.uint8]) -> None:
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
