"""Rows on disk as memory-mapped Arrow: any of them in time for what it is, not for the file."""

import mmap
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Ints = npt.NDArray[np.int64]
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
                self._let_go()
                touched = 0
        schema = pa.schema([self.schema.field(c) for c in columns])
        return pa.Table.from_batches(pieces, schema=schema)

    def units(self, unit: str) -> Ints:
        """Return what each row counts: 1, or its ``tokens`` or ``supervised_tokens``."""
        if unit == "rows":
            return np.ones(len(self), np.int64)
        arrays = [b.column(unit).to_numpy() for b in self._batches]
        units = np.concatenate([np.zeros(0, np.int64), *arrays])
        self._let_go()
        return units

    def _let_go(self) -> None:
        # The pages stay in the system's cache; only what counts as this process's memory goes.
        if hasattr(self._map, "madvise"):
            self._map.madvise(mmap.MADV_DONTNEED)


@lru_cache(maxsize=256)
def open_rows(path: Path) -> MappedRows:
    """Return the rows of a content-addressed file; opened once a process."""
    return MappedRows(path)


def write_rows(path: Path, tables: Any, schema: Any) -> None:
    """Write tables, in turn, as an uncompressed Arrow file of full batches.

    Args:
        path: New file.
        tables: Iterable of tables of that schema; one is in memory at a time.
        schema: Arrow schema of the rows.
    """
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
        waiting: list[Any] = []
        for table in tables:
            waiting.append(table)
            if sum(t.num_rows for t in waiting) >= BATCH:
                whole = pa.concat_tables(waiting)
                full = whole.num_rows - whole.num_rows % BATCH
                _write(writer, whole.slice(0, full))
                waiting = [whole.slice(full)]
        if waiting:
            _write(writer, pa.concat_tables(waiting))


def _write(writer: Any, table: Any) -> None:
    for start in range(0, table.num_rows, BATCH):
        cut = table.slice(start, BATCH).combine_chunks()
        for batch in cut.to_batches():
            writer.write_batch(batch)
