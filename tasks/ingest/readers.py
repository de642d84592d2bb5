"""Rows of data files as dictionaries, one at a time, with the place each came from."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow as pa

from configs.sources import Limits
from tasks.errors import SourceError
from tasks.ingest.paths import KINDS, DataFile
from tasks.ingest.records import BadLine, Damaged, Record, Row, bad_line, damaged
from tasks.ingest.separated import read_separated
from tasks.ingest.stores import unreachable
from tasks.ingest.streams import lines, text_stream
from tasks.ingest.strict_json import loads
from tasks.ingest.tables import read_arrow, read_parquet

__all__ = ["BadLine", "Record", "Row", "read"]

_DEFAULTS = Limits()
_LOOKED_AT = 100
_KEPT = 1 << 20
"""Bytes kept of a line that is too long to be read."""


def read(file: DataFile, limits: Limits = _DEFAULTS) -> Iterator[Record]:
    """Yield a file's rows in order; a broken line is a record of its own, not the end.

    Raises:
        SourceError: The container isn't known, or the file is damaged as a whole or from some
            place on, or asks for more than the limits allow.
        SourceUnreachable: S3 stopped answering.
    """
    reader = _READERS.get(file.kind or "")
    if reader is None:
        raise SourceError(
            "the file's ending names no known row container.",
            where=file.path,
            fix=f"use one of {', '.join(KINDS)}, plain or .gz, .bz2, .zst.",
        )
    last = None
    try:
        for last, row in reader(file, limits):
            yield last, row
    except Damaged as error:
        raise damaged(file, _after(last, str(error))) from error
    except (OSError, EOFError, MemoryError, RecursionError, pa.ArrowException) as error:
        if file.remote and not isinstance(error, pa.ArrowInvalid):
            raise unreachable(file.path, error) from error
        raise damaged(file, _after(last, str(error))) from error


def _after(last: str | None, what: str) -> str:
    return f"after {last}, {what}" if last else what


def _jsonl(file: DataFile, limits: Limits) -> Iterator[Record]:
    with text_stream(file, limits) as stream:
        for number, (line, cut) in enumerate(lines(stream, limits.line_bytes), start=1):
            if cut:
                reason = f"the line is longer than {limits.line_bytes:,} bytes (limits.line_bytes)"
                yield f"{file.name}:{number}", bad_line(line[:_KEPT], reason)
            elif line.strip():
                yield f"{file.name}:{number}", _parsed(line)


def _parsed(line: bytes) -> Row | BadLine:
    try:
        value = loads(line.rstrip(b"\r\n").decode())
    except UnicodeDecodeError as error:
        return bad_line(line, f"not UTF-8: {error.reason} at byte {error.start}")
    except json.JSONDecodeError as error:
        return bad_line(line, f"not JSON: {error.msg} at character {error.colno}")
    except ValueError as error:
        return bad_line(line, f"not JSON that can be read: {error}")
    if not isinstance(value, dict):
        return bad_line(line, "not a JSON object")
    return value


def _json(file: DataFile, limits: Limits) -> Iterator[Record]:
    with text_stream(file, limits) as stream:
        text = stream.read(limits.json_bytes + 1)
    if len(text) > limits.json_bytes:
        raise Damaged(
            f"it is over {limits.json_bytes:,} bytes (limits.json_bytes), and a .json "
            "file has to be read whole; JSON lines (.jsonl) have no such limit"
        )
    try:
        value = loads(text.decode()) if text.strip() else []
    except ValueError as error:
        if _is_lines(text):
            yield from _jsonl(file, limits)
            return
        raise Damaged(f"not JSON: {error}") from error
    for number, row in enumerate(_json_rows(value), start=1):
        good = isinstance(row, dict)
        yield f"{file.name}:{number}", row if good else bad_line(json.dumps(row), "not an object")


def _is_lines(text: bytes) -> bool:
    """Return whether a .json file holds JSON lines, as many tools write them."""
    start = text[: 1 << 20].split(b"\n")[:_LOOKED_AT]
    whole = start if len(start) < _LOOKED_AT and len(text) <= 1 << 20 else start[:-1]
    return text.lstrip()[:1] == b"{" and any(
        line.strip() and not isinstance(_parsed(line), BadLine) for line in whole
    )


def _json_rows(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    columns = value.values() if isinstance(value, dict) else []
    if any(_is_talk(value, name) for name in ("messages", "conversations")):
        return [value]
    if columns and all(isinstance(c, list) for c in columns) and len(set(map(len, columns))) == 1:
        return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    if columns and not all(isinstance(c, list) for c in columns):
        return [value]
    raise Damaged("neither a list of objects nor an object of equally long lists")


def _is_talk(value: Any, name: str) -> bool:
    # A column of conversations would hold lists of turns, and one conversation holds turns.
    turns = value.get(name) if isinstance(value, dict) else None
    return isinstance(turns, list) and any(isinstance(turn, dict) for turn in turns)


_READERS: dict[str, Callable[[DataFile, Limits], Iterator[Record]]] = {
    "jsonl": _jsonl,
    "json": _json,
    "csv": read_separated,
    "tsv": read_separated,
    "parquet": read_parquet,
    "arrow": read_arrow,
}
