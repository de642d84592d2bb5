"""A mixture as a memory-mapped sequence of rows, for trainers that index their data."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import pyarrow as pa

from tasks.artifacts import MixtureReceipt
from tasks.mixture.shards import GROUP_ROWS, Row, open_shards
from tasks.storage import building, commit, find, home


def arrow_copy(mixture: MixtureReceipt) -> MixtureReceipt:
    """Return the mixture with its shards as Arrow streams, uncompressed, made once.

    Parquet has to be decoded; these files are mapped into memory as they are, and
    ``datasets.Dataset.from_file`` reads them too.
    """
    folder = home("views", mixture.digest[:32])
    if (done := find(folder, MixtureReceipt)) is not None:
        return done
    with building(folder) as aside:
        names = tuple(Path(name).with_suffix(".arrow").name for name in mixture.shards)
        rows = open_shards(mixture)
        for i, name in enumerate(names):
            _write(rows.read_shard(i), aside / name)
        return commit(aside, mixture.model_copy(update={"path": folder, "shards": names}))


def _write(rows: pa.Table, path: Path) -> None:
    with pa.ipc.new_stream(path, rows.schema) as stream:
        stream.write_table(rows.combine_chunks(), max_chunksize=GROUP_ROWS)


class MixtureView(Sequence[Row]):
    """The rows of a mixture by plan position, none of them in memory until it is asked for.

    A row is a dict of the shards' columns, ``input_ids`` and ``labels`` as int64 arrays. A slice
    is a list of rows, and so is ``__getitems__`` of positions, which a DataLoader fetches a batch
    with. Copies the mixture once into ``views/`` (:func:`arrow_copy`).
    """

    def __init__(self, mixture: MixtureReceipt) -> None:
        self._copy = arrow_copy(mixture)
        self._rows = self._mapped()

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._copy.rows

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        """Return the row at a position, or the rows of a slice."""
        if isinstance(index, slice):
            return self.__getitems__(range(len(self))[index])
        return _row_at(self._rows, range(len(self))[index])

    def __getitems__(self, positions: Sequence[int]) -> list[Row]:
        """Return the rows at these positions."""
        return [self[position] for position in positions]

    def dataset(self) -> Any:
        """Return the same rows as a ``datasets.Dataset``, mapped too: TRL takes nothing else."""
        from datasets import Dataset, concatenate_datasets

        return concatenate_datasets([Dataset.from_file(str(f)) for f in self._files()])

    def __getstate__(self) -> dict[str, Any]:
        return {"_copy": self._copy}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._copy = state["_copy"]
        self._rows = self._mapped()

    def _mapped(self) -> pa.Table:
        return pa.concat_tables(
            [pa.ipc.open_stream(pa.memory_map(str(f))).read_all() for f in self._files()]
        )

    def _files(self) -> list[Path]:
        return [self._copy.path / name for name in self._copy.shards]


def _row_at(table: pa.Table, index: int) -> Row:
    """Return one row of a table; lists of integers as int64 arrays of its own."""
    return {name: _value(table[name], index) for name in table.column_names}


def _value(column: pa.ChunkedArray, index: int) -> Any:
    value = column[index]
    if pa.types.is_list(value.type):
        return value.values.to_numpy(zero_copy_only=False).astype(np.int64)
    return value.as_py()
