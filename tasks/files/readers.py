"""Rows of data files as dictionaries, one at a time, with the place each came from."""

import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from configs.limits import Limits
from tasks.errors import SourceError
from tasks.files.delimited import read_delimited
from tasks.files.locate import CONTAINERS, DataFile, unreachable_error
from tasks.files.records import (
    BadLine,
    Damaged,
    NoRows,
    Numbered,
    Record,
    Row,
    damaged_error,
    make_bad_line,
    parse_json,
)
from tasks.files.streams import iterate_lines, open_text
from tasks.files.tables import read_arrow, read_parquet

_DEFAULTS = Limits()
_LOOKED_AT = 100
_TURNS = ("messages", "conversations", "prompt", "completion", "chosen", "rejected")
_MOST_PARTS = 12_000_000
"""Lists and objects of a .json file, which is in memory as a whole."""
_KEPT = 1 << 20
"""Bytes kept of a line that is too long to be read."""


def read_files(
    files: list[DataFile], limits: Limits = _DEFAULTS, field: str | None = None
) -> Iterator[Record]:
    """Yield the rows of several files in order, as :func:`read_file` does; empty ones have none."""
    return itertools.chain.from_iterable(
        read_file(file, limits, field=field) for file in files if file.size
    )


def read_file(
    file: DataFile,
    limits: Limits = _DEFAULTS,
    name: str | None = None,
    field: str | None = None,
) -> Iterator[Record]:
    """Yield a file's rows in order; a broken line is a record of its own, not the end.

    Args:
        file: The file.
        limits: What it may ask of this machine.
        name: What origins call it; its own name where None.
        field: Where inside a .json file the rows are (``data``, ``splits.train``); None where
            the file is its rows.

    Raises:
        SourceError: The container isn't known, or the file is damaged as a whole or from some
            place on, or asks for more than the limits allow.
        SourceUnreachable: S3 stopped answering.
    """
    reader = READERS.get(file.container or "")
    if reader is None:
        raise no_container_error(file)
    if field is not None and file.container != "json":
        raise SourceError(
            f"field '{field}' is a place inside a .json file, and this is .{file.container}.",
            where=file.address,
            fix="leave field out.",
        )
    name, last = name or file.name, ""
    try:
        rows = reader(file, limits) if field is None else _read_json(file, limits, field)
        for number, row in rows:
            last = f"{name}:{number}"
            yield Record(last, row)
    except NoRows as error:
        raise SourceError(f"{error}.", where=file.address, fix=error.fix) from error
    except (Damaged, OSError, EOFError, MemoryError, RecursionError, pa.ArrowException) as error:
        if file.remote and not isinstance(error, Damaged | pa.ArrowInvalid):
            raise unreachable_error(file.address, error) from error
        what = f"after {last}, {error}" if last else str(error)
        raise damaged_error(file.address, what) from error


def no_container_error(file: DataFile) -> SourceError:
    """Return the error for a file whose ending doesn't say what its rows are in."""
    return SourceError(
        "the file's ending names no known row container.",
        where=file.address,
        fix=f"use one of {', '.join(CONTAINERS)}, plain or .gz, .bz2, .zst.",
    )


def _read_jsonl(file: DataFile, limits: Limits) -> Iterator[Numbered]:
    with open_text(file, limits) as stream:
        for number, (line, cut) in enumerate(iterate_lines(stream, limits.line_bytes), start=1):
            if cut:
                reason = f"the line is longer than {limits.line_bytes:,} bytes (limits.line_bytes)"
                yield number, make_bad_line(line[:_KEPT], reason)
            elif line.strip():
                yield number, _parse_line(line)


def _parse_line(line: bytes) -> Row | BadLine:
    try:
        value = parse_json(line.rstrip(b"\r\n").decode())
    except UnicodeDecodeError as error:
        return make_bad_line(line, f"not UTF-8: {error.reason} at byte {error.start}")
    except json.JSONDecodeError as error:
        return make_bad_line(line, f"not JSON: {error.msg} at character {error.colno}")
    except ValueError as error:
        return make_bad_line(line, f"not JSON that can be read: {error}")
    if not isinstance(value, dict):
        return make_bad_line(line, "not a JSON object")
    return value


def _read_json(file: DataFile, limits: Limits, field: str | None = None) -> Iterator[Numbered]:
    text = _read_whole(file, limits)
    try:
        value = parse_json(text.decode(), _MOST_PARTS) if text.strip() else []
    except ValueError as error:
        if field is None and _is_json_lines(text):
            yield from _read_jsonl(file, limits)
            return
        raise Damaged(f"not JSON: {error}") from error
    rows = _rows_of_json(value) if field is None else _rows_of_field(value, field)
    for number, row in enumerate(rows, start=1):
        if isinstance(row, list) and row:
            # Columns without names are named by their places: {0}, {1}.
            yield number, {str(place): part for place, part in enumerate(row)}
        elif isinstance(row, dict):
            yield number, row
        else:
            yield number, make_bad_line(json.dumps(row), "not an object")


def _read_text(file: DataFile, limits: Limits) -> Iterator[Numbered]:
    try:
        yield 1, {"text": _read_whole(file, limits).decode()}
    except UnicodeDecodeError as error:
        raise Damaged(f"not UTF-8: {error.reason} at byte {error.start}") from error


def _read_whole(file: DataFile, limits: Limits) -> bytes:
    with open_text(file, limits) as stream:
        text = stream.read(limits.json_bytes + 1)
    if len(text) > limits.json_bytes:
        raise Damaged(
            f"it is over {limits.json_bytes:,} bytes (limits.json_bytes), and a .{file.container} "
            "file has to be read whole; JSON lines (.jsonl) have no such limit"
        )
    return text


def _is_json_lines(text: bytes) -> bool:
    """Return whether a .json file holds JSON lines, as many tools write them."""
    start = text[: 1 << 20].split(b"\n")[:_LOOKED_AT]
    whole = start if len(start) < _LOOKED_AT and len(text) <= 1 << 20 else start[:-1]
    return text.lstrip()[:1] == b"{" and any(
        line.strip() and not isinstance(_parse_line(line), BadLine) for line in whole
    )


def _rows_of_json(value: Any) -> list[Any]:
    if isinstance(value, list):
        return value
    columns = value.values() if isinstance(value, dict) else []
    turns = [name for name in _TURNS if _is_conversation(value, name)]
    if "messages" in turns or "conversations" in turns or (turns and len(turns) == len(columns)):
        return [value]
    several = {name: c for name, c in value.items() if _is_table(c)} if columns else {}
    lengths = {len(c) for c in columns if isinstance(c, list)}
    # Lists of plain values that are equally long are columns.
    objects = all(isinstance(c[0], dict) for c in several.values())
    if (
        columns
        and len(several) == len(columns)
        and (objects or len(lengths) > 1 or len(columns) == 1)
    ):
        # A list of rows under each name, as data sets with several splits are published.
        if len(several) == 1:
            return list(next(iter(several.values())))
        longest = max(several, key=lambda name: len(several[name]))
        raise NoRows(
            f"it holds several lists of rows: {_list_tables(several)}",
            f"say which with field:, for example field: {longest}.",
        )
    if columns and all(isinstance(c, list) for c in columns) and len(lengths) == 1:
        return [dict(zip(value, row, strict=True)) for row in zip(*columns, strict=True)]
    if columns and not all(isinstance(c, list) for c in columns):
        return [value]
    raise NoRows(
        "it is neither a list of objects nor an object of equally long lists",
        "say with field: which of its lists holds the rows, or write it as JSON lines.",
    )


def _rows_of_field(value: Any, field: str) -> list[Any]:
    """Return the rows at a place inside a JSON value.

    Raises:
        NoRows: There is no such place, or no rows are there.
    """
    for part in split_path(field):
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict) and part in value:
            value = value[part]
        else:
            known = list(value) if isinstance(value, dict) else []
            raise NoRows(
                f"it has no field '{field}'",
                f"its fields are {', '.join(map(str, known[:20])) or 'none: it is a list'}.",
            )
    if isinstance(value, str):
        raise NoRows(f"field '{field}' is a text, not rows", "name the field that holds a list.")
    return _rows_of_json(value)


def split_path(path: str) -> list[str]:
    """Return the steps of a path into a value: ``a[0].b`` and ``a.0.b`` are the same."""
    return [part for part in re.sub(r"\[(\d+)\]", r".\1", path).split(".") if part]


def _is_table(value: Any) -> bool:
    """Return whether a list holds rows rather than the values of a column."""
    if not isinstance(value, list) or not value:
        return False
    head = value[:_LOOKED_AT]
    if all(isinstance(row, dict) for row in head):
        return True
    # A column of conversations holds lists of objects, and rows without names hold plain values.
    return all(
        isinstance(row, list) and row and not any(isinstance(part, dict | list) for part in row)
        for row in head
    )


def _list_tables(tables: Mapping[str, list[Any]]) -> str:
    shown = [f"{name} ({len(rows):,})" for name, rows in list(tables.items())[:10]]
    return ", ".join([*shown, *(["..."] if len(tables) > 10 else [])])


def _is_conversation(value: Any, name: str) -> bool:
    # A column of conversations would hold lists of turns, and one conversation holds turns.
    turns = value.get(name) if isinstance(value, dict) else None
    return isinstance(turns, list) and any(
        isinstance(turn, dict) and ("role" in turn or "from" in turn) for turn in turns
    )


READERS: dict[str, Callable[[DataFile, Limits], Iterator[Numbered]]] = {
    "jsonl": _read_jsonl,
    "json": _read_json,
    "csv": read_delimited,
    "tsv": read_delimited,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "text": _read_text,
}
"""Reader by container: every format that any part of the product reads rows from."""
