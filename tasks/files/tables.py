"""Parquet and Arrow files, whose rows can be broken one by one, too."""

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from configs.sources import Limits
from tasks.files.locate import DataFile
from tasks.files.records import Damaged, Numbered, make_bad_line
from tasks.files.streams import most_unpacked, open_seekable, over_limit

_BATCH = 1024


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
        if sum(group.total_byte_size for group in groups) > most:
            raise Damaged(over_limit(most))
        yield from _number_rows(opened.schema_arrow, opened.iter_batches(batch_size=_BATCH))


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
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            reader = batches = pa.ipc.open_stream(source)
        yield from _number_rows(reader.schema, (_validate(batch) for batch in batches))


def _validate(batch: Any) -> Any:
    # Offsets that point outside would be followed without a check, out of the process's memory.
    for column in batch.columns:
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise Damaged(str(error)) from error
    return batch


def _number_rows(schema: Any, batches: Any) -> Iterator[Numbered]:
    again = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if again is not None:
        raise Damaged(f"the column '{again[:60]}' is there twice")
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _BATCH):
            for row in _convert_rows(batch.slice(start, _BATCH)):
                number += 1
                yield number, row


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
