"""Parquet and Arrow files, whose rows can be broken one by one, too."""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from configs.limits import Limits
from tasks.files.locate import DataFile
from tasks.files.records import BadLine, Damaged, Numbered, Row, drop_filled_nulls, make_bad_line
from tasks.files.streams import most_unpacked, open_seekable, over_limit

_BATCH, _NUMBERS = 1024, 65_536
_HELD = 64 << 20
"""Bytes of texts that are written out at once."""
_BYTES = "BYTE_ARRAY"


def read_parquet(file: DataFile, limits: Limits) -> Iterator[Numbered]:
    """Yield the rows of a Parquet file.

    Raises:
        Damaged: A column's name is there twice, or it unpacks to more than the limits allow.
    """
    import pyarrow.parquet as pq

    with open_seekable(file, limits) as source:
        opened = pq.ParquetFile(source)
        found, most = opened.metadata, most_unpacked(file, limits)
        groups = (found.row_group(i) for i in range(found.num_row_groups))
        if sum(group.total_byte_size for group in groups) > most or _count_values(found) > most:
            raise Damaged(over_limit(most))
        rows = _fit_batch(source, most)
        whole = _find_whole_numbers(opened.schema_arrow, _read_columns(opened))
        batches = opened.iter_batches(batch_size=rows)
        yield from _number_rows(opened.schema_arrow, batches, whole)


def read_arrow(file: DataFile, limits: Limits) -> Iterator[Numbered]:
    """Yield the rows of an Arrow IPC file or stream.

    Raises:
        Damaged: A column's name is there twice, or a batch contradicts itself.
    """
    with open_seekable(file, limits) as source:
        magic = source.read(6)
        source.seek(0)
        if magic == b"ARROW1":
            reader = pa.ipc.open_file(source)
            numbers = range(reader.num_record_batches)
            first = (_validate(reader.get_batch(i)) for i in numbers)
            whole = _find_whole_numbers(
                reader.schema, lambda names: (b.select(names) for b in first)
            )
            batches = (reader.get_batch(i) for i in numbers)
        else:
            reader = batches = pa.ipc.open_stream(source)
            whole = frozenset()
        most = most_unpacked(file, limits)
        checked = _part_batches((_validate(batch) for batch in batches), most)
        yield from _number_rows(reader.schema, checked, whole)


def _part_batches(batches: Iterable[Any], most: int) -> Iterator[Any]:
    """Yield batches in parts that can be written out at once.

    Raises:
        Damaged: Written out they are more than ``most`` bytes.
    """
    total = 0
    for batch in batches:
        size = sum(_count_bytes(column) for column in batch.columns)
        total += size
        if total > most:
            raise Damaged(over_limit(most))
        rows = max(1, min(_BATCH, batch.num_rows * _HELD // max(size, 1)))
        for start in range(0, batch.num_rows, rows):
            yield batch.slice(start, rows)


def _count_values(metadata: Any) -> int:
    """Return the bytes of a file's values at eight each: a run of nulls takes next to nothing."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    values: int = sum(g.column(i).num_values for g in groups for i in range(g.num_columns))
    return 8 * values


def _fit_batch(source: Any, most: int) -> int:
    """Return how many rows of a Parquet file can be read at once.

    A text that a file holds once may be that of every row. So the texts are counted first, as
    their numbers in the file's own lists of texts, before one of them is written out.

    Raises:
        Damaged: Written out they are more than ``most`` bytes.
    """
    import pyarrow.parquet as pq

    schema = pq.ParquetFile(source).schema
    texts = [c.path for c in map(schema.column, range(len(schema))) if c.physical_type == _BYTES]
    coded = pq.ParquetFile(source, read_dictionary=texts)
    total = widest = 0
    for batch in coded.iter_batches(batch_size=_BATCH):
        size = sum(_count_bytes(column) for column in batch.columns)
        total, widest = total + size, max(widest, size)
        if total > most:
            raise Damaged(over_limit(most))
    return _fit_rows(widest)


def _fit_rows(widest: int) -> int:
    """Return how many rows to take at once where so many bytes are in as many as are at most."""
    return max(1, min(_BATCH, _BATCH * _HELD // max(widest, 1)))


def _count_bytes(array: Any) -> int:
    """Return the bytes of an array's texts, each written out as often as it is named."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        sizes = _count_each(array.dictionary)
        return int(pc.sum(pc.take(sizes, array.indices)).as_py() or 0)
    if pa.types.is_struct(kind):
        return sum(_count_bytes(part) for part in array.flatten())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        return _count_bytes(array.flatten() if not pa.types.is_map(kind) else array.items)
    sizes = _count_each(array)
    return int(pc.sum(sizes).as_py() or 0)


def _count_each(array: Any) -> Any:
    kind = array.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return pc.cast(pc.binary_length(array), pa.int64())
    if pa.types.is_large_string(kind) or pa.types.is_large_binary(kind):
        return pc.binary_length(array)
    return pc.cast(pc.is_valid(array), pa.int64())


def _read_columns(opened: Any) -> Callable[[list[str]], Any]:
    return lambda names: opened.iter_batches(batch_size=_NUMBERS, columns=names)


def _find_whole_numbers(schema: Any, read: Callable[[list[str]], Any]) -> frozenset[str]:
    """Return the columns of floats that are whole numbers or missing.

    That is what becomes of a column of integers where one is missing, and ``2.0`` is no label
    that anybody wrote.
    """
    left = [field.name for field in schema if pa.types.is_floating(field.type)]
    if not left or len(set(schema.names)) < len(schema.names):
        return frozenset()
    missing: set[str] = set()
    for batch in read(left):
        for name in tuple(left):
            column = batch.column(name)
            given = pc.fill_null(pc.is_finite(column), False)
            values = pc.filter(column, given)
            if pc.any(pc.not_equal(pc.floor(values), values)).as_py():
                left.remove(name)
            elif len(values) < len(column):
                missing.add(name)
        if not left:
            break
    return frozenset(left) & missing


def _validate(batch: Any) -> Any:
    # Offsets that point outside would be followed without a check, out of the process's memory.
    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise Damaged(str(error)) from error
    return batch


def _number_rows(schema: Any, batches: Any, whole: frozenset[str]) -> Iterator[Numbered]:
    again = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if again is not None:
        raise Damaged(f"the column '{again[:60]}' is there twice")
    number = 0
    for batch in batches:
        for row in _convert_rows(batch):
            number += 1
            yield number, row if isinstance(row, BadLine) else _make_row(row, whole)


def _make_row(row: dict[str, Any], whole: frozenset[str]) -> Row:
    for name in whole:
        value = row[name]
        row[name] = int(value) if value is not None and math.isfinite(value) else None
    return drop_filled_nulls(row)


def _convert_rows(batch: Any) -> Iterator[Any]:
    try:
        yield from batch.to_pylist()
    except (ValueError, OverflowError) as _:
        # A text that is not UTF-8 or a date beyond Python's calendar spoils its own row alone.
        for place in range(batch.num_rows):
            yield _convert_row(batch.slice(place, 1))


def _convert_row(single: Any) -> Any:
    try:
        return single.to_pylist()[0]
    except (ValueError, OverflowError) as error:
        return make_bad_line(_show_readable(single), f"a value can't be read: {error}")


def _show_readable(single: Any) -> str:
    parts = []
    for name, column in zip(single.schema.names, single.columns, strict=True):
        try:
            parts.append(f"{name}: {column[0].as_py()!r}")
        except (ValueError, OverflowError):
            parts.append(f"{name}: ? ({column.type})")
    return ", ".join(parts)
