"""What readers give: a row with the place it came from, or what stands where a row should."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from tasks.errors import SourceError
from tasks.ingest.paths import DataFile


class BadLine(NamedTuple):
    """A piece of a file that is not a row: what is there, and why it can't be used."""

    raw: str
    reason: str


Row = Mapping[str, Any]
Record = tuple[str, Row | BadLine]
"""Origin (``reviews.jsonl:12``, counted from 1) and the row, or what stands in its place."""


class Damaged(Exception):
    """A file can't be read as what its ending says; the text says why."""


def bad_line(raw: bytes | str, reason: str) -> BadLine:
    """Return a broken piece as it is kept: what is not UTF-8 stands there as escapes."""
    text = raw.decode("utf-8", "backslashreplace") if isinstance(raw, bytes) else raw
    return BadLine(text.rstrip("\r\n"), reason)


def damaged(file: DataFile, what: str) -> SourceError:
    """Return the error for a file that can't be read, in whole or from some place on."""
    # What a library says may have several lines, or repeat the bytes it stumbled over.
    said = "".join(c if c.isprintable() else " " for c in what[:500])
    said = " ".join(said.split()).rstrip(" .")
    return SourceError(
        f"the file is damaged or not what its ending says: {said}.",
        where=file.path,
        fix="write it anew, or leave it out.",
    )
