"""Rows of data files as dictionaries, one at a time, with the place each came from."""

import contextlib
import csv
import io
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, NamedTuple

import pyarrow as pa

from tasks.errors import SourceError
from tasks.ingest.paths import KINDS, DataFile
from tasks.ingest.stores import unreachable

_BATCH = 1024
_SPOOLED = 64 << 20


class BadLine(NamedTuple):
    """A piece of a file that is not a row: what is there, and why it can't be used."""

    raw: str
    reason: str


Row = Mapping[str, Any]
Record = tuple[str, Row | BadLine]
"""Origin (``reviews.jsonl:12``, counted from 1) and the row, or what stands in its place."""


def read(file: DataFile) -> Iterator[Record]:
    """Yield a file's rows in order; a broken line is a record of its own, not the end.

    Raises:
        SourceError: The container isn't known, or the file is damaged as a whole.
        SourceUnreachable: S3 stopped answering.
    """
    reader = _READERS.get(file.kind or "")
    if reader is None:
        raise SourceError("the file's ending names no known row container.", where=file.path,
                          fix=f"use one of {', '.join(KINDS)}, plain or .gz, .bz2, .zst."
                          )  # fmt: skip
    try:
        yield from reader(file)
    except (OSError, EOFError, pa.ArrowException) as error:
        if file.remote and not isinstance(error, pa.ArrowInvalid):
            raise unreachable(file.path, error) from error
        raise _damaged(file, str(error)) from error


def _damaged(file: DataFile, what: str) -> SourceError:
    return SourceError(f"the file is damaged or not what its ending says: {what.rstrip('.')}.",
                       where=file.path, fix="write it anew, or leave it out.")  # fmt: skip


@contextlib.contextmanager
def _stream(file: DataFile) -> Iterator[IO[bytes]]:
    with file.store.open_input_stream(file.path, compression=file.compression) as raw:
        yield io.BufferedReader(raw, buffer_size=1 << 20)


@contextlib.contextmanager
def _seekable(file: DataFile) -> Iterator[Any]:
    if file.compression is None:
        with file.store.open_input_file(file.path) as raw:
            yield raw
        return
    # Parquet is read from its end, and a codec's stream has no end to jump to.
    with _stream(file) as stream, tempfile.SpooledTemporaryFile(max_size=_SPOOLED) as whole:
        while chunk := stream.read(1 << 20):
            whole.write(chunk)
        whole.seek(0)
        yield pa.PythonFile(whole, mode="r")


def _jsonl(file: DataFile) -> Iterator[Record]:
    with _stream(file) as lines:
        for number, line in enumerate(lines, start=1):
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield f"{file.name}:{number}", _parsed(line)


def _parsed(line: bytes) -> Row | BadLine:
    try:
        value = json.loads(line.rstrip(b"\r\n"))
    except UnicodeDecodeError as error:
        return _bad(line, f"not UTF-8: {error.reason} at byte {error.start}")
    except RecursionError:
        return _bad(line, "not JSON that can be read: nested too deep")
    except json.JSONDecodeError as error:
        return _bad(line, f"not JSON: {error.msg} at character {error.colno}")
    except ValueError as error:
        return _bad(line, f"not JSON that can be read: {error}")
    if not isinstance(value, dict):
        return _bad(line, "not a JSON object")
    return value


def _bad(line: bytes, reason: str) -> BadLine:
    return BadLine(line.decode("utf-8", "backslashreplace").rstrip("\r\n"), reason)


def _json(file: DataFile) -> Iterator[Record]:
    with _stream(file) as stream:
        text = stream.read().removeprefix(b"\xef\xbb\xbf")
    try:
        value = json.loads(text) if text.strip() else []
    except (ValueError, RecursionError) as error:
        # Many tools write JSON lines under the name .json.
        if "Extra data" in str(error):
            yield from _jsonl(file)
            return
        raise _damaged(file, f"not JSON: {error}") from error
    for number, row in enumerate(_json_rows(file, value), start=1):
        good = isinstance(row, dict)
        yield f"{file.name}:{number}", row if good else BadLine(json.dumps(row), "not an object")


def _json_rows(file: DataFile, value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    columns = value.values() if isinstance(value, dict) else []
    if columns and all(isinstance(c, list) for c in columns) and len(set(map(len, columns))) == 1:
        return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    if columns and not all(isinstance(c, list) for c in columns):
        return [value]
    raise _damaged(file, "neither a list of objects nor an object of equally long lists")


def _separated(file: DataFile) -> Iterator[Record]:
    delimiter = "\t" if file.kind == "tsv" else ","
    with _stream(file) as stream:
        # A byte that is not UTF-8 becomes U+FFFD, which quality reports as a control character.
        text = io.TextIOWrapper(stream, encoding="utf-8-sig", errors="replace", newline="")
        rows = csv.reader(text, delimiter=delimiter)
        header = next(rows, [])
        while True:
            try:
                fields = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield f"{file.name}:{rows.line_num}", BadLine("", f"not CSV: {error}")
                continue
            if fields:
                yield f"{file.name}:{rows.line_num}", _named(header, fields, delimiter)


def _named(header: list[str], fields: list[str], delimiter: str) -> Row | BadLine:
    if len(fields) == len(header):
        return dict(zip(header, fields, strict=True))
    reason = f"{len(fields)} fields where the header has {len(header)}"
    return BadLine(delimiter.join(fields), reason)


def _parquet(file: DataFile) -> Iterator[Record]:
    import pyarrow.parquet as pq

    with _seekable(file) as source:
        yield from _numbered(file, pq.ParquetFile(source).iter_batches(batch_size=_BATCH))


def _arrow(file: DataFile) -> Iterator[Record]:
    with _seekable(file) as source:
        magic = source.read(6)
        source.seek(0)
        if magic == b"ARROW1":
            reader = pa.ipc.open_file(source)
            batches = (reader.get_batch(i) for i in range(reader.num_record_batches))
        else:
            batches = pa.ipc.open_stream(source)
        yield from _numbered(file, batches)


def _numbered(file: DataFile, batches: Any) -> Iterator[Record]:
    number = 0
    for batch in batches:
        for start in range(0, batch.num_rows, _BATCH):
            for row in batch.slice(start, _BATCH).to_pylist():
                number += 1
                yield f"{file.name}:{number}", row


_READERS: dict[str, Callable[[DataFile], Iterator[Record]]] = {
    "jsonl": _jsonl, "json": _json, "csv": _separated, "tsv": _separated,
    "parquet": _parquet, "arrow": _arrow,
}  # fmt: skip
