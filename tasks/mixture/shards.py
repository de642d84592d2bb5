"""Parquet shards by position: small row groups written, one of them in memory when read."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.artifacts import MixtureReceipt, PackedMixture
from tasks.errors import StorageError

Row = dict[str, Any]
"""A row by column; lists of integers are int64 arrays."""

GROUP_ROWS = 512
"""Rows of a row group: what has to be decoded before a row at a random position comes in."""


def write_shard(rows: pa.Table, path: Path, group_rows: int = GROUP_ROWS) -> None:
    """Write one shard so that any of its rows can be read in a few milliseconds."""
    pq.write_table(rows, path, compression="zstd", row_group_size=group_rows)


def name_shard(number: int) -> str:
    """Return the file name of a shard."""
    return f"shard-{number:05d}.parquet"


class Shards:
    """The rows of equal shards (the last may be shorter), found by position.

    Opening reads one footer; a row costs the decoding of its row group, which is then kept until
    another is asked for. Pickling it (a loader's worker) leaves the open file behind.
    """

    def __init__(
        self, folder: Path, names: Sequence[str], rows: int, columns: Sequence[str] | None = None
    ) -> None:
        self._folder, self._names, self._rows = folder, tuple(names), rows
        self._columns = list(columns) if columns is not None else None
        self._open: tuple[int, Any, list[int]] | None = None
        self._group: tuple[int, pa.Table] | None = None
        self._decoded: tuple[int, DecodedGroup] | None = None
        self._each = max(rows, 1)
        if names:
            self._each = max(int(self._footer(0).metadata.num_rows), 1)
        if -(-rows // self._each) != len(names):
            raise self._damaged(f"{len(names)} shards of {self._each:,} rows aren't {rows:,} rows")

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._rows

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_open": None, "_group": None, "_decoded": None}

    def read_group(self, position: int) -> tuple[int, pa.Table]:
        """Return the row group that holds a position, after the position of its first row."""
        if self._group is not None:
            first, table = self._group
            if first <= position < first + table.num_rows:
                return self._group
        shard, offset = divmod(position, self._each)
        file, starts = self._shard(shard)
        number = max(i for i, start in enumerate(starts[:-1]) if start <= offset)
        table = file.read_row_group(number, columns=self._columns, use_threads=False)
        self._group = shard * self._each + starts[number], table
        return self._group

    def read_row(self, position: int) -> Row:
        """Return the row at a position."""
        first, table = self.read_group(position)
        if self._decoded is None or self._decoded[0] != first:
            self._decoded = first, DecodedGroup(table)
        return self._decoded[1][position - first]

    def read(self, start: int, stop: int) -> pa.Table:
        """Return the rows of positions ``start`` to ``stop - 1``, where there is one."""
        return pa.concat_tables([*self.read_tables(start, stop)])

    def read_shard(self, number: int) -> pa.Table:
        """Return the rows of one shard."""
        return self._shard(number)[0].read(columns=self._columns)

    def read_tables(self, start: int, stop: int) -> Iterator[pa.Table]:
        """Yield the rows of positions ``start`` to ``stop - 1``, a row group at a time."""
        at = start
        while at < stop:
            first, table = self.read_group(at)
            part = table.slice(at - first, stop - at)
            yield part
            at += part.num_rows

    def _shard(self, number: int) -> tuple[Any, list[int]]:
        if self._open is None or self._open[0] != number:
            file = self._footer(number)
            expected = min(self._each, self._rows - number * self._each)
            if file.metadata.num_rows != expected:
                raise self._damaged(
                    f"{self._names[number]} has {file.metadata.num_rows:,} rows, not {expected:,}"
                )
            starts = [0]
            for i in range(file.metadata.num_row_groups):
                starts.append(starts[-1] + file.metadata.row_group(i).num_rows)
            self._open = number, file, starts
        return self._open[1], self._open[2]

    def _footer(self, number: int) -> Any:
        return pq.ParquetFile(self._folder / self._names[number], memory_map=True)

    def _damaged(self, what: str) -> StorageError:
        return StorageError(
            f"{what}.",
            where=str(self._folder),
            fix="delete the folder and run again; it is made anew.",
        )


def open_shards(
    data: MixtureReceipt | PackedMixture, columns: Sequence[str] | None = None
) -> Shards:
    """Return the rows of a mixture by plan position, or its packs by number."""
    rows = data.packs if isinstance(data, PackedMixture) else data.rows
    return Shards(data.path, data.shards, rows, columns)


class DecodedGroup:
    """A row group ready to give its rows one by one, as dicts."""

    def __init__(self, table: pa.Table) -> None:
        whole = table.combine_chunks()
        self._readers = {name: _make_reader(whole[name]) for name in whole.column_names}

    def __getitem__(self, index: int) -> Row:
        """Return a row; lists of integers as int64 arrays of its own."""
        return {name: read(index) for name, read in self._readers.items()}


def _make_reader(column: pa.ChunkedArray) -> Callable[[int], Any]:
    if not pa.types.is_list(column.type) or not column.num_chunks:
        plain: list[Any] = column.to_pylist()
        return plain.__getitem__
    array = column.chunk(0)
    offsets, values = array.offsets.to_numpy().tolist(), array.values.to_numpy()
    return lambda i: values[offsets[i] : offsets[i + 1]].astype(np.int64)
